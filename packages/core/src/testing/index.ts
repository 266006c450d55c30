/** Tools for the tests of this package and of backends. */
export * from './anchor-cases/index.ts';
export * from './conv-anchor.ts';
export * from './device-checks/index.ts';
export * from './dot-anchor.ts';
export * from './interpret.ts';
export * from './interpreter-backend.ts';
export * from './kernel-cases/index.ts';
export * from './random-kernel.ts';
export * from './run-program.ts';
export * from './test-case.ts';
