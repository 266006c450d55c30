/** Operands for the cases: deterministic data by dtype, special values, and views. */
import { expand, flip, permute, type Shape, slice, type Tensor, tensor } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex, position } from '../oracle/indices.ts';
import { wrap } from '../oracle/numbers.ts';
import { roundTo } from '../oracle/rounding.ts';
import type { Input, View } from './case.ts';

export const floats: readonly DType[] = ['float32', 'float16', 'bfloat16'];
export const integers: readonly DType[] = ['int32', 'uint32', 'uint8'];
export const numbers: readonly DType[] = [...floats, ...integers];
export const everything: readonly DType[] = [...numbers, 'bool'];

/** Where elements are drawn from. Unsigned dtypes take magnitudes. */
export interface Domain {
  readonly low: number;
  readonly high: number;
  /** Points from which float elements keep a distance of at least 0.05, because a derivative jumps there. */
  readonly away?: readonly number[];
  /** All elements differ by at least 1/64 of the range (up to 64 elements), so that extremes have no ties. */
  readonly distinct?: boolean;
}

export const standard: Domain = { low: -3, high: 3 };
export const positive: Domain = { low: 0.2, high: 4 };
export const offZero: Domain = { low: -3, high: 3, away: [0] };
export const distinct: Domain = { low: -3, high: 3, distinct: true };

/** A generator of doubles in [0, 1): mulberry32. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `x` as an element of the dtype: rounded, truncated or wrapped. */
export function asElement(x: number, dtype: DType): number {
  if (dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16') return roundTo(x, dtype);
  return wrap(Math.trunc(x), dtype);
}

function drawFloat(random: () => number, { low, high, away = [] }: Domain): number {
  for (;;) {
    const x = low + (high - low) * random();
    if (away.every((point) => Math.abs(x - point) >= 0.05)) return x;
  }
}

function draw(random: () => number, dtype: DType, domain: Domain): number {
  if (dtype === 'bool') return random() < 0.5 ? 0 : 1;
  if (dtype.startsWith('float') || dtype === 'bfloat16') return drawFloat(random, domain);
  const signed = dtype === 'int32' ? Math.floor(domain.low * 4) : Math.max(0, Math.floor(domain.low));
  return signed + Math.floor(random() * (Math.ceil(domain.high * 4) - signed + 1));
}

/** Evenly spaced values in random order. */
function drawDistinct(random: () => number, length: number, { low, high }: Domain): number[] {
  const slots = Array.from({ length }, (_, i) => low + ((high - low) * (i + 0.5)) / length);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [slots[i], slots[j]] = [slots[j]!, slots[i]!];
  }
  return slots;
}

/** An operand of random elements, the same for the same arguments. */
export function randomInput(shape: Shape, dtype: DType, domain: Domain = standard, seed = 1): Input {
  const random = randomSource(seed * 7919 + count(shape) * 31 + shape.length);
  const length = count(shape);
  const spaced = domain.distinct && dtype !== 'bool';
  const drawn = spaced
    ? drawDistinct(random, length, domain).map((x) => (dtype === 'int32' ? x * 40 : x))
    : Array.from({ length }, () => draw(random, dtype, domain));
  return input(shape, dtype, drawn);
}

/** An operand with given elements, taken as elements of the dtype. */
export function input(shape: Shape, dtype: DType, values: readonly number[]): Input {
  return {
    shape,
    dtype,
    values: values.map((x) => asElement(x, dtype)),
    view: 'contiguous',
    differentiable: dtype === 'float32',
  };
}

/** int32 indices from 0 to `limit` - 1. */
export function indexInput(shape: Shape, limit: number, seed = 1, dtype: DType = 'int32'): Input {
  const random = randomSource(seed * 104729 + limit);
  return input(
    shape,
    dtype,
    Array.from({ length: count(shape) }, () => Math.floor(random() * limit)),
  );
}

export const constantInput = (of: Input): Input => ({ ...of, differentiable: false });

/** The values at which implementations differ, for a dtype. */
export const specialValues: Readonly<Record<DType, readonly number[]>> = {
  float32: [
    Number.NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    1e-40,
    -1e-45,
    1.17549435e-38,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    16777216,
    -16777217,
    100.25,
    -88.5,
    1e-8,
    2147483648,
    4294967296,
    -3,
  ],
  float16: [
    Number.NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1,
    -1,
    65504,
    -65504,
    6e-8,
    -6e-8,
    6.1035e-5,
    0.5,
    2049,
    1.0009765625,
  ],
  bfloat16: [
    Number.NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1,
    -1,
    3.3895e38,
    -3.3895e38,
    1e-40,
    1.1755e-38,
    0.5,
    257,
    1.0078125,
  ],
  int32: [0, 1, -1, 2, -2, 7, -7, 31, 32, 33, 255, 256, 65536, 2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 1, -100],
  uint32: [
    0,
    1,
    2,
    7,
    31,
    32,
    33,
    255,
    256,
    65536,
    2 ** 31,
    2 ** 31 - 1,
    2 ** 32 - 1,
    2 ** 24 + 1,
    2 ** 32 - 100,
  ],
  uint8: [0, 1, 2, 7, 8, 31, 32, 127, 128, 129, 200, 254, 255],
  bool: [0, 1],
};

export const specialInput = (dtype: DType): Input =>
  input([specialValues[dtype].length], dtype, specialValues[dtype]);

/** Two operands that meet every special value with every other. */
export function specialPairs(dtype: DType): [Input, Input] {
  const all = specialValues[dtype];
  const shape = [all.length * all.length];
  return [
    input(
      shape,
      dtype,
      all.flatMap((a) => all.map(() => a)),
    ),
    input(
      shape,
      dtype,
      all.flatMap(() => all),
    ),
  ];
}

export const views: readonly View[] = ['transposed', 'offset', 'strided', 'flipped', 'expanded'];

/** The same operand lying differently in memory. `expanded` repeats the first entry of axis 0, so its elements change. */
export function viewed(of: Input, view: View): Input {
  if (view !== 'expanded' || of.shape.length === 0 || count(of.shape) === 0) return { ...of, view };
  const row = count(of.shape) / of.shape[0]!;
  return { ...of, view, values: of.values.map((_, i) => of.values[i % row]!) };
}

/** What holds the elements of an operand, before its view is taken. */
interface Leaf {
  readonly shape: Shape;
  readonly values: readonly number[];
}

/** The leaf's elements where element `index` of the operand lies at `place(index)` of the leaf. */
function laid(of: Input, shape: Shape, place: (index: readonly number[]) => number[]): Leaf {
  const values = new Array<number>(count(shape)).fill(of.dtype === 'bool' ? 1 : 77);
  forEachIndex(of.shape, (index, flat) => {
    values[position(place(index), shape)] = of.values[flat]!;
  });
  return { shape, values };
}

function leafOf(of: Input): Leaf {
  const { shape, view } = of;
  if (shape.length === 0) return of;
  switch (view) {
    case 'contiguous':
      return of;
    case 'transposed':
      return laid(of, [...shape].reverse(), (index) => [...index].reverse());
    case 'offset':
      return laid(
        of,
        shape.map((extent) => extent + 3),
        (index) => index.map((i) => i + 1),
      );
    case 'strided':
      return laid(
        of,
        shape.map((extent) => 2 * extent + 1),
        (index) => index.map((i) => 2 * i + 1),
      );
    case 'flipped':
      return laid(of, shape, (index) => index.map((i, axis) => shape[axis]! - 1 - i));
    case 'expanded': {
      if (count(shape) === 0) return of;
      return { shape: [1, ...shape.slice(1)], values: of.values.slice(0, count(shape) / shape[0]!) };
    }
  }
}

/** The leaf tensor of an operand. */
export function makeLeaf(of: Input): Tensor {
  const { values, shape } = leafOf(of);
  return tensor([...values], { shape, dtype: of.dtype });
}

/** The operand as a view of its leaf. */
export function takeView(leaf: Tensor, { shape, view }: Input): Tensor {
  if (shape.length === 0) return leaf;
  switch (view) {
    case 'contiguous':
      return leaf;
    case 'transposed':
      return permute(
        leaf,
        shape.map((_, axis) => shape.length - 1 - axis),
      );
    case 'offset':
      return slice(leaf, ...shape.map((extent): [number, number] => [1, extent + 1]));
    case 'strided':
      return slice(leaf, ...shape.map((extent): [number, number, number] => [1, 2 * extent + 1, 2]));
    case 'flipped':
      return flip(leaf);
    case 'expanded':
      return expand(leaf, shape);
  }
}

/** The tensor of an operand: its leaf, seen through its view. */
export const materialise = (of: Input): Tensor => takeView(makeLeaf(of), of);
