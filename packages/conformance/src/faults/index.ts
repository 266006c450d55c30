export { type Fault, faults } from './faults.ts';
export { type FaultResult, formatFaults, plantFaults } from './plant.ts';
