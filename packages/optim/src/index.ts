export { Adam, type AdamSettings, AdamW } from './adam.ts';
export { type ClipNormOptions, clipGradNorm, clipGradValue } from './gradient.ts';
export type { GroupInput, ParameterGroup, ParametersInput } from './group.ts';
export { Optimizer, type Slots, type UpdateInput, type UpdateRule } from './optimizer.ts';
export * from './schedule.ts';
export { SGD, type SGDSettings } from './sgd.ts';
export type { OptimizerState } from './state.ts';
