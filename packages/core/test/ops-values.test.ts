import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { ints, texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

const { tensor } = t;
const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

async function near(x: t.Tensor, expected: readonly number[], digits = 6): Promise<void> {
  const data = [...(await x.data())];
  expect(data.length).toBe(expected.length);
  for (const [i, value] of data.entries()) expect(value, `element ${i}`).toBeCloseTo(expected[i]!, digits);
}

describe('arithmetic', () => {
  it('remainder has the sign of the divisor', async () => {
    expect(
      await tensor([-7, 7, -7, 7, 5.5, -1])
        .remainder(tensor([3, -3, -3, 3, -2, inf]))
        .array(),
    ).toEqual([2, -2, -1, 1, -0.5, inf]);
    expect(
      await ints(-7, 7, -7, 7, 5)
        .remainder(ints(3, -3, -3, 3, 0))
        .array(),
    ).toEqual([2, -2, -1, 1, 0]);
  });

  it('floorDivide rounds down, and is whole where a / b is rounded up to the next', async () => {
    expect(await texts(tensor([-7, 7, -7, 1, -1, 0]).floorDivide(tensor([3, -3, -3, 0, 0, 0])))).toEqual([
      '-3',
      '-3',
      '2',
      'Infinity',
      '-Infinity',
      'NaN',
    ]);
    expect(
      await ints(-7, 7, -7, 7, 5)
        .floorDivide(ints(3, -3, -3, 3, 0))
        .array(),
    ).toEqual([-3, -3, 2, 2, 0]);
    expect(await tensor([6]).floorDivide(0.1).array()).toEqual([59]); // 0.1 in float32 is above a tenth
    expect(await tensor([4294967295], { dtype: 'uint32' }).floorDivide(2).array()).toEqual([2147483647]);
  });

  it('pow', async () => {
    expect(await texts(tensor([0, -2, 4, -8, nan]).pow(tensor([0, 3, 0.5, 1 / 3, 0])))).toEqual([
      '1',
      '-8',
      '2',
      'NaN',
      '1',
    ]);
    expect(await tensor([3, -2]).pow(2).array()).toEqual([9, 4]);
    expect(
      await ints(2, -1, 3, 0, -2)
        .pow(ints(10, -3, -1, 0, 31))
        .array(),
    ).toEqual([1024, -1, 0, 1, -(2 ** 31)]);
    expect(await ints(3, -3).pow(19).array()).toEqual([1162261467, -1162261467]);
    expect(await ints(3).pow(0).array()).toEqual([1]);
  });

  it('bool arithmetic is logic', async () => {
    const [a, b] = [tensor([true, true, false]), tensor([true, false, false])];
    expect(await a.add(b).array()).toEqual([true, true, false]);
    expect(await a.mul(b).array()).toEqual([true, false, false]);
    expect(await a.add(1).array()).toEqual([2, 2, 1]);
  });

  it('logic takes any number, and NaN is true', async () => {
    expect(
      await tensor([0, 2, nan])
        .logicalAnd(tensor([1, 1, 1]))
        .array(),
    ).toEqual([false, true, true]);
    expect(await tensor([0, 2, nan]).logicalNot().array()).toEqual([true, false, false]);
    expect(await ints(0, 2).logicalXor(true).array()).toEqual([true, false]);
  });

  it('selects do not let through what was not chosen', async () => {
    expect(await texts(t.where(tensor([true, false]), tensor([-0, nan]), tensor([nan, inf])))).toEqual([
      '-0',
      'Infinity',
    ]);
    expect(await texts(tensor([-2, 0.5, 2, nan]).clamp(-1, 1))).toEqual(['-1', '0.5', '1', 'NaN']);
    expect(await ints(-2, 5).clamp(0, 3).array()).toEqual([0, 3]);
    expect(await tensor([5]).clamp(3, 1).array()).toEqual([1]);
  });

  it('kinds of numbers', async () => {
    const x = tensor([1, -inf, nan]);
    expect(await x.isNaN().array()).toEqual([false, false, true]);
    expect(await x.isInf().array()).toEqual([false, true, false]);
    expect(await x.isFinite().array()).toEqual([true, false, false]);
    expect(await ints(1).isFinite().array()).toEqual([true]);
  });
});

describe('activations at the ends', () => {
  const x = (): t.Tensor => tensor([-inf, -1000, -30, 0, 30, 1000, inf, nan]);
  const expected: Record<string, readonly number[]> = {
    sigmoid: [0, 0, 9.357623e-14, 0.5, 1, 1, 1, nan],
    softplus: [0, 0, 9.357623e-14, Math.LN2, 30, 1000, inf, nan],
    logSigmoid: [-inf, -1000, -30, -Math.LN2, -9.357623e-14, 0, 0, nan],
    silu: [0, 0, -2.807287e-12, 0, 30, 1000, inf, nan],
    gelu: [0, 0, 0, 0, 30, 1000, inf, nan],
    relu: [0, 0, 0, 0, 30, 1000, inf, nan],
    elu: [-1, -1, -1, 0, 30, 1000, inf, nan],
    leakyRelu: [-inf, -10, -0.3, 0, 30, 1000, inf, nan],
  };
  it.each(Object.keys(expected))('%s', async (name) => {
    const data = await x()[name as 'sigmoid']().data();
    for (const [i, value] of data.entries()) {
      const goal = expected[name]![i]!;
      if (Number.isFinite(goal)) expect(Math.abs(value - goal)).toBeLessThanOrEqual(1e-6 * Math.abs(goal));
      else expect(value).toBe(goal);
    }
  });

  it('both forms of gelu', async () => {
    await near(tensor([-1, 0.5, 2]).gelu(), [-0.15865525, 0.34573123, 1.9544997]);
    await near(tensor([-1, 0.5, 2]).gelu({ approximate: 'tanh' }), [-0.15880801, 0.345714, 1.9545977]);
  });
});

describe('reductions', () => {
  it('of nothing', async () => {
    const nothing = t.zeros([0, 2]);
    expect(await nothing.sum(0).array()).toEqual([0, 0]);
    expect(await nothing.prod(0).array()).toEqual([1, 1]);
    expect(await nothing.mean().item()).toBeNaN();
    expect(await nothing.any().item()).toBe(0);
    expect(await nothing.all(0).array()).toEqual([true, true]);
    expect(await nothing.logSumExp(0).array()).toEqual([-inf, -inf]);
    expect(await nothing.std().item()).toBeNaN();
  });

  it('variance by hand', async () => {
    const x = tensor([
      [1, 2, 4],
      [10, 10, 10],
    ]);
    await near(x.var(1), [7 / 3, 0]);
    await near(x.var(1, { correction: 0 }), [14 / 9, 0]);
    await near(x.std(1), [Math.sqrt(7 / 3), 0]);
    expect(await x.slice(null, [0, 1]).var(1).array()).toEqual([nan, nan]);
  });

  it('variance of large numbers that lie close together', async () => {
    await near(tensor([16777210, 16777212, 16777214]).var(), [4]);
  });

  it('positions: the first of those that tie, the first NaN', async () => {
    expect(
      await tensor([
        [1, 3, 3],
        [2, nan, nan],
      ])
        .argMax(1)
        .array(),
    ).toEqual([1, 1]);
    expect(
      await tensor([
        [1, 3],
        [0, 0],
      ])
        .argMin()
        .item(),
    ).toBe(2);
  });

  it('any and all', async () => {
    const x = tensor([
      [0, 0],
      [0, nan],
      [1, 2],
    ]);
    expect(await x.any(1).array()).toEqual([false, true, true]);
    expect(await x.all(1).array()).toEqual([false, false, true]);
  });

  it('logSumExp does not overflow', async () => {
    expect(
      await texts(
        tensor([
          [-inf, -inf],
          [inf, 1],
          [nan, 1],
        ]).logSumExp(1),
      ),
    ).toEqual(['-Infinity', 'Infinity', 'NaN']);
    await near(tensor([1000, 1000]).logSumExp(), [1000 + Math.LN2], 3);
  });

  it('norms', async () => {
    const x = tensor([
      [3, -4],
      [0, 0],
    ]);
    await near(x.norm(1), [5, 0]);
    await near(x.norm(1, { p: 1 }), [7, 0]);
    await near(x.norm(1, { p: inf }), [4, 0]);
    await near(x.norm(1, { p: 3 }), [91 ** (1 / 3), 0]);
  });
});

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

describe('products and windows', () => {
  it('matmul with broadcast batches', async () => {
    const a = t.arange(12).reshape([2, 1, 2, 3]);
    const b = t.arange(12).reshape([2, 3, 2]);
    const data = (await a.matmul(b).array()) as number[][][][];
    expect(data[1]![0]).toEqual([
      [6 * 0 + 7 * 2 + 8 * 4, 6 * 1 + 7 * 3 + 8 * 5],
      [9 * 0 + 10 * 2 + 11 * 4, 9 * 1 + 10 * 3 + 11 * 5],
    ]);
    expect(data[0]![1]![0]).toEqual([0 * 6 + 1 * 8 + 2 * 10, 0 * 7 + 1 * 9 + 2 * 11]);
  });

  it('an inner extent of 0 gives zeros', async () => {
    expect(
      await t
        .zeros([2, 0])
        .matmul(t.zeros([0, 2]))
        .array(),
    ).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  it('conv2d is a cross-correlation', async () => {
    const x = t.arange(9).cast('float32').reshape([1, 1, 3, 3]);
    const weight = tensor([
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]);
    expect(await x.conv2d(weight).flatten().array()).toEqual([27, 37, 57, 67]);
    expect(
      await x
        .conv2d(weight, { padding: 'same', bias: tensor([100]) })
        .flatten()
        .array(),
    ).toEqual([127, 137, 117, 157, 167, 129, 120, 123, 108]);
  });

  it('convTranspose2d puts the kernel down at every element', async () => {
    const x = tensor([[[[1, 2]]]]);
    const weight = tensor([
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ]);
    expect(await x.convTranspose2d(weight).array()).toEqual([
      [
        [
          [1, 4, 4],
          [3, 10, 8],
        ],
      ],
    ]);
    expect(await x.convTranspose2d(weight, { stride: 2 }).array()).toEqual([
      [
        [
          [1, 2, 2, 4],
          [3, 4, 6, 8],
        ],
      ],
    ]);
    expect(
      await x.convTranspose2d(weight, { stride: [1, 2], padding: [0, 1], outputPadding: [0, 1] }).array(),
    ).toEqual([
      [
        [
          [2, 2, 4],
          [4, 6, 8],
        ],
      ],
    ]);
  });

  it('groups do not mix', async () => {
    const x = t.ones([1, 2, 1, 1]);
    const weight = tensor([[[[2]]], [[[3]]], [[[5]]], [[[7]]]]);
    expect(
      await x
        .mul(tensor([1, 10]).reshape([2, 1, 1]))
        .conv2d(weight, { groups: 2 })
        .flatten()
        .array(),
    ).toEqual([2, 3, 50, 70]);
    const transposed = weight.reshape([2, 2, 1, 1]);
    expect(
      await x
        .mul(tensor([1, 10]).reshape([2, 1, 1]))
        .convTranspose2d(transposed, { groups: 2 })
        .flatten()
        .array(),
    ).toEqual([2, 3, 50, 70]);
  });

  it('pools', async () => {
    const x = t.arange(16).cast('float32').reshape([1, 1, 4, 4]);
    expect(await x.maxPool2d(2).flatten().array()).toEqual([5, 7, 13, 15]);
    expect(await x.neg().maxPool2d(3, { stride: 2, padding: 1 }).flatten().array()).toEqual([-0, -1, -4, -5]);
    expect(await x.cast('int32').maxPool2d(3, { stride: 1 }).flatten().array()).toEqual([10, 11, 14, 15]);
    expect(await x.avgPool2d(2).flatten().array()).toEqual([2.5, 4.5, 10.5, 12.5]);
    await near(x.avgPool2d(3, { stride: 2, padding: 1 }), [10 / 9, 24 / 9, 51 / 9, 90 / 9]);
    await near(x.avgPool2d(3, { stride: 2, padding: 1, countIncludePad: false }), [
      10 / 4,
      24 / 6,
      51 / 6,
      90 / 9,
    ]);
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

describe('softmax, norms and losses', () => {
  it('softmax of special rows', async () => {
    const x = tensor([
      [1000, 1000],
      [-inf, 0],
      [-inf, -inf],
      [inf, 0],
      [nan, 0],
    ]);
    expect(await texts(x.softmax())).toEqual([
      '0.5',
      '0.5',
      '0',
      '1',
      'NaN',
      'NaN',
      'NaN',
      'NaN',
      'NaN',
      'NaN',
    ]);
    await near(tensor([-inf, 0, 0]).logSoftmax(), [-inf, -Math.LN2, -Math.LN2]);
  });

  it('layerNorm and batchNorm by hand', async () => {
    const x = tensor([
      [1, 2, 3],
      [4, 6, 8],
    ]);
    const unit = Math.sqrt(1.5);
    await near(x.layerNorm(1, { eps: 0 }), [-unit, 0, unit, -unit, 0, unit], 5);
    await near(
      x.layerNorm([3], { eps: 0, weight: tensor([1, 2, 2]), bias: tensor([0, 1, 0]) }),
      [-unit, 1, 2 * unit, -unit, 1, 2 * unit],
      5,
    );
    const statistics = { mean: tensor([1, 2, 3]), variance: tensor([4, 1, 25]), eps: 0 };
    await near(x.batchNorm(statistics), [0, 0, 0, 1.5, 4, 1]);
    await near(
      x.unsqueeze(-1).batchNorm({ ...statistics, weight: tensor([2, 1, 1]), bias: tensor([0, 0, 5]) }),
      [0, 0, 5, 3, 4, 6],
    );
  });

  it('crossEntropy by hand', async () => {
    const x = tensor([
      [Math.log(1), Math.log(2), Math.log(5)],
      [0, 0, 0],
    ]);
    const labels = ints(1, 2);
    const losses = [Math.log(4), Math.log(3)];
    await near(x.crossEntropy(labels, { reduction: 'none' }), losses);
    await near(x.crossEntropy(labels), [(losses[0]! + losses[1]!) / 2]);
    await near(x.crossEntropy(labels, { reduction: 'sum' }), [losses[0]! + losses[1]!]);
    await near(x.crossEntropy(ints(1, -100), { ignoreIndex: -100 }), [losses[0]!]);
    const smooth = -(Math.log(1 / 8) + Math.log(2 / 8) + Math.log(5 / 8)) / 3;
    await near(x.slice([0, 1]).crossEntropy(ints(1), { labelSmoothing: 0.1 }), [
      0.9 * losses[0]! + 0.1 * smooth,
    ]);
    await near(x.slice([0, 1]).crossEntropy(tensor([[0, 1, 0]]), { labelSmoothing: 0.1 }), [
      0.9 * losses[0]! + 0.1 * smooth,
    ]);
    await near(x.logSoftmax().nllLoss(labels), [(losses[0]! + losses[1]!) / 2]);
    await near(tensor([[0, -inf, -inf]]).crossEntropy(ints(0)), [0]);
    expect(
      await tensor([[1, 2]])
        .crossEntropy(ints(-1), { ignoreIndex: -1 })
        .item(),
    ).toBeNaN();
  });

  it('losses of elements', async () => {
    const [x, y] = [tensor([0, 0.5, 3]), tensor([0, 0, 0])];
    await near(x.mseLoss(y), [9.25 / 3]);
    await near(x.l1Loss(y, { reduction: 'sum' }), [3.5]);
    await near(x.huberLoss(y, { reduction: 'none' }), [0, 0.125, 2.5]);
    await near(x.huberLoss(y, { reduction: 'none', delta: 2 }), [0, 0.125, 4]);
    const logits = tensor([-20, 0, 20, 100]);
    const losses = await logits
      .binaryCrossEntropyWithLogits(tensor([0, 0.5, 1, 0]), { reduction: 'none' })
      .data();
    for (const [i, goal] of [2.0611537e-9, Math.LN2, 2.0611537e-9, 100].entries())
      expect(losses[i]! / goal).toBeCloseTo(1, 5);
  });

  it('attention masks', async () => {
    const one = t.ones([3, 2]);
    const value = tensor([[1], [2], [6]]);
    await near(t.scaledDotProductAttention(one, one, value), [3, 3, 3]);
    await near(t.scaledDotProductAttention(one, one, value, { causal: true }), [1, 1.5, 3]);
    await near(
      t.scaledDotProductAttention(one, one, value, { mask: tensor([true, false, true]) }),
      [3.5, 3.5, 3.5],
    );
    await near(t.scaledDotProductAttention(one, one, value, { mask: tensor([0, -inf, -inf]) }), [1, 1, 1]);
  });
});
