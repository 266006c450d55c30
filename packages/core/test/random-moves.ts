/** Steps of random graphs that only move elements. */
import { windowCount } from '../src/ops/extents.ts';
import { apply, type Tensor } from '../src/tensor/index.ts';
import { type Pool, zeros } from './random-pool.ts';

type Move = (pool: Pool, x: Tensor, bound: number, axis: number) => void;

const permute: Move = (pool, x, bound) =>
  pool.add(apply('permute', [x], { axes: shuffled(pool, x.rank) }), bound);

const reshape: Move = (pool, x, bound) =>
  pool.add(apply('reshape', [x], { shape: factors(pool, x.size) }), bound);

const expand: Move = (pool, x, bound, axis) => {
  const grown = apply('reshape', [x], { shape: [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)] });
  const shape = grown.shape.map((extent) => (extent === 1 ? pool.random.int(1, 3) : extent));
  pool.add(apply('expand', [grown], { shape }), bound);
};

const flip: Move = (pool, x, bound) => {
  const axes = x.shape.map((_, axis) => axis).filter(() => pool.random.chance(0.5));
  pool.add(apply('flip', [x], { axes }), bound);
};

export function movement(pool: Pool): void {
  const { x, bound } = pool.any();
  const axis = pool.random.int(0, Math.max(0, x.rank - 1));
  pool.random.pick([reshape, permute, expand, pad, pad, slice, flip, unfold])(pool, x, bound, axis);
}

function shuffled(pool: Pool, rank: number): number[] {
  const axes = Array.from({ length: rank }, (_, a) => a);
  for (let i = rank - 1; i > 0; i--) {
    const j = pool.random.int(0, i);
    [axes[i], axes[j]] = [axes[j]!, axes[i]!];
  }
  return axes;
}

function factors(pool: Pool, size: number): number[] {
  const shape: number[] = [];
  let rest = size;
  while (rest > 1 && shape.length < 3) {
    const divisors = [1, 2, 3, 4, 5, 6].filter((d) => rest % d === 0);
    const d = pool.random.pick(divisors);
    shape.push(d);
    rest /= d;
  }
  if (rest !== 1 || size === 0 || pool.random.chance(0.2)) shape.push(rest);
  return shape;
}

function pad(pool: Pool, x: Tensor, bound: number): void {
  const r = pool.random;
  const interior = x.shape.map(() => (r.chance(0.2) ? r.int(1, 2) : 0));
  const low = x.shape.map(() => r.pick([0, 0, 0, 1, 2, -1]));
  const high = x.shape.map(() => r.pick([0, 0, 0, 1, 2, -1]));
  for (const [axis, extent] of x.shape.entries()) {
    const grown = extent + Math.max(0, extent - 1) * interior[axis]! + low[axis]! + high[axis]!;
    if (grown < 0) low[axis] = high[axis] = 0;
  }
  const value = x.dtype === 'bool' ? r.int(0, 1) : r.pick([0, 0, 2]);
  pool.add(apply('pad', [x], { low, high, interior, value }), Math.max(bound, 2));
}

function slice(pool: Pool, x: Tensor, bound: number): void {
  const r = pool.random;
  const step = x.shape.map(() => r.pick([1, 1, 1, 2, 3]));
  const start = x.shape.map((extent) => (r.chance(0.6) ? 0 : r.int(0, Math.max(0, extent - 1))));
  const size = x.shape.map((extent, a) => {
    const most = extent === 0 ? 0 : Math.floor((extent - 1 - start[a]!) / step[a]!) + 1;
    return r.chance(0.6) ? most : r.int(r.chance(0.1) ? 0 : Math.min(1, most), most);
  });
  pool.add(apply('slice', [x], { start, size, step }), bound);
}

function unfold(pool: Pool, x: Tensor, bound: number, axis: number): void {
  const r = pool.random;
  if (x.rank === 0) return;
  const attributes = { axis, size: r.int(1, 3), step: r.int(1, 2), dilation: r.int(1, 2) };
  if (windowCount(x.shape[axis]!, attributes.size, attributes.step, attributes.dilation) === 0) return;
  pool.add(apply('unfold', [x], attributes), bound);
}

export function concat(pool: Pool): void {
  const { x, bound } = pool.any();
  const other = pool.any();
  if (x.rank === 0 || x.dtype !== other.x.dtype || x.dtype === 'bool') return;
  const axis = pool.random.int(0, x.rank - 1);
  const y = pool.fit(other.x, x.shape);
  const n = x.shape[axis]!;
  const put = (t: Tensor, before: number, after: number): Tensor => {
    const low = zeros(x.shape);
    const high = zeros(x.shape);
    low[axis] = before;
    high[axis] = after;
    return apply('pad', [t], { low, high, interior: zeros(x.shape), value: 0 });
  };
  pool.add(apply('add', [put(x, 0, n), put(y, n, 0)], {}), Math.max(bound, other.bound, 3));
}
