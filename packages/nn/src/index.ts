export { StateDictError, type StateDictProblems } from './errors.ts';
export * as init from './init.ts';
export * from './layers/activation.ts';
export * from './layers/attention.ts';
export * from './layers/containers.ts';
export * from './layers/conv.ts';
export { Dropout, type DropoutOptions } from './layers/dropout.ts';
export * from './layers/embedding.ts';
export * from './layers/linear.ts';
export * from './layers/loss.ts';
export {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormOptions,
  LayerNorm,
  type LayerNormOptions,
} from './layers/norm.ts';
export type { LayerOptions } from './layers/parameter.ts';
export * from './layers/pool.ts';
export { type AnyModule, type LoadOptions, type LoadReport, Module, type StateDict } from './module.ts';
export * from './safetensors/index.ts';
export { buffer } from './tree.ts';
