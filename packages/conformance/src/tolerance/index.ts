export * from './compare.ts';
export { errorRules } from './rules.ts';
export type { ErrorRule } from './bounds.ts';
