/** What the author of a backend needs, and all that a backend may import from this project. */
export * from './backend.ts';
export * from './bytes.ts';
export * from './capabilities.ts';
export * from './dtype.ts';
export * from './errors.ts';
export * from './expressions.ts';
export * from './halves.ts';
export * from './kernel.ts';
export { announceBackend } from './loaded.ts';
export * from './message.ts';
export * from './print.ts';
export * from './queue/index.ts';
export * from './render/index.ts';
export * from './routine.ts';
export * from './software.ts';
