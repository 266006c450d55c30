/** Movement as index functions against moving the elements themselves. */
import { describe, expect, it } from 'vitest';
import type { Expression, IndexVariable } from '../src/backend/index.ts';
import { IndexBuilder } from '../src/compiler/index-math.ts';
import { reshapeIndices, sourceOf } from '../src/compiler/movement.ts';
import { type Op, type OpAttributes, OpBuilder, type OpName } from '../src/compiler/op.ts';
import { paddedExtent, windowCount } from '../src/ops/extents.ts';
import { sizeOf, stridesOf } from '../src/tensor/index.ts';
import { evaluateIndex, forEachIndex } from './compiler-support.ts';
import { Random } from './random.ts';

/** The multi-index of an element, for every element of a shape in row-major order. */
function* positions(shape: readonly number[]): Generator<number[]> {
  for (let flat = 0; flat < sizeOf(shape); flat++) {
    yield stridesOf(shape).map((stride, axis) => Math.floor(flat / stride) % shape[axis]!);
  }
}

/** Where each element of the result comes from in the operand, flat; undefined where it is filled. */
type Moves = (at: readonly number[]) => number[] | undefined;

/** Checks the index function of one movement against a plain function of numbers. */
function check<P extends OpName>(
  name: P,
  shape: readonly number[],
  attributes: OpAttributes[P],
  moves: Moves,
): void {
  const ops = new OpBuilder();
  const x = ops.make('input', [], { input: 0, shape, dtype: 'float32' });
  const op: Op = ops.make(name, [x], attributes);
  const b = new IndexBuilder();
  const variables: IndexVariable[] = op.shape.map((extent, i) => ({ name: `i${i}`, extent }));
  const indices = variables.map((v): Expression => (v.extent === 1 ? b.int(0) : b.index(v)));
  const source = sourceOf(b, op, indices)!;
  const seen: (string | undefined)[] = [];
  forEachIndex(variables, (at) => {
    const inside = source.guard === undefined || evaluateIndex(source.guard, at) !== 0;
    seen.push(inside ? String(source.indices.map((index) => evaluateIndex(index, at))) : undefined);
  });
  const expected = [...positions(op.shape)].map(moves).map((from) => from && String(from));
  expect(seen, `${name} ${JSON.stringify({ shape, attributes })}`).toEqual(expected);
}

const randomShape = (random: Random, rank: number): number[] =>
  Array.from({ length: rank }, () => random.int(1, 4));

describe('index functions', () => {
  it('of permute', () => {
    for (const axes of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 0, 2],
      [2, 1, 0],
    ]) {
      const inverse = (at: readonly number[]): number[] => [0, 1, 2].map((axis) => at[axes.indexOf(axis)]!);
      check('permute', [2, 3, 4], { axes }, inverse);
      check('permute', [1, 3, 1], { axes }, inverse);
    }
  });

  it('of expand', () => {
    check('expand', [1, 3, 1], { shape: [4, 3, 2] }, ([, b]) => [0, b!, 0]);
  });

  it('of flip and slice', () => {
    check('flip', [3, 4], { axes: [1] }, ([a, b]) => [a!, 3 - b!]);
    check('flip', [3, 4], { axes: [0, 1] }, ([a, b]) => [2 - a!, 3 - b!]);
    check('slice', [7, 5], { start: [1, 0], size: [3, 2], step: [2, 3] }, ([a, b]) => [1 + 2 * a!, 3 * b!]);
  });

  it('of unfold', () => {
    const random = new Random(1);
    for (let i = 0; i < 60; i++) {
      const shape = [random.int(1, 3), random.int(3, 8), random.int(1, 3)];
      const [size, step, dilation] = [random.int(1, 3), random.int(1, 3), random.int(1, 3)];
      const axis = random.int(0, 2);
      if (windowCount(shape[axis]!, size, step, dilation) === 0) continue;
      check('unfold', shape, { axis, size, step, dilation }, (at) => {
        const within = at.at(-1)!;
        return at.slice(0, -1).map((index, a) => (a === axis ? index * step + within * dilation : index));
      });
    }
  });

  it('of pad: low, high, between, and cut', () => {
    const random = new Random(2);
    for (let i = 0; i < 200; i++) {
      const shape = randomShape(random, random.int(1, 3));
      const [low, high, interior] = [
        shape.map(() => random.int(-2, 3)),
        shape.map(() => random.int(-2, 3)),
        shape.map(() => random.int(0, 2)),
      ];
      if (shape.some((extent, a) => paddedExtent(extent, low[a]!, high[a]!, interior[a]!) < 1)) continue;
      check('pad', shape, { low, high, interior, value: 0 }, (at) => {
        const from = at.map((index, a) => (index - low[a]!) / (interior[a]! + 1));
        return from.every((index, a) => Number.isInteger(index) && index >= 0 && index < shape[a]!)
          ? from.map((n) => n + 0)
          : undefined;
      });
    }
  });

  it('of reshape, between any shapes of as many elements', () => {
    const shapes = [
      [24],
      [2, 12],
      [12, 2],
      [2, 3, 4],
      [4, 3, 2],
      [1, 24, 1],
      [2, 1, 3, 1, 4],
      [6, 4],
      [3, 8],
      [2, 2, 2, 3],
    ];
    for (const from of shapes) {
      for (const to of shapes) {
        check('reshape', from, { shape: to }, (at) => {
          const flat = at.reduce((sum, index, axis) => sum + index * stridesOf(to)[axis]!, 0);
          return stridesOf(from).map((stride, axis) => Math.floor(flat / stride) % from[axis]!);
        });
      }
    }
  });

  it('of reshape keep the index of an axis that stays', () => {
    const b = new IndexBuilder();
    const [x, y, z] = [4, 6, 5].map((extent, i) => b.index({ name: `i${i}`, extent })) as [
      Expression,
      Expression,
      Expression,
    ];
    expect(reshapeIndices(b, [x, y, z], [4, 6, 5], [4, 2, 3, 5])[0]).toBe(x);
    expect(reshapeIndices(b, [x, y, z], [4, 6, 5], [4, 2, 3, 5])[3]).toBe(z);
    expect(reshapeIndices(b, [x, y, z], [4, 6, 5], [1, 4, 6, 1, 5])).toEqual([b.int(0), x, y, b.int(0), z]);
    expect(reshapeIndices(b, [b.int(0)], [0], [0, 3])).toEqual([b.int(0), b.int(0)]);
  });
});
