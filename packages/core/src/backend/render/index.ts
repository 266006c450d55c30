/** What renderers of kernels to the text of a language have in common. */
export * from './analysis.ts';
export * from './approximations.ts';
export {
  type ConvAxes,
  type ConvAxis,
  type ConvPart,
  convParts,
  isInside,
  isPadded,
  pointsOf,
  reach,
  tapsOf,
} from './convolution.ts';
export * from './facts.ts';
export * from './finish.ts';
export * from './lines.ts';
export * from './numbers.ts';
export * from './operators.ts';
export * from './product.ts';
export * from './reductions.ts';
export * from './schedule.ts';
export * from './scopes.ts';
export * from './segments.ts';
export * from './sharing.ts';
export * from './text.ts';
export * from './texts.ts';
export * from './used.ts';
export * from './work.ts';
