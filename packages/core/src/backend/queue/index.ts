/** What runtimes of devices with a queue have in common. */
export * from './health.ts';
export * from './progress.ts';
