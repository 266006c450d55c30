/** Softmax and normalisation. All are computed in float32. */
import { ArgumentError, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames, requireOptions } from '../tensor/options.ts';
import { formatShape, normalizeAxis, type Shape, sameShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite, withGradient } from './composite.ts';
import { add, div, mul, sub } from './elementwise.ts';
import { floatFunction } from './math.ts';
import { commonDType, convert, floatDType, shaped } from './promote.ts';
import { meanKeeping, reduceKeeping } from './reduce.ts';

const exp = (x: Tensor): Tensor => apply('exp', [x], {});
const total = (x: Tensor, axis: number): Tensor => reduceKeeping('reduceSum', x, [axis]);
const belowTop = (x: Tensor, axis: number): Tensor => sub(x, reduceKeeping('reduceMax', x, [axis]));

/** y (g - sum(g y)), from the result alone. */
function softmaxOf(x: Tensor, axis: number): Tensor {
  if (x.shape[axis] === 0) return x;
  const value = (): Tensor => {
    const powers = exp(belowTop(x, axis));
    return div(powers, total(powers, axis));
  };
  return withGradient([x], value, (gradient, y) => [mul(y, sub(gradient, total(mul(gradient, y), axis)))]);
}

/** Also for other operations in float32: its gradient is g - exp(y) sum(g), from the result alone. */
export function logSoftmaxOf(x: Tensor, axis: number): Tensor {
  if (x.shape[axis] === 0) return x;
  const value = (): Tensor => {
    const shifted = belowTop(x, axis);
    return sub(shifted, apply('log', [total(exp(shifted), axis)], {}));
  };
  return withGradient([x], value, (gradient, y) => [sub(gradient, mul(exp(y), total(gradient, axis)))]);
}

/**
 * `exp(x) / sum(exp(x))` along an axis, without overflow. -Inf gives 0, also in the gradient; a row of nothing but -Inf, or
 * with Inf or NaN, gives NaN. Integers give float32.
 *
 * @throws AxisError
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  requireTensor('softmax', x);
  const at = normalizeAxis(axis, x.rank, 'softmax');
  return floatFunction('softmax', x, (value) => softmaxOf(value, at));
}

/** `x - log(sum(exp(x)))` along an axis, without overflow. Integers give float32. @throws AxisError */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  requireTensor('logSoftmax', x);
  const at = normalizeAxis(axis, x.rank, 'logSoftmax');
  return floatFunction('logSoftmax', x, (value) => logSoftmaxOf(value, at));
}

export interface AffineOptions {
  /** Factor. */
  readonly weight?: Tensor | undefined;
  /** Summand. */
  readonly bias?: Tensor | undefined;
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
}

const affineOptions: OptionNames<AffineOptions> = { weight: true, bias: true, eps: true };

function checkEps(op: string, eps: number): void {
  if (typeof eps === 'number' && eps >= 0 && eps < Number.POSITIVE_INFINITY) return;
  throw new ArgumentError(`${op}: eps is ${describe(eps)}`, {
    op,
    received: eps,
    fix: 'eps is a small number of at least 0, for example 1e-5',
  });
}

function requireShape(op: string, name: string, x: Tensor | undefined, shape: Shape): void {
  if (x === undefined || sameShape(requireTensor(op, x, name).shape, shape)) return;
  throw new ShapeError(`${op}: ${name} of shape ${formatShape(x.shape)}`, {
    op,
    received: x.shape,
    fix: `${name} has shape ${formatShape(shape)}`,
  });
}

/** The trailing shape that is normalised over. */
function trailingShape(x: Tensor, over: number | Shape): Shape {
  if (typeof over === 'number') {
    if (Number.isInteger(over) && over >= 1 && over <= x.rank) return x.shape.slice(x.rank - over);
    throw new ArgumentError(`layerNorm: over ${over} axes of shape ${formatShape(x.shape)}`, {
      op: 'layerNorm',
      received: over,
      fix: `give the number of last axes, 1 to ${x.rank}, or their shape`,
    });
  }
  if (
    Array.isArray(over) &&
    over.length >= 1 &&
    over.length <= x.rank &&
    sameShape(x.shape.slice(x.rank - over.length), over)
  )
    return over;
  throw new ShapeError(
    `layerNorm: shape ${formatShape(x.shape)} does not end in ${Array.isArray(over) ? formatShape(over) : describe(over)}`,
    {
      op: 'layerNorm',
      received: [x.shape, over],
      fix: 'the normalised shape is that of the last axes of x',
    },
  );
}

/**
 * `(x - mean) / sqrt(variance + eps) * weight + bias`, with mean and variance (no correction) over the last axes: as many as
 * a number says, or those of a shape, which weight and bias have too. Integers give float32. (Ba et al. 2016)
 *
 * @throws ShapeError when a shape does not fit; ArgumentError
 *
 * @example layerNorm(x, 1, { weight, bias })
 */
export function layerNorm(x: Tensor, over: number | Shape, options: AffineOptions = {}): Tensor {
  requireTensor('layerNorm', x);
  checkOptions('layerNorm', options, affineOptions);
  const shape = trailingShape(x, over);
  const { weight, bias, eps = 1e-5 } = options;
  checkEps('layerNorm', eps);
  requireShape('layerNorm', 'weight', weight, shape);
  requireShape('layerNorm', 'bias', bias, shape);
  const axes = shape.map((_, i) => x.rank - shape.length + i);
  return floatFunction('layerNorm', x, (value) => {
    const centred = sub(value, meanKeeping(value, axes));
    const variance = meanKeeping(mul(centred, centred), axes);
    const normal = mul(centred, apply('rsqrt', [add(variance, eps)], {}));
    return affine(normal, weight, bias);
  });
}

function affine(normal: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor {
  const scaled = weight ? mul(normal, convert(weight, 'float32')) : normal;
  return bias ? add(scaled, convert(bias, 'float32')) : scaled;
}

export interface BatchNormOptions extends AffineOptions {
  /** (C): of this batch in training, running ones in inference. */
  readonly mean: Tensor;
  /** (C), without correction. */
  readonly variance: Tensor;
}

const batchNormOptions: OptionNames<BatchNormOptions> = { mean: true, variance: true, ...affineOptions };

/**
 * `(x - mean) / sqrt(variance + eps) * weight + bias` for each channel: x is (N, C, ..), all others (C). The statistics are
 * given; for a training step they are `mean` and `variance(.., { correction: 0 })` of x over all axes but 1. Integers give
 * float32. (Ioffe and Szegedy 2015)
 *
 * @throws ShapeError when a shape does not fit; ArgumentError
 */
export function batchNorm(x: Tensor, options: BatchNormOptions): Tensor {
  requireTensor('batchNorm', x);
  requireOptions('batchNorm', options, batchNormOptions);
  const { mean, variance, weight, bias, eps = 1e-5 } = options;
  if (x.rank < 2) {
    throw new ShapeError(`batchNorm: shape ${formatShape(x.shape)}`, {
      op: 'batchNorm',
      received: x.shape,
      fix: 'x is (N, C, ..)',
    });
  }
  checkEps('batchNorm', eps);
  const channels = x.shape.slice(1, 2);
  for (const [name, each] of Object.entries({ mean, variance }))
    requireShape('batchNorm', name, requireTensor('batchNorm', each, name), channels);
  requireShape('batchNorm', 'weight', weight, channels);
  requireShape('batchNorm', 'bias', bias, channels);
  const dtype = floatDType(commonDType('batchNorm', [x]));
  return composite(() => {
    const perChannel = (each: Tensor): Tensor =>
      shaped(convert(each, 'float32'), [1, channels[0]!, ...x.shape.slice(2).map(() => 1)]);
    const deviation = apply('rsqrt', [add(convert(variance, 'float32'), eps)], {});
    const factor = weight ? mul(deviation, convert(weight, 'float32')) : deviation;
    const scaled = mul(sub(convert(x, 'float32'), perChannel(mean)), perChannel(factor));
    return convert(bias ? add(scaled, perChannel(bias)) : scaled, dtype);
  });
}
