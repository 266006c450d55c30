/**
 * Random graphs of primitives. All values are small whole numbers, on which every operation here is exact: however a graph
 * is cut into kernels, the results are the same to the last bit.
 */
import type { DType } from '../src/backend/index.ts';
import { apply, constant, fromHost, type HostArray, sizeOf, type Tensor } from '../src/tensor/index.ts';
import { convOutSize, type PrimitiveAttributes, windowCount } from '../src/ops/primitives.ts';

/** A generator of numbers that a seed determines (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)]!;
  }

  chance(p: number): boolean {
    return this.next() < p;
  }
}

/** A tensor, and how large its elements can be. */
interface Entry {
  readonly x: Tensor;
  readonly bound: number;
}

const mostElements = 160;
const mostAxes = 5;
const exactBound = 2 ** 22;
type Numeric = 'float32' | 'int32' | 'uint32' | 'uint8' | 'bool';
const numericTypes: readonly Numeric[] = ['float32', 'float32', 'float32', 'int32', 'uint32', 'uint8', 'bool'];

const flat = (x: Tensor): Tensor => apply('reshape', [x], { shape: [x.size] });
const zeros = (shape: readonly number[]): number[] => shape.map(() => 0);

export interface RandomGraphOptions {
  /** Only what has a gradient, in float32. */
  readonly differentiable?: boolean;
  readonly steps?: number;
}

/** Grows a graph from leaves. Which graph depends on the seed and on the leaves' shapes alone. */
export class GraphGrower {
  readonly #random: Random;
  readonly #pool: Entry[];
  readonly #differentiable: boolean;

  constructor(random: Random, leaves: readonly Tensor[], options: RandomGraphOptions = {}) {
    this.#random = random;
    this.#pool = leaves.map((x) => ({ x, bound: x.dtype === 'bool' ? 1 : 9 }));
    this.#differentiable = options.differentiable ?? false;
  }

  grow(steps: number): Tensor[] {
    for (let i = 0; i < steps; i++) this.#step();
    const count = this.#random.int(1, 4);
    const outputs: Tensor[] = [];
    for (let i = 0; i < count; i++) outputs.push(this.#random.chance(0.5) ? this.#pool[this.#pool.length - 1 - (i % this.#pool.length)]!.x : this.#any().x);
    return outputs;
  }

  #add(x: Tensor, bound: number): void {
    if (x.size > mostElements || x.rank > mostAxes) return;
    this.#pool.push({ x, bound });
  }

  /** Newer tensors are more likely. */
  #any(): Entry {
    const r = this.#random.next() ** 2;
    return this.#pool[this.#pool.length - 1 - Math.floor(r * this.#pool.length)]!;
  }

  #step(): void {
    const moves: readonly (() => void)[] = [
      () => this.#unary(), () => this.#binary(), () => this.#binary(), () => this.#binary(), () => this.#select(), () => this.#movement(),
      () => this.#movement(), () => this.#movement(), () => this.#movement(), () => this.#reduce(), () => this.#reduce(), () => this.#centered(),
      () => this.#gather(), () => this.#scatter(), () => this.#dot(), () => this.#conv(), () => this.#identity(), () => this.#concat(),
    ];
    const others: readonly (() => void)[] = [() => this.#cast(), () => this.#argReduce(), () => this.#source(), () => this.#bits(), () => this.#compare()];
    this.#random.pick(this.#differentiable ? moves : [...moves, ...others])();
  }

  /** An entry of this dtype, bounded. */
  #numeric(entry: Entry, dtype: Numeric, most = exactBound): Entry {
    let { x, bound } = entry;
    if (x.dtype !== dtype) {
      if (dtype === 'uint32' || dtype === 'uint8') {
        // No negative numbers: a float saturates and an integer wraps.
        if (x.dtype !== 'bool' && x.dtype !== 'uint32' && x.dtype !== 'uint8') x = apply('abs', [x], {});
      }
      x = apply('cast', [x], { dtype });
      if (dtype === 'bool') bound = 1;
      if (dtype === 'uint8') bound = 255;
    }
    if (bound <= most || dtype === 'bool') return { x, bound };
    const limit = Math.min(most, 11);
    return { x: apply('rem', [x, this.#filled(limit, x)], {}), bound: limit };
  }

  #filled(value: number, like: Tensor): Tensor {
    return this.#expand(constant(value, like.dtype, like.device), like.shape);
  }

  #expand(x: Tensor, shape: readonly number[]): Tensor {
    const ones = apply('reshape', [x], { shape: shape.map(() => 1) });
    return apply('expand', [ones], { shape });
  }

  #float(most = exactBound): Entry {
    return this.#numeric(this.#any(), 'float32', most);
  }

  /** The elements of another tensor in this shape, by broadcasting, cutting or padding. */
  #fit(x: Tensor, shape: readonly number[]): Tensor {
    const grows = x.rank === shape.length && x.shape.every((extent, axis) => extent === shape[axis] || extent === 1);
    if (grows) return apply('expand', [x], { shape });
    const size = sizeOf(shape);
    if (x.size >= size) return apply('reshape', [apply('slice', [flat(x)], { start: [0], size: [size], step: [1] })], { shape });
    return apply('reshape', [apply('pad', [flat(x)], { low: [size - x.size], high: [0], interior: [0], value: 3 })], { shape });
  }

  #unary(): void {
    const { x, bound } = this.#float();
    const op = this.#random.pick(['neg', 'abs', 'sign', 'floor', 'ceil', 'trunc', 'round', 'neg', 'abs'] as const);
    this.#add(apply(op, [x], {}), bound);
  }

  #binary(): void {
    const dtype = this.#differentiable ? 'float32' : this.#random.pick(['float32', 'float32', 'int32', 'uint32', 'uint8'] as const);
    const limit = 2 ** 11;
    const a = this.#numeric(this.#any(), dtype, limit);
    const other = this.#random.chance(0.2) ? { x: constant(this.#random.pick([0, 1, 2, 17, 23, 31]), dtype), bound: 31 } : this.#any();
    const b = this.#numeric(other, dtype, limit);
    const right = this.#fit(b.x, a.x.shape);
    const op = this.#random.pick(['add', 'sub', 'mul', 'maximum', 'minimum', 'add', 'mul'] as const);
    const bound = op === 'mul' ? a.bound * Math.max(b.bound, 3) : a.bound + b.bound + 3;
    const wraps = dtype === 'uint8' ? 255 : dtype === 'uint32' && op === 'sub' ? 2 ** 32 : bound;
    this.#add(apply(op, [a.x, right], {}), Math.min(wraps, 2 ** 32));
  }

  #select(): void {
    const a = this.#float();
    const b = this.#float();
    const right = this.#fit(b.x, a.x.shape);
    const condition = this.#random.chance(0.5)
      ? apply(this.#random.pick(['lt', 'le', 'eq', 'ne'] as const), [a.x, right], {})
      : this.#fit(apply('cast', [this.#any().x], { dtype: 'bool' }), a.x.shape);
    this.#add(apply('where', [condition, a.x, right], {}), Math.max(a.bound, b.bound, 3));
  }

  #compare(): void {
    const a = this.#float();
    const right = this.#fit(this.#float().x, a.x.shape);
    this.#add(apply(this.#random.pick(['lt', 'le', 'eq', 'ne'] as const), [a.x, right], {}), 1);
  }

  #bits(): void {
    const dtype = this.#random.pick(['int32', 'uint32', 'uint8'] as const);
    const a = this.#numeric(this.#any(), dtype, 2 ** 11);
    const right = this.#fit(this.#numeric(this.#any(), dtype, 2 ** 11).x, a.x.shape);
    const op = this.#random.pick(['and', 'or', 'xor', 'shl', 'shr', 'idiv', 'rem', 'not'] as const);
    this.#add(op === 'not' ? apply('not', [a.x], {}) : apply(op, [a.x, right], {}), 2 ** 32);
  }

  #cast(): void {
    const entry = this.#any();
    if (this.#random.chance(0.3)) {
      const half = this.#random.pick(['float16', 'bfloat16'] as const);
      const { x, bound } = this.#numeric(entry, 'float32', 255);
      const stored = apply('cast', [x], { dtype: half });
      this.#add(apply('cast', [stored], { dtype: 'float32' }), bound);
      return;
    }
    const made = this.#numeric(entry, this.#random.pick(numericTypes));
    this.#add(made.x, made.bound);
  }

  #source(): void {
    const shape = this.#random.pick([[], [3], [2, 3], [1, 4], [5, 1, 2]]);
    const kind = this.#random.int(0, 2);
    if (kind === 0 && shape.length > 0) {
      this.#add(apply('iota', [], { shape, axis: this.#random.int(0, shape.length - 1) }), 9);
    } else if (kind === 1) {
      const key = this.#fit(this.#numeric(this.#any(), 'uint32').x, [2]);
      const wide = apply('shr', [apply('randomBits', [key], { shape }), this.#expand(constant(24, 'uint32'), shape)], {});
      this.#add(wide, 255);
    } else {
      this.#add(this.#expand(constant(this.#random.pick([0, 1, -1, 19, 40]), 'float32'), shape), 40);
    }
  }

  #identity(): void {
    const { x, bound } = this.#any();
    const op = this.#random.pick(['detach', 'alias', 'barrier'] as const);
    if (op === 'barrier') this.#add(apply('barrier', [x, this.#any().x], { id: this.#random.int(0, 1000) }), bound);
    else if (!(op === 'detach' && this.#differentiable)) this.#add(apply(op, [x], {}), bound);
  }

  #movement(): void {
    const { x, bound } = this.#any();
    const r = this.#random;
    const axis = r.int(0, Math.max(0, x.rank - 1));
    switch (r.int(0, 7)) {
      case 0:
        return this.#add(apply('reshape', [x], { shape: this.#factors(x.size) }), bound);
      case 1:
        return this.#add(apply('permute', [x], { axes: this.#shuffled(x.rank) }), bound);
      case 2: {
        const grown = apply('reshape', [x], { shape: [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)] });
        const shape = grown.shape.map((extent) => (extent === 1 ? r.int(1, 3) : extent));
        return this.#add(apply('expand', [grown], { shape }), bound);
      }
      case 3:
      case 4:
        return this.#pad(x, bound);
      case 5:
        return this.#slice(x, bound);
      case 6:
        return this.#add(apply('flip', [x], { axes: x.shape.map((_, a) => a).filter(() => r.chance(0.5)) }), bound);
      case 7:
        return this.#unfold(x, axis, bound);
    }
  }

  #shuffled(rank: number): number[] {
    const axes = Array.from({ length: rank }, (_, a) => a);
    for (let i = rank - 1; i > 0; i--) {
      const j = this.#random.int(0, i);
      [axes[i], axes[j]] = [axes[j]!, axes[i]!];
    }
    return axes;
  }

  #factors(size: number): number[] {
    const shape: number[] = [];
    let rest = size;
    while (rest > 1 && shape.length < 3) {
      const divisors = [1, 2, 3, 4, 5, 6].filter((d) => rest % d === 0);
      const d = this.#random.pick(divisors);
      shape.push(d);
      rest /= d;
    }
    if (rest !== 1 || size === 0 || this.#random.chance(0.2)) shape.push(rest);
    return shape;
  }

  #pad(x: Tensor, bound: number): void {
    const r = this.#random;
    const interior = x.shape.map(() => (r.chance(0.2) ? r.int(1, 2) : 0));
    const low = x.shape.map(() => r.pick([0, 0, 0, 1, 2, -1]));
    const high = x.shape.map(() => r.pick([0, 0, 0, 1, 2, -1]));
    for (const [axis, extent] of x.shape.entries()) {
      const grown = extent + Math.max(0, extent - 1) * interior[axis]! + low[axis]! + high[axis]!;
      if (grown < 0) low[axis] = high[axis] = 0;
    }
    const value = x.dtype === 'bool' ? r.int(0, 1) : r.pick([0, 0, 2]);
    this.#add(apply('pad', [x], { low, high, interior, value }), Math.max(bound, 2));
  }

  #slice(x: Tensor, bound: number): void {
    const r = this.#random;
    const step = x.shape.map(() => r.pick([1, 1, 1, 2, 3]));
    const start = x.shape.map((extent) => (r.chance(0.6) ? 0 : r.int(0, Math.max(0, extent - 1))));
    const size = x.shape.map((extent, a) => {
      const most = extent === 0 ? 0 : Math.floor((extent - 1 - start[a]!) / step[a]!) + 1;
      return r.chance(0.6) ? most : r.int(r.chance(0.1) ? 0 : Math.min(1, most), most);
    });
    this.#add(apply('slice', [x], { start, size, step }), bound);
  }

  #unfold(x: Tensor, axis: number, bound: number): void {
    const r = this.#random;
    if (x.rank === 0) return;
    const attributes = { axis, size: r.int(1, 3), step: r.int(1, 2), dilation: r.int(1, 2) };
    if (windowCount(x.shape[axis]!, attributes.size, attributes.step, attributes.dilation) === 0) return;
    this.#add(apply('unfold', [x], attributes), bound);
  }

  #concat(): void {
    const { x, bound } = this.#any();
    const other = this.#any();
    if (x.rank === 0 || x.dtype !== other.x.dtype || x.dtype === 'bool') return;
    const axis = this.#random.int(0, x.rank - 1);
    const y = this.#fit(other.x, x.shape);
    const n = x.shape[axis]!;
    const put = (t: Tensor, before: number, after: number): Tensor => {
      const low = zeros(x.shape);
      const high = zeros(x.shape);
      low[axis] = before;
      high[axis] = after;
      return apply('pad', [t], { low, high, interior: zeros(x.shape), value: 0 });
    };
    this.#add(apply('add', [put(x, 0, n), put(y, n, 0)], {}), Math.max(bound, other.bound, 3));
  }

  #reduce(): void {
    const dtype = this.#differentiable ? 'float32' : this.#random.pick(['float32', 'float32', 'int32', 'uint32'] as const);
    const op = this.#random.pick(['reduceSum', 'reduceSum', 'reduceMax', 'reduceMin', 'reduceProd'] as const);
    const entry = this.#numeric(this.#any(), dtype, exactBound / mostElements);
    const { x, bound } = op === 'reduceProd' ? { x: apply('sign', [entry.x], {}), bound: 1 } : entry;
    const axes = x.shape.map((_, axis) => axis).filter(() => this.#random.chance(0.5));
    const empty = axes.some((axis) => x.shape[axis] === 0);
    if (empty && (op === 'reduceMax' || op === 'reduceMin')) return;
    this.#add(apply(op, [x], { axes }), op === 'reduceSum' ? bound * mostElements : bound);
  }

  /** x - max(x), or the like: a reduction and its operand meet again. */
  #centered(): void {
    const op = this.#random.pick(['reduceSum', 'reduceMax', 'reduceMin'] as const);
    const { x, bound } = this.#float(exactBound / mostElements);
    if (x.rank === 0 || x.size === 0) return;
    const axes = this.#random.chance(0.7) ? [x.rank - 1] : [this.#random.int(0, x.rank - 1)];
    const reduced = apply('expand', [apply(op, [x], { axes })], { shape: x.shape });
    const centered = apply('sub', [x, reduced], {});
    this.#add(centered, bound * (mostElements + 1));
    if (this.#random.chance(0.5)) {
      const clipped = this.#numeric({ x: centered, bound: bound * (mostElements + 1) }, 'float32', 11);
      this.#add(apply('reduceSum', [clipped.x], { axes }), clipped.bound * mostElements);
    }
  }

  #argReduce(): void {
    const { x } = this.#any();
    if (x.rank === 0) return;
    const axis = this.#random.int(0, x.rank - 1);
    if (x.shape[axis] === 0) return;
    this.#add(apply(this.#random.pick(['argMax', 'argMin'] as const), [x], { axis }), mostElements);
  }

  /** Whole numbers about from -1 to `extent`. */
  #index(shape: readonly number[], extent: number): Tensor {
    const source = this.#differentiable ? this.#pool[0]! : this.#any();
    const x = this.#fit(this.#numeric(source, 'int32').x, shape);
    const limit = Math.max(1, extent + (this.#random.chance(0.3) ? 2 : 0));
    const index = apply('rem', [x, this.#filled(limit, x)], {});
    if (this.#random.chance(0.2)) return index;
    const positive = apply('abs', [index], {});
    return this.#random.chance(0.3) ? apply('cast', [positive], { dtype: this.#random.pick(['uint32', 'uint8'] as const) }) : positive;
  }

  #gather(): void {
    const { x, bound } = this.#any();
    if (x.rank === 0) return;
    const axis = this.#random.int(0, x.rank - 1);
    const shape = x.shape.map((extent, a) => (a === axis ? this.#random.int(1, 4) : extent));
    this.#add(apply('gather', [x, this.#index(shape, x.shape[axis]!)], { axis }), bound);
  }

  #scatter(): void {
    const mode = this.#random.pick(this.#differentiable ? (['add'] as const) : (['add', 'set', 'max'] as const));
    const dtype = mode === 'set' || this.#differentiable ? 'float32' : this.#random.pick(['float32', 'int32', 'uint32'] as const);
    const { x, bound } = this.#numeric(this.#any(), dtype, exactBound / 8);
    if (x.rank === 0) return;
    const axis = this.#random.int(0, x.rank - 1);
    const shape = x.shape.map((extent, a) => (a === axis ? this.#random.int(0, 4) : extent));
    const updates = this.#numeric(this.#any(), dtype, exactBound / 8);
    const put = this.#fit(updates.x, shape);
    this.#add(apply('scatter', [x, this.#index(shape, x.shape[axis]!), put], { axis, mode }), bound + 4 * Math.max(3, updates.bound));
  }

  #dot(): void {
    const r = this.#random;
    const dtype = this.#differentiable ? 'float32' : r.pick(['float32', 'float32', 'int32'] as const);
    const batch = r.pick([[], [2], [1, 2]]);
    const [m, n, k] = [r.int(1, 4), r.int(1, 4), r.int(0, 9) === 0 ? 0 : r.int(1, 4)];
    const a = this.#operand(dtype, [...batch, m, k]);
    const b = this.#operand(dtype, [...batch, k, n]);
    this.#add(apply('dot', [a, b], {}), 4 * 11 * 11);
  }

  /** A matrix operand, sometimes a transposed view. */
  #operand(dtype: 'float32' | 'int32', shape: readonly number[]): Tensor {
    const { x } = this.#numeric(this.#any(), dtype, 11);
    if (this.#random.chance(0.5)) return this.#fit(x, shape);
    const rank = shape.length;
    const axes = [...shape.keys()].map((a) => (a < rank - 2 ? a : 2 * rank - 3 - a));
    const swapped = this.#fit(x, axes.map((a) => shape[a]!));
    return apply('permute', [swapped], { axes });
  }

  #conv(): void {
    const r = this.#random;
    const groups = r.int(1, 2);
    const [inChannels, outChannels, batch] = [r.int(1, 2), r.int(1, 2), r.int(1, 2)];
    const spatial = r.int(1, 2);
    const pick = (low: number, high: number): number[] => Array.from({ length: spatial }, () => r.int(low, high));
    const inSize = pick(2, 4);
    const kernelSize = pick(1, 2);
    const attributes: PrimitiveAttributes['conv'] = {
      stride: pick(1, 2), padLow: pick(-1, 2), padHigh: pick(0, 2), inputDilation: pick(1, 2), kernelDilation: pick(1, 2), groups,
    };
    if (convOutSize(inSize, kernelSize, attributes).some((extent) => extent === 0)) return;
    const x = this.#fit(this.#float(11).x, [batch, groups * inChannels, ...inSize]);
    const w = this.#fit(this.#float(11).x, [groups * outChannels, inChannels, ...kernelSize]);
    this.#add(apply('conv', [x, w], attributes), 8 * 11 * 11);
  }
}

const shapes: readonly (readonly number[])[] = [[], [1], [5], [2, 3], [4, 1], [3, 4], [2, 1, 5], [0], [3, 0], [17], [2, 3, 4], [1, 1], [4, 4], [2, 2, 2, 2]];

export interface LeafData {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly values: readonly number[];
}

export function randomLeaves(random: Random, { differentiable = false }: RandomGraphOptions = {}): LeafData[] {
  return Array.from({ length: random.int(1, 4) }, () => {
    const shape = random.pick(shapes);
    const dtype = differentiable ? 'float32' : random.pick(numericTypes);
    const low = dtype === 'float32' || dtype === 'int32' ? -9 : 0;
    const high = dtype === 'bool' ? 1 : 9;
    return { shape, dtype, values: Array.from({ length: sizeOf(shape) }, () => random.int(low, high)) };
  });
}

export function hostOf({ dtype, values }: LeafData): HostArray {
  if (dtype === 'float32') return Float32Array.from(values);
  if (dtype === 'int32') return Int32Array.from(values);
  if (dtype === 'uint32') return Uint32Array.from(values);
  return Uint8Array.from(values);
}

export const makeLeaf = (leaf: LeafData): Tensor => fromHost(hostOf(leaf), leaf.shape, leaf.dtype);

/** A graph from a seed: the same for every device and way to run it. */
export function randomGraph(seed: number, leaves: readonly Tensor[], options: RandomGraphOptions = {}): Tensor[] {
  const random = new Random(seed ^ 0x5bd1e995);
  return new GraphGrower(random, leaves, options).grow(options.steps ?? random.int(1, 16));
}
