export type { ErrorRule } from './bounds.ts';
export * from './compare.ts';
export { errorRules } from './rules.ts';
