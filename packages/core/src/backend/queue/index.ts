/** What runtimes of devices with a queue have in common. */
export * from './buffers.ts';
export * from './health.ts';
export * from './pool.ts';
export * from './programs.ts';
export * from './progress.ts';
export * from './ranges.ts';
export * from './scalars.ts';
export * from './workspace.ts';
