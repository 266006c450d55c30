/** Anchors that every backend's routines are tested with. */
export * from './attention.ts';
export * from './attention-gradient.ts';
export * from './case.ts';
export * from './conv.ts';
export * from './conv-case.ts';
export * from './dot.ts';
export * from './dot-case.ts';
