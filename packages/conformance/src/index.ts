export * from './cases/index.ts';
export { workOf } from './cases/work.ts';
export { type BackendConformanceOptions, ConformanceError, conformance } from './conformance.ts';
export * from './faults/index.ts';
export * from './oracle/index.ts';
export { withoutRoutines } from './run/delegate.ts';
export * from './run/report.ts';
export { allModes, deviceModes, type SelectionOptions } from './run/selection.ts';
export { mergeShards, type Shard } from './run/shard.ts';
export {
  type ConformanceOptions,
  type ConformanceProgress,
  type ConformanceRun,
  runConformance,
} from './run/suite.ts';
export { formatFailures, formatReport } from './run/table.ts';
export * from './tolerance/index.ts';
