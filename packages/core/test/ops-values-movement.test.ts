/** Values of operations that move elements: shapes, slices, indices. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { ints, texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

const { tensor } = t;
const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

describe('movement', () => {
  it('slices as Python does', async () => {
    const x = t.arange(10);
    const cases: [t.SliceRange, readonly number[]][] = [
      [
        [2, 5],
        [2, 3, 4],
      ],
      [[-3], [7, 8, 9]],
      [
        [null, -7],
        [0, 1, 2],
      ],
      [
        [1, 100, 4],
        [1, 5, 9],
      ],
      [
        [null, null, -3],
        [9, 6, 3, 0],
      ],
      [
        [7, 2, -2],
        [7, 5, 3],
      ],
      [
        [100, -100, -4],
        [9, 5, 1],
      ],
      [
        [3, null, -1],
        [3, 2, 1, 0],
      ],
      [[5, 5], []],
      [null, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ];
    for (const [range, expected] of cases)
      expect(await x.slice(range).array(), JSON.stringify(range)).toEqual(expected);
  });

  it('joins without touching a bit', async () => {
    const joined = t.concat([tensor([-0, nan]), tensor([inf]), t.zeros([0]), tensor([-inf, 5])]);
    expect(await texts(joined)).toEqual(['-0', 'NaN', 'Infinity', '-Infinity', '5']);
    expect(await t.concat([ints(1), tensor([true])]).array()).toEqual([1, 1]);
    expect(
      await t
        .concat(
          [
            tensor([[1], [2]]),
            tensor([
              [3, 4],
              [5, 6],
            ]),
          ],
          1,
        )
        .array(),
    ).toEqual([
      [1, 3, 4],
      [2, 5, 6],
    ]);
    expect(await t.stack([ints(1, 2), ints(3, 4), ints(5, 6)], 1).array()).toEqual([
      [1, 3, 5],
      [2, 4, 6],
    ]);
    expect(
      await t.concat([t.full([1], 0.1, { dtype: 'bfloat16' }), t.ones([1], { dtype: 'bfloat16' })]).array(),
    ).toEqual([0.10009765625, 1]);
  });

  it('split undoes concat', async () => {
    const parts = t.arange(6).split([1, 2, 3]);
    expect(await Promise.all(parts.map((part) => part.array()))).toEqual([[0], [1, 2], [3, 4, 5]]);
  });

  it('tile, unfold, flip and pad', async () => {
    expect(
      await tensor([[1, 2]])
        .tile([2, 2])
        .array(),
    ).toEqual([
      [1, 2, 1, 2],
      [1, 2, 1, 2],
    ]);
    expect(await t.arange(6).unfold(0, 2, 2, 2).array()).toEqual([
      [0, 2],
      [2, 4],
    ]);
    expect(await t.arange(4).reshape([2, 2]).flip(1).array()).toEqual([
      [1, 0],
      [3, 2],
    ]);
    expect(
      await ints(1)
        .pad([[1, 2]], { value: -7 })
        .array(),
    ).toEqual([-7, 1, -7, -7]);
  });
});

describe('indexing', () => {
  it('take, gather and oneHot', async () => {
    const x = tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(await x.take(ints(2, 0), 0).array()).toEqual([
      [5, 6],
      [1, 2],
    ]);
    expect(await x.take(ints(5, 0)).array()).toEqual([6, 1]);
    expect(
      await x
        .take(ints(1, 1, 0).reshape([3, 1]), 1)
        .slice(1)
        .array(),
    ).toEqual([[4], [4], [3]]);
    expect(await x.gather(tensor([[2, 0]], { dtype: 'uint8' }), 0).array()).toEqual([[5, 2]]);
    expect(await ints(2, 0).oneHot(3, { dtype: 'bool' }).array()).toEqual([
      [false, false, true],
      [true, false, false],
    ]);
  });

  it('scatter keeps the last, scatterAdd adds', async () => {
    const index = ints(1, 1, 2);
    expect(
      await t
        .zeros([4])
        .scatter(index, tensor([5, 6, 7]), 0)
        .array(),
    ).toEqual([0, 6, 7, 0]);
    expect(
      await t
        .zeros([4])
        .scatterAdd(index, tensor([5, 6, 7]), 0)
        .array(),
    ).toEqual([0, 11, 7, 0]);
    expect(await t.full([3], 250, { dtype: 'uint8' }).scatterAdd(index, 4, 0).array()).toEqual([250, 2, 254]);
    expect(await t.zeros([3], { dtype: 'float16' }).scatterAdd(index, 0.1, 0).array()).toEqual([
      0, 0.199951171875, 0.0999755859375,
    ]);
  });

  it('an index that is computed is checked when a result is read', async () => {
    const bad = ints(1, 2).add(1);
    await expect(t.ones([3]).take(bad, 0).add(1).data()).rejects.toThrow(t.IndexError);
    await expect(t.ones([2, 3]).crossEntropy(bad).data()).rejects.toThrow(
      /crossEntropy: label 3 is outside the extent 3/,
    );
    await expect(ints(-2).add(1).oneHot(3).data()).rejects.toThrow(t.IndexError);
    await expect(
      t
        .ones([3])
        .take(tensor([3e9], { dtype: 'uint32' }).add(0), 0)
        .data(),
    ).rejects.toThrow(t.IndexError);
    expect(await t.ones([3]).take(bad.sub(1), 0).array()).toEqual([1, 1]);
    expect(await t.ones([2, 3]).crossEntropy(bad, { ignoreIndex: 3 }).item()).toBeCloseTo(Math.log(3), 6);
  });
});
