/** Values of what networks are made of: products, windows, norms, losses. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { ints, near, texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

const { tensor } = t;
const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

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
