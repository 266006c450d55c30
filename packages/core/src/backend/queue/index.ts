/** What runtimes of devices with a queue have in common. */
export * from './health.ts';
export * from './pool.ts';
export * from './progress.ts';
export * from './ranges.ts';
export * from './scalars.ts';
