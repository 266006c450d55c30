/** Reductions over axes. */
import { ArgumentError, type DType } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { normalizeAxes, normalizeAxis, type Shape } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { truth, where } from './compare.ts';
import { composite, withGradient } from './composite.ts';
import { add, div, mul, pow, sub } from './elementwise.ts';
import * as math from './math.ts';
import type { ReducePrimitive } from './primitives.ts';
import { computeDType, convert, filled, floatDType, shaped, widen } from './promote.ts';

/** One axis or several, negative ones counted from the end; undefined means all, [] none. */
export type Axes = number | readonly number[] | undefined;

export interface ReduceOptions {
  /** Reduced axes stay in the shape with extent 1. Default false. */
  readonly keepDim?: boolean | undefined;
}

const reduceOptions: OptionNames<ReduceOptions> = { keepDim: true };

const withoutAxes = (shape: Shape, axes: readonly number[]): number[] =>
  shape.filter((_, axis) => !axes.includes(axis));
const withOnes = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));

/** Number of elements that meet in each result. */
const countOver = (shape: Shape, axes: readonly number[]): number =>
  axes.reduce((count, axis) => count * shape[axis]!, 1);

/** A reduction that keeps its axes. */
export function reduceKeeping(primitive: ReducePrimitive, x: Tensor, axes: readonly number[]): Tensor {
  return axes.length === 0 ? x : apply(primitive, [x], { axes });
}

/** Drops reduced axes unless they are to stay. */
function finish(reduced: Tensor, axes: readonly number[], options: ReduceOptions | undefined): Tensor {
  return options?.keepDim ? reduced : shaped(reduced, withoutAxes(reduced.shape, axes));
}

/** The axes to reduce, once everything that a reduction is given has been looked at. */
function axesOf(
  op: string,
  x: Tensor,
  axes: Axes,
  options: ReduceOptions | undefined,
  names: OptionNames<ReduceOptions> = reduceOptions,
): number[] {
  requireTensor(op, x);
  checkOptions(op, options, names);
  return normalizeAxes(axes, x.rank, op);
}

/** Sums and products of bool and uint8 are int32. */
const sumDType = (dtype: DType): DType => (dtype === 'bool' || dtype === 'uint8' ? 'int32' : dtype);

function accumulate(
  op: string,
  primitive: 'reduceSum' | 'reduceProd',
  x: Tensor,
  axes: Axes,
  options?: ReduceOptions,
): Tensor {
  const list = axesOf(op, x, axes, options);
  const dtype = sumDType(x.dtype);
  return composite(() => {
    const reduced = reduceKeeping(primitive, convert(x, computeDType(dtype)), list);
    return convert(finish(reduced, list, options), dtype);
  });
}

/**
 * `sum over axes of x`; 0 where there is nothing to add. All axes unless given. bool and uint8 give int32; integers wrap;
 * 16-bit floats are added in float32.
 *
 * @throws AxisError
 *
 * @example sum(tensor([[1, 2], [3, 4]]), 0) // [4, 6]
 */
export function sum(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return accumulate('sum', 'reduceSum', x, axes, options);
}

/** `product over axes of x`; 1 where there is nothing to multiply. bool and uint8 give int32; integers wrap. @throws AxisError */
export function prod(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return accumulate('prod', 'reduceProd', x, axes, options);
}

function extreme(op: 'max' | 'min', x: Tensor, axes: Axes, options?: ReduceOptions): Tensor {
  if ((axes as unknown) instanceof Tensor) {
    throw new ArgumentError(`${op}: the axes are a tensor`, {
      op,
      received: axes,
      fix: `for the ${op === 'max' ? 'larger' : 'smaller'} of two tensors use ${op}imum(a, b)`,
    });
  }
  const list = axesOf(op, x, axes, options);
  const primitive = op === 'max' ? 'reduceMax' : 'reduceMin';
  return composite(() => convert(finish(reduceKeeping(primitive, widen(x), list), list, options), x.dtype));
}

/**
 * The largest element over axes; NaN wins. Elements that tie share the gradient equally.
 *
 * @throws AxisError; ShapeError when an axis to reduce is empty.
 */
export function max(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return extreme('max', x, axes, options);
}

/**
 * The smallest element over axes; NaN wins. Elements that tie share the gradient equally.
 *
 * @throws AxisError; ShapeError when an axis to reduce is empty.
 */
export function min(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return extreme('min', x, axes, options);
}

/** Mean of a float32 tensor, axes kept. */
export function meanKeeping(x: Tensor, axes: readonly number[]): Tensor {
  return div(reduceKeeping('reduceSum', x, axes), countOver(x.shape, axes));
}

/** A reduction in float32, whose result goes back to a 16-bit dtype where x has one. */
function floatReduce(
  op: string,
  x: Tensor,
  axes: Axes,
  options: ReduceOptions | undefined,
  reduce: (x: Tensor, axes: number[]) => Tensor,
  names?: OptionNames<ReduceOptions>,
): Tensor {
  const list = axesOf(op, x, axes, options, names);
  const dtype = floatDType(x.dtype);
  return composite(() => convert(finish(reduce(convert(x, 'float32'), list), list, options), dtype));
}

/** `sum(x) / count` over axes; NaN where there is nothing. Integers and bool give float32. @throws AxisError */
export function mean(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return floatReduce('mean', x, axes, options, meanKeeping);
}

export interface VarianceOptions extends ReduceOptions {
  /** What is taken off the count: 1 for a sample (the default, as in PyTorch), 0 for a population (as in NumPy). */
  readonly correction?: number | undefined;
}

const varianceOptions: OptionNames<VarianceOptions> = { ...reduceOptions, correction: true };

function varianceKeeping(op: string, x: Tensor, axes: readonly number[], options?: VarianceOptions): Tensor {
  const correction = options?.correction ?? 1;
  if (!Number.isFinite(correction)) {
    throw new ArgumentError(`${op}: correction is ${correction}`, {
      op,
      received: correction,
      fix: 'use 1 for a sample, 0 for a population',
    });
  }
  const centred = sub(x, meanKeeping(x, axes));
  return div(
    reduceKeeping('reduceSum', mul(centred, centred), axes),
    Math.max(0, countOver(x.shape, axes) - correction),
  );
}

/**
 * `sum((x - mean(x))**2) / (count - correction)` over axes, in two passes; NaN where count <= correction and the sum is 0.
 * Integers give float32. The method is `x.var(...)`.
 *
 * @throws AxisError, ArgumentError
 */
export function variance(x: Tensor, axes?: Axes, options?: VarianceOptions): Tensor {
  return floatReduce(
    'variance',
    x,
    axes,
    options,
    (value, list) => varianceKeeping('variance', value, list, options),
    varianceOptions,
  );
}

/** `root(x)` with gradient 0 at 0, where that of a root is infinite. */
function rootOrZero(x: Tensor, root: (x: Tensor) => Tensor): Tensor {
  const zero = apply('eq', [x, filled('sqrt', 0, x.dtype, x.shape, x.device)], {});
  return where(zero, 0, root(where(zero, 1, x)));
}

const sqrtOrZero = (x: Tensor): Tensor => rootOrZero(x, (value) => apply('sqrt', [value], {}));

/** The square root of {@link variance}; its gradient is 0 where all elements are equal. @throws AxisError, ArgumentError */
export function std(x: Tensor, axes?: Axes, options?: VarianceOptions): Tensor {
  return floatReduce(
    'std',
    x,
    axes,
    options,
    (value, list) => sqrtOrZero(varianceKeeping('std', value, list, options)),
    varianceOptions,
  );
}

function position(
  op: 'argMax' | 'argMin',
  x: Tensor,
  axis: number | undefined,
  options?: ReduceOptions,
): Tensor {
  requireTensor(op, x);
  checkOptions(op, options, reduceOptions);
  if (axis !== undefined) {
    const at = normalizeAxis(axis, x.rank, op);
    return composite(() => finish(apply(op, [widen(x)], { axis: at }), [at], options));
  }
  return composite(() => {
    const found = apply(op, [shaped(widen(x), [x.size])], { axis: 0 });
    return shaped(found, options?.keepDim ? x.shape.map(() => 1) : []);
  });
}

/**
 * Position of the largest element along an axis, int32: the first of those that tie, the first NaN if there is one.
 * Without an axis the position in the flat tensor.
 *
 * @throws AxisError; ShapeError for no elements.
 */
export function argMax(x: Tensor, axis?: number, options?: ReduceOptions): Tensor {
  return position('argMax', x, axis, options);
}

/**
 * Position of the smallest element along an axis, int32: the first of those that tie, the first NaN if there is one.
 * Without an axis the position in the flat tensor.
 *
 * @throws AxisError; ShapeError for no elements.
 */
export function argMin(x: Tensor, axis?: number, options?: ReduceOptions): Tensor {
  return position('argMin', x, axis, options);
}

function quantify(
  op: string,
  primitive: 'reduceMax' | 'reduceMin',
  x: Tensor,
  axes: Axes,
  options?: ReduceOptions,
): Tensor {
  const list = axesOf(op, x, axes, options);
  return composite(() => {
    const reduced =
      countOver(x.shape, list) === 0
        ? filled(op, primitive === 'reduceMin', 'bool', withOnes(x.shape, list), x.device)
        : reduceKeeping(primitive, truth(x), list);
    return finish(reduced, list, options);
  });
}

/** bool: some element over axes is not 0. NaN counts; false where there is nothing. @throws AxisError */
export function any(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return quantify('any', 'reduceMax', x, axes, options);
}

/** bool: no element over axes is 0. NaN counts as not 0; true where there is nothing. @throws AxisError */
export function all(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return quantify('all', 'reduceMin', x, axes, options);
}

/** The largest element, or 0 where that is infinite or NaN: a shift under which exp neither overflows nor gives Inf - Inf. */
function safeShift(x: Tensor, axes: readonly number[]): Tensor {
  const top = reduceKeeping('reduceMax', x, axes);
  return where(math.isFinite(top), top, 0);
}

const isLowest = (x: Tensor): Tensor =>
  apply('eq', [x, filled('logSumExp', Number.NEGATIVE_INFINITY, 'float32', x.shape, x.device)], {});

function logSumExpKeeping(x: Tensor, axes: readonly number[]): Tensor {
  if (countOver(x.shape, axes) === 0)
    return filled('logSumExp', Number.NEGATIVE_INFINITY, 'float32', withOnes(x.shape, axes), x.device);
  const value = (): Tensor => {
    const shift = safeShift(x, axes);
    const total = reduceKeeping('reduceSum', apply('exp', [sub(x, shift)], {}), axes);
    return add(apply('log', [total], {}), shift);
  };
  return withGradient([x], value, (gradient, result, input) => {
    // Where all are -Inf so is the result, and exp(x - 0) is the 0 that exp(x - result) should be.
    const level = where(isLowest(result), 0, result);
    return [mul(gradient, apply('exp', [sub(input, level)], {}))];
  });
}

/**
 * `log(sum(exp(x)))` over axes without overflow; -Inf where there is nothing or all are -Inf, Inf where one is Inf. Integers
 * give float32.
 *
 * @throws AxisError
 */
export function logSumExp(x: Tensor, axes?: Axes, options?: ReduceOptions): Tensor {
  return floatReduce('logSumExp', x, axes, options, logSumExpKeeping);
}

export interface NormOptions extends ReduceOptions {
  /** Order: 2 by default, any number above 0, or Infinity. */
  readonly p?: number | undefined;
}

const normOptions: OptionNames<NormOptions> = { ...reduceOptions, p: true };

function normKeeping(x: Tensor, axes: readonly number[], p: number): Tensor {
  const size = (): Tensor => apply('abs', [x], {});
  if (p === Number.POSITIVE_INFINITY) return reduceKeeping('reduceMax', size(), axes);
  if (p === 1) return reduceKeeping('reduceSum', size(), axes);
  if (p === 2) return sqrtOrZero(reduceKeeping('reduceSum', mul(x, x), axes));
  return rootOrZero(reduceKeeping('reduceSum', pow(size(), p), axes), (total) => pow(total, 1 / p));
}

/**
 * `sum(|x|**p)**(1/p)` over axes; p = 2 unless given, Infinity for the largest |x|. The gradient at 0 is 0. Integers give
 * float32.
 *
 * @throws AxisError; ArgumentError unless p > 0; ShapeError for p = Infinity over nothing.
 */
export function norm(x: Tensor, axes?: Axes, options?: NormOptions): Tensor {
  checkOptions('norm', options, normOptions);
  const p = options?.p ?? 2;
  if (!(p > 0))
    throw new ArgumentError(`norm: p is ${p}`, { op: 'norm', received: p, fix: 'p is above 0, or Infinity' });
  return floatReduce('norm', x, axes, options, (value, list) => normKeeping(value, list, p), normOptions);
}
