/** Steps of random graphs: each takes tensors from the pool and adds one. */
import { convOutSize } from '../src/ops/infer.ts';
import type { PrimitiveAttributes } from '../src/ops/primitives.ts';
import { apply, constant, type Tensor } from '../src/tensor/index.ts';
import { concat, movement } from './random-moves.ts';
import { exactBound, mostElements, numericTypes, type Pool } from './random-pool.ts';

type Step = (pool: Pool) => void;

function unary(pool: Pool): void {
  const { x, bound } = pool.float();
  const op = pool.random.pick([
    'neg',
    'abs',
    'sign',
    'floor',
    'ceil',
    'trunc',
    'round',
    'neg',
    'abs',
  ] as const);
  pool.add(apply(op, [x], {}), bound);
}

function binary(pool: Pool): void {
  const dtype = pool.differentiable
    ? 'float32'
    : pool.random.pick(['float32', 'float32', 'int32', 'uint32', 'uint8'] as const);
  const limit = 2 ** 11;
  const a = pool.numeric(pool.any(), dtype, limit);
  const other = pool.random.chance(0.2)
    ? { x: constant(pool.random.pick([0, 1, 2, 17, 23, 31]), dtype), bound: 31 }
    : pool.any();
  const b = pool.numeric(other, dtype, limit);
  const right = pool.fit(b.x, a.x.shape);
  const op = pool.random.pick(['add', 'sub', 'mul', 'maximum', 'minimum', 'add', 'mul'] as const);
  const bound = op === 'mul' ? a.bound * Math.max(b.bound, 3) : a.bound + b.bound + 3;
  const wraps = dtype === 'uint8' ? 255 : dtype === 'uint32' && op === 'sub' ? 2 ** 32 : bound;
  pool.add(apply(op, [a.x, right], {}), Math.min(wraps, 2 ** 32));
}

function select(pool: Pool): void {
  const a = pool.float();
  const b = pool.float();
  const right = pool.fit(b.x, a.x.shape);
  const condition = pool.random.chance(0.5)
    ? apply(pool.random.pick(['lt', 'le', 'eq', 'ne'] as const), [a.x, right], {})
    : pool.fit(apply('cast', [pool.any().x], { dtype: 'bool' }), a.x.shape);
  pool.add(apply('where', [condition, a.x, right], {}), Math.max(a.bound, b.bound, 3));
}

function compare(pool: Pool): void {
  const a = pool.float();
  const right = pool.fit(pool.float().x, a.x.shape);
  pool.add(apply(pool.random.pick(['lt', 'le', 'eq', 'ne'] as const), [a.x, right], {}), 1);
}

function bits(pool: Pool): void {
  const dtype = pool.random.pick(['int32', 'uint32', 'uint8'] as const);
  const a = pool.numeric(pool.any(), dtype, 2 ** 11);
  const right = pool.fit(pool.numeric(pool.any(), dtype, 2 ** 11).x, a.x.shape);
  const op = pool.random.pick(['and', 'or', 'xor', 'shl', 'shr', 'idiv', 'rem', 'not'] as const);
  pool.add(op === 'not' ? apply('not', [a.x], {}) : apply(op, [a.x, right], {}), 2 ** 32);
}

function cast(pool: Pool): void {
  const entry = pool.any();
  if (pool.random.chance(0.3)) {
    const half = pool.random.pick(['float16', 'bfloat16'] as const);
    const { x, bound } = pool.numeric(entry, 'float32', 255);
    const stored = apply('cast', [x], { dtype: half });
    pool.add(apply('cast', [stored], { dtype: 'float32' }), bound);
    return;
  }
  const made = pool.numeric(entry, pool.random.pick(numericTypes));
  pool.add(made.x, made.bound);
}

function source(pool: Pool): void {
  const shape = pool.random.pick([[], [3], [2, 3], [1, 4], [5, 1, 2]]);
  const kind = pool.random.int(0, 2);
  if (kind === 0 && shape.length > 0) {
    pool.add(apply('iota', [], { shape, axis: pool.random.int(0, shape.length - 1) }), 9);
  } else if (kind === 1) {
    const key = pool.fit(pool.numeric(pool.any(), 'uint32').x, [2]);
    const wide = apply(
      'shr',
      [apply('randomBits', [key], { shape }), pool.expand(constant(24, 'uint32'), shape)],
      {},
    );
    pool.add(wide, 255);
  } else {
    pool.add(pool.expand(constant(pool.random.pick([0, 1, -1, 19, 40]), 'float32'), shape), 40);
  }
}

function identity(pool: Pool): void {
  const { x, bound } = pool.any();
  const op = pool.random.pick(['detach', 'alias', 'barrier'] as const);
  if (op === 'barrier')
    pool.add(apply('barrier', [x, pool.any().x], { id: pool.random.int(0, 1000) }), bound);
  else if (!(op === 'detach' && pool.differentiable)) pool.add(apply(op, [x], {}), bound);
}

function reduce(pool: Pool): void {
  const dtype = pool.differentiable
    ? 'float32'
    : pool.random.pick(['float32', 'float32', 'int32', 'uint32'] as const);
  const op = pool.random.pick(['reduceSum', 'reduceSum', 'reduceMax', 'reduceMin', 'reduceProd'] as const);
  const entry = pool.numeric(pool.any(), dtype, exactBound / mostElements);
  const { x, bound } = op === 'reduceProd' ? { x: apply('sign', [entry.x], {}), bound: 1 } : entry;
  const axes = x.shape.map((_, axis) => axis).filter(() => pool.random.chance(0.5));
  const empty = axes.some((axis) => x.shape[axis] === 0);
  if (empty && (op === 'reduceMax' || op === 'reduceMin')) return;
  pool.add(apply(op, [x], { axes }), op === 'reduceSum' ? bound * mostElements : bound);
}

/** x - max(x), or the like: a reduction and its operand meet again. */
function centered(pool: Pool): void {
  const op = pool.random.pick(['reduceSum', 'reduceMax', 'reduceMin'] as const);
  const { x, bound } = pool.float(exactBound / mostElements);
  if (x.rank === 0 || x.size === 0) return;
  const axes = pool.random.chance(0.7) ? [x.rank - 1] : [pool.random.int(0, x.rank - 1)];
  const reduced = apply('expand', [apply(op, [x], { axes })], { shape: x.shape });
  const centered = apply('sub', [x, reduced], {});
  pool.add(centered, bound * (mostElements + 1));
  if (pool.random.chance(0.5)) {
    const clipped = pool.numeric({ x: centered, bound: bound * (mostElements + 1) }, 'float32', 11);
    pool.add(apply('reduceSum', [clipped.x], { axes }), clipped.bound * mostElements);
  }
}

function argReduce(pool: Pool): void {
  const { x } = pool.any();
  if (x.rank === 0) return;
  const axis = pool.random.int(0, x.rank - 1);
  if (x.shape[axis] === 0) return;
  pool.add(apply(pool.random.pick(['argMax', 'argMin'] as const), [x], { axis }), mostElements);
}

/** Whole numbers about from -1 to `extent`. */
function index(pool: Pool, shape: readonly number[], extent: number): Tensor {
  const source = pool.differentiable ? pool.entries[0]! : pool.any();
  const x = pool.fit(pool.numeric(source, 'int32').x, shape);
  const limit = Math.max(1, extent + (pool.random.chance(0.3) ? 2 : 0));
  const index = apply('rem', [x, pool.filled(limit, x)], {});
  if (pool.random.chance(0.2)) return index;
  const positive = apply('abs', [index], {});
  return pool.random.chance(0.3)
    ? apply('cast', [positive], { dtype: pool.random.pick(['uint32', 'uint8'] as const) })
    : positive;
}

function gather(pool: Pool): void {
  const { x, bound } = pool.any();
  if (x.rank === 0) return;
  const axis = pool.random.int(0, x.rank - 1);
  const shape = x.shape.map((extent, a) => (a === axis ? pool.random.int(1, 4) : extent));
  pool.add(apply('gather', [x, index(pool, shape, x.shape[axis]!)], { axis }), bound);
}

function scatter(pool: Pool): void {
  const mode = pool.random.pick(pool.differentiable ? (['add'] as const) : (['add', 'set', 'max'] as const));
  const dtype =
    mode === 'set' || pool.differentiable
      ? 'float32'
      : pool.random.pick(['float32', 'int32', 'uint32'] as const);
  const { x, bound } = pool.numeric(pool.any(), dtype, exactBound / 8);
  if (x.rank === 0) return;
  const axis = pool.random.int(0, x.rank - 1);
  const shape = x.shape.map((extent, a) => (a === axis ? pool.random.int(0, 4) : extent));
  const updates = pool.numeric(pool.any(), dtype, exactBound / 8);
  const put = pool.fit(updates.x, shape);
  pool.add(
    apply('scatter', [x, index(pool, shape, x.shape[axis]!), put], { axis, mode }),
    bound + 4 * Math.max(3, updates.bound),
  );
}

function dot(pool: Pool): void {
  const r = pool.random;
  const dtype = pool.differentiable ? 'float32' : r.pick(['float32', 'float32', 'int32'] as const);
  const batch = r.pick([[], [2], [1, 2]]);
  const [m, n, k] = [r.int(1, 4), r.int(1, 4), r.int(0, 9) === 0 ? 0 : r.int(1, 4)];
  const a = operand(pool, dtype, [...batch, m, k]);
  const b = operand(pool, dtype, [...batch, k, n]);
  pool.add(apply('dot', [a, b], {}), 4 * 11 * 11);
}

/** A matrix operand, sometimes a transposed view. */
function operand(pool: Pool, dtype: 'float32' | 'int32', shape: readonly number[]): Tensor {
  const { x } = pool.numeric(pool.any(), dtype, 11);
  if (pool.random.chance(0.5)) return pool.fit(x, shape);
  const rank = shape.length;
  const axes = [...shape.keys()].map((a) => (a < rank - 2 ? a : 2 * rank - 3 - a));
  const swapped = pool.fit(
    x,
    axes.map((a) => shape[a]!),
  );
  return apply('permute', [swapped], { axes });
}

function conv(pool: Pool): void {
  const r = pool.random;
  const groups = r.int(1, 2);
  const [inChannels, outChannels, batch] = [r.int(1, 2), r.int(1, 2), r.int(1, 2)];
  const spatial = r.int(1, 2);
  const pick = (low: number, high: number): number[] =>
    Array.from({ length: spatial }, () => r.int(low, high));
  const inSize = pick(2, 4);
  const kernelSize = pick(1, 2);
  const attributes: PrimitiveAttributes['conv'] = {
    stride: pick(1, 2),
    padLow: pick(-1, 2),
    padHigh: pick(0, 2),
    inputDilation: pick(1, 2),
    kernelDilation: pick(1, 2),
    groups,
  };
  if (convOutSize(inSize, kernelSize, attributes).some((extent) => extent === 0)) return;
  const x = pool.fit(pool.float(11).x, [batch, groups * inChannels, ...inSize]);
  const w = pool.fit(pool.float(11).x, [groups * outChannels, inChannels, ...kernelSize]);
  pool.add(apply('conv', [x, w], attributes), 8 * 11 * 11);
}

/** Those that a gradient passes through. The more often one is named, the more often it is taken. */
const differentiable: readonly Step[] = [
  unary,
  binary,
  binary,
  binary,
  select,
  movement,
  movement,
  movement,
  movement,
  reduce,
  reduce,
  centered,
  gather,
  scatter,
  dot,
  conv,
  identity,
  concat,
];
const others: readonly Step[] = [cast, argReduce, source, bits, compare];
const all: readonly Step[] = [...differentiable, ...others];

/** Takes one step. */
export const grow = (pool: Pool): void => pool.random.pick(pool.differentiable ? differentiable : all)(pool);
