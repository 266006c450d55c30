export * from './cases/index.ts';
export * from './faults/index.ts';
export * from './oracle/index.ts';
export { type ConformanceOptions, type ConformanceProgress, type ConformanceRun, runConformance } from './run/suite.ts';
export * from './run/report.ts';
export { formatReport } from './run/table.ts';
export * from './tolerance/index.ts';
