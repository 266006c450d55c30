export * from './jit.ts';
export { lazyBackend } from './lazy-backend.ts';
export { type DataArray, type NestedValues, realize, synchronize } from './realize.ts';
export * from './registry.ts';
export * from './scope.ts';
export { configure, type Settings, settings } from './settings.ts';
export { type Statistics, statistics } from './statistics.ts';
