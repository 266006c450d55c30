/** What renderers of kernels to the text of a language have in common. */
export * from './analysis.ts';
export * from './schedule.ts';
export * from './used.ts';
