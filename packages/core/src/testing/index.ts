/** Tools for the tests of this package and of backends. */
export * from './conv-anchor.ts';
export * from './dot-anchor.ts';
export * from './interpret.ts';
export * from './interpreter-backend.ts';
export * from './random-kernel.ts';
