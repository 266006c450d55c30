import './methods.ts';

export { type BackwardOptions, backward } from './backward.ts';
export { checkpoint } from './checkpoint.ts';
export { type CustomGradients, customVjp } from './custom.ts';
export { enableGrad, noGrad } from './mode.ts';
export {
  type ArgNums,
  detach,
  type GradientOf,
  type GradientsAt,
  type GradOptions,
  grad,
  type Pull,
  valueAndGrad,
  vjp,
} from './transforms.ts';
