import { ArgumentError, IndexError, ShapeError } from '@tutti/core';
import {
  ArrayDataset,
  concat,
  type Dataset,
  map,
  ndarray,
  permutation,
  RandomStream,
  subset,
  take,
} from '@tutti/data';
import { describe, expect, test } from 'vitest';
import { threefry } from '../src/random.ts';

const numbers = (length: number): Dataset<number> => ({ length, get: (index) => index });

describe('ArrayDataset', () => {
  const x = ndarray(Float32Array.of(0, 1, 2, 3, 4, 5), [3, 2]);
  const y = ndarray(Int32Array.of(10, 11, 12));

  test('rows by name', () => {
    const dataset = new ArrayDataset({ x, y });
    expect(dataset.length).toBe(3);
    expect(dataset.get(2)).toEqual({
      x: { data: Float32Array.of(4, 5), shape: [2] },
      y: { data: Int32Array.of(12), shape: [] },
    });
  });

  test('rows by position', () => {
    const [a, b] = new ArrayDataset([x, y] as const).get(0);
    expect(a).toEqual({ data: Float32Array.of(0, 1), shape: [2] });
    expect(b).toEqual({ data: Int32Array.of(10), shape: [] });
  });

  test('an empty dataset, and rows without elements', () => {
    expect(new ArrayDataset([ndarray(new Float32Array(0), [0, 4])]).length).toBe(0);
    expect(new ArrayDataset([ndarray(new Float32Array(0), [2, 0])]).get(1)[0]).toEqual(
      ndarray(new Float32Array(0), [0]),
    );
  });

  test('bad arguments', () => {
    expect(() => new ArrayDataset({})).toThrow(ArgumentError);
    expect(() => new ArrayDataset({ x, y: ndarray(Int32Array.of(1, 2)) })).toThrow(
      /'y' has shape \[2\].*\[3,2\]/,
    );
    expect(() => new ArrayDataset([{ data: Float32Array.of(1), shape: [] }])).toThrow(ShapeError);
    expect(() => new ArrayDataset([{ data: Float32Array.of(1), shape: [2] }])).toThrow(ShapeError);
    expect(() => new ArrayDataset([x]).get(3)).toThrow(IndexError);
    expect(() => new ArrayDataset([x]).get(-1)).toThrow(IndexError);
    expect(() => new ArrayDataset([x]).get(0.5)).toThrow(IndexError);
    expect(() => ndarray(new Float32Array(6), [2, 2])).toThrow(ShapeError);
  });
});

describe('views of datasets', () => {
  test('map, with a synchronous and with an asynchronous source', async () => {
    expect(map(numbers(3), (n) => n * 2).get(2)).toBe(4);
    const slow: Dataset<number> = { length: 3, get: async (index) => index };
    expect(await map(slow, (n) => n * 2).get(2)).toBe(4);
  });

  test('map draws the same for the same sample', () => {
    const drawn = map(numbers(3), (_, random) => random.next());
    expect(drawn.get(1)).toBe(drawn.get(1));
    expect(drawn.get(1)).not.toBe(drawn.get(2));
    expect(drawn.get(1, new RandomStream(5))).toBe(new RandomStream(5).next());
  });

  test('subset, take and concat', () => {
    const chosen = subset(numbers(10), [7, 3, 3]);
    expect([0, 1, 2].map((i) => chosen.get(i))).toEqual([7, 3, 3]);
    expect(take(numbers(10), 4).length).toBe(4);
    expect(take(numbers(2), 4).length).toBe(2);
    const both = concat(numbers(2), numbers(0), chosen);
    expect(both.length).toBe(5);
    expect([0, 1, 2, 3, 4].map((i) => both.get(i))).toEqual([0, 1, 7, 3, 3]);
  });

  test('bad indices', () => {
    expect(() => subset(numbers(3), [0, 3])).toThrow(IndexError);
    expect(() => subset(numbers(3), [0]).get(1)).toThrow(IndexError);
    expect(() => concat(numbers(3)).get(3)).toThrow(IndexError);
    expect(() => take(numbers(3), -1)).toThrow(ArgumentError);
  });
});

describe('random numbers', () => {
  test('Threefry-2x32-20 gives the published vectors', () => {
    const hex = (words: readonly number[]): string[] => words.map((word) => word.toString(16));
    expect(hex(threefry(0, 0, 0, 0))).toEqual(['6b200159', '99ba4efe']);
    expect(hex(threefry(-1, -1, -1, -1))).toEqual(['1cb996fc', 'bb002be7']);
    expect(hex(threefry(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3))).toEqual(['c4923a9c', '483df7a0']);
  });

  test('a permutation has every number once, and depends on seed and epoch alone', () => {
    const order = permutation(1000, 3, 0);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(permutation(1000, 3, 0)).toEqual(order);
    expect(permutation(1000, 3, 1)).not.toEqual(order);
    expect(permutation(1000, 4, 0)).not.toEqual(order);
    expect(permutation(0, 1, 1).length).toBe(0);
  });

  test('all orders of three are about equally frequent', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = permutation(3, seed, 0).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // Five standard deviations of a binomial count with n = 6000, p = 1/6.
    for (const count of counts.values())
      expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(6000 * (5 / 36)));
  });
});
