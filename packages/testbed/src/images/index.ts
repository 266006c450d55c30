/** Images in pages of tests. Nothing here needs Node. */
export * from './checks.ts';
export { type Refusal, refusal } from './refusals.ts';
export type { Kind, ShownKind } from './sources.ts';
