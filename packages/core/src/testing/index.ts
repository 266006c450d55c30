/** Tools for the tests of this package and of backends. */
export * from './interpret.ts';
export * from './interpreter-backend.ts';
export * from './random-kernel.ts';
