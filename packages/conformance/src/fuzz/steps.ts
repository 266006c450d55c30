/**
 * The steps of which random programs are made. Each takes what tensors there are and gives another; one that does not
 * apply gives its operand back. Values stay moderate, so that rounding errors do not swallow what is compared.
 */

import type { Tensor } from '@tutti/core';
import {
  abs,
  add,
  argMax,
  argMin,
  bitwiseAnd,
  bitwiseXor,
  broadcastTo,
  cast,
  clamp,
  concat,
  conv1d,
  cos,
  div,
  exp,
  expand,
  flip,
  floor,
  gelu,
  layerNorm,
  leftShift,
  log1p,
  logSumExp,
  lt,
  matmul,
  max,
  maximum,
  mean,
  min,
  minimum,
  mul,
  neg,
  pad,
  permute,
  relu,
  remainder,
  reshape,
  rightShift,
  scatterAdd,
  sigmoid,
  sin,
  slice,
  softmax,
  sqrt,
  stack,
  sub,
  sum,
  take,
  tanh,
  tile,
  transpose,
  unfold,
  unsqueeze,
  variance,
  where,
  zeros,
} from '@tutti/core';
import type { DType } from '@tutti/core/backend';

/** What a step may draw on: two tensors, and two numbers for its attributes. */
export interface StepOperands {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly p: number;
  readonly q: number;
}

export type Step = (operands: StepOperands) => Tensor;

const float = (x: Tensor): Tensor => (x.dtype === 'float32' ? x : cast(x, 'float32'));
const integer = (x: Tensor): Tensor =>
  x.dtype === 'int32' ? x : cast(x.dtype === 'float32' ? mul(clamp(x, -9, 9), 5) : x, 'int32');
const bounded = (x: Tensor): Tensor => clamp(float(x), -6, 6);

/** `y` in a shape that broadcasts with that of `x`. */
function fit(x: Tensor, y: Tensor): Tensor {
  const grows =
    y.rank <= x.rank && y.shape.every((extent, i) => extent === 1 || extent === x.shape[x.rank - y.rank + i]);
  if (grows) return y;
  if (y.size === x.size) return reshape(y, x.shape);
  return y.size === 0 ? zeros([], { dtype: y.dtype }) : reshape(slice(reshape(y, [y.size]), [0, 1]), []);
}

const on =
  (f: (x: Tensor) => Tensor): Step =>
  ({ x }) =>
    f(float(x));
const pair =
  (f: (a: Tensor, b: Tensor) => Tensor): Step =>
  ({ x, y }) =>
    f(float(x), fit(x, float(y)));
const bits =
  (f: (a: Tensor, b: Tensor) => Tensor): Step =>
  ({ x, y }) =>
    f(integer(x), fit(x, integer(y)));

const along =
  (f: (x: Tensor, axis: number, keepDim: boolean) => Tensor): Step =>
  ({ x, p, q }) =>
    x.rank === 0 || x.shape[p % x.rank] === 0 ? x : f(float(x), p % x.rank, q % 2 === 0);

/** Two factors of a size, so that reshapes are not all flat. */
function factored(size: number, p: number): number[] {
  const divisors = [1, 2, 3, 4, 5, 6].filter((d) => size % d === 0);
  const first = divisors[p % divisors.length]!;
  return [first, size / first];
}

const rows = (x: Tensor, p: number): Tensor => reshape(x, x.size === 0 ? [0, 1] : factored(x.size, p));

function product({ x, y, p }: StepOperands): Tensor {
  const a = rows(bounded(x), p);
  const b = rows(bounded(y), p + 1);
  if (a.shape[1] === b.shape[0]) return matmul(a, b);
  return a.shape[1] === b.shape[1] ? matmul(a, transpose(b)) : matmul(transpose(a), a);
}

function taken({ x, y, p }: StepOperands): Tensor {
  if (x.rank === 0 || y.size === 0) return x;
  const axis = p % x.rank;
  const extent = x.shape[axis]!;
  if (extent === 0) return x;
  return take(x, remainder(integer(slice(reshape(y, [y.size]), [0, 5])), extent), axis);
}

function scattered({ x, y, p }: StepOperands): Tensor {
  if (x.size === 0 || y.size === 0) return x;
  const flat = reshape(float(x), [x.size]);
  const index = remainder(integer(reshape(broadcastTo(fit(x, y), x.shape), [x.size])), (p % 5) + 2);
  return scatterAdd(zeros([(p % 5) + 2]), index, flat, 0);
}

function convolved({ x, y, p, q }: StepOperands): Tensor {
  if (x.size < 3 || y.size === 0) return x;
  const kernel = reshape(slice(reshape(bounded(y), [y.size]), [0, 2 + (p % 2)]), [1, 1, -1]);
  if (kernel.size > x.size) return x;
  return reshape(
    conv1d(reshape(bounded(x), [1, 1, x.size]), kernel, { stride: 1 + (q % 2), padding: p % 2 }),
    [-1],
  );
}

function ranged({ x, p, q }: StepOperands): Tensor {
  if (x.rank === 0) return x;
  const ranges = x.shape.map((extent, axis): [number, number, number] =>
    axis === p % x.rank ? [q % Math.max(1, extent), extent, 1 + (p % 3)] : [0, extent, 1],
  );
  return slice(x, ...ranges);
}

const rotate = (x: Tensor, by: number): Tensor =>
  permute(
    x,
    x.shape.map((_, axis) => (axis + by) % x.rank),
  );

/** The steps by name. Order matters to replays of a seed: add at the end. */
export const steps: Readonly<Record<string, Step>> = {
  add: pair(add),
  sub: pair(sub),
  mul: pair((a, b) => mul(clamp(a, -20, 20), clamp(b, -20, 20))),
  div: pair((a, b) => div(a, add(abs(b), 0.5))),
  maximum: pair(maximum),
  minimum: pair(minimum),
  select: pair((a, b) => where(lt(a, b), a, b)),
  neg: on(neg),
  abs: on(abs),
  relu: on(relu),
  floor: on(floor),
  tanh: on(tanh),
  sigmoid: on(sigmoid),
  sin: on((x) => sin(clamp(x, -50, 50))),
  cos: on((x) => cos(clamp(x, -50, 50))),
  gelu: on(gelu),
  exp: on((x) => exp(clamp(x, -4, 3))),
  log1p: on((x) => log1p(abs(x))),
  sqrt: on((x) => sqrt(add(abs(x), 0.1))),
  sum: along((x, axis, keepDim) => sum(x, axis, { keepDim })),
  mean: along((x, axis, keepDim) => mean(x, axis, { keepDim })),
  max: along((x, axis, keepDim) => max(x, axis, { keepDim })),
  min: along((x, axis, keepDim) => min(x, axis, { keepDim })),
  variance: along((x, axis, keepDim) => variance(x, axis, { keepDim, correction: 0 })),
  logSumExp: along((x, axis, keepDim) => logSumExp(clamp(x, -50, 50), axis, { keepDim })),
  argMax: along((x, axis, keepDim) => argMax(x, axis, { keepDim })),
  argMin: along((x, axis, keepDim) => argMin(x, axis, { keepDim })),
  softmax: along((x, axis) => softmax(clamp(x, -50, 50), axis)),
  layerNorm: ({ x }) => (x.rank === 0 || x.size === 0 ? x : layerNorm(float(x), 1, { eps: 0.1 })),
  reshape: ({ x, p }) => (x.size === 0 ? x : reshape(x, factored(x.size, p))),
  permute: ({ x, p }) => (x.rank < 2 ? x : rotate(x, 1 + (p % (x.rank - 1)))),
  flip: ({ x, p }) => (x.rank === 0 ? x : flip(x, p % x.rank)),
  slice: ranged,
  pad: ({ x, p, q }) =>
    pad(
      x,
      x.shape.map((_, axis): [number, number] => (axis === 0 ? [p % 2, q % 3] : [0, p % 2])),
    ),
  expand: ({ x, p }) => expand(unsqueeze(x, 0), [2 + (p % 2), ...x.shape]),
  concat: ({ x, p }) => (x.rank === 0 ? x : concat([x, flip(x, 0)], p % x.rank)),
  stack: ({ x, y }) => (x.dtype === y.dtype ? stack([x, broadcastTo(fit(x, y), x.shape)]) : x),
  tile: ({ x, p }) => (x.rank === 0 ? x : tile(x, 1 + (p % 2))),
  unfold: ({ x, p }) =>
    x.rank === 0 || x.shape[p % x.rank]! < 3 ? x : unfold(x, p % x.rank, 2, 1 + (p % 2)),
  matmul: product,
  take: taken,
  scatterAdd: scattered,
  conv1d: convolved,
  half: on((x) => cast(x, 'float16')),
  bfloat: on((x) => cast(x, 'bfloat16')),
  whole: ({ x }) => integer(x),
  and: bits(bitwiseAnd),
  xor: bits(bitwiseXor),
  shl: ({ x, p }) => leftShift(integer(x), p % 7),
  shr: ({ x, p }) => rightShift(integer(x), p % 7),
  rem: bits((a, b) => remainder(a, bitwiseAnd(b, 15))),
  less: ({ x, y }) => lt(float(x), fit(x, float(y))),
};

export const stepNames: readonly string[] = Object.keys(steps);

/** Steps whose result only some devices can store. */
const resultDType: Readonly<Record<string, DType>> = { half: 'float16', bfloat: 'bfloat16' };

/** Positions in `stepNames` of what a device that stores these dtypes can be asked for. */
export const stepsFor = (storage: readonly DType[]): number[] =>
  stepNames.flatMap((name, i) => (storage.includes(resultDType[name] ?? 'float32') ? [i] : []));
