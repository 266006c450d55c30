/** What renderers of kernels to the text of a language have in common. */
export * from './analysis.ts';
export * from './facts.ts';
export * from './schedule.ts';
export * from './text.ts';
export * from './used.ts';
export * from './work.ts';
