import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { ints, texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

const { tensor } = t;
const { POSITIVE_INFINITY: inf } = Number;
type Build = (x: t.Tensor) => t.Tensor;

/** A weighted sum, so that no gradient cancels and every element counts differently. */
const weighted = (y: t.Tensor): t.Tensor => y.mul(t.linspace(0.5, 1.5, y.size).reshape(y.shape)).sum();

const gradientOf = (build: Build): Build => t.grad((x: t.Tensor) => weighted(build(x))) as Build;

/** Central differences of the weighted sum. */
async function differences(build: Build, x: t.Tensor, step: number): Promise<number[]> {
  const points = [...(await x.data())];
  const at = async (i: number, offset: number): Promise<number> => {
    const moved = points.map((value, j) => (i === j ? value + offset : value));
    return weighted(build(tensor(moved, { shape: x.shape }))).item();
  };
  const slopes: number[] = [];
  for (const i of points.keys()) slopes.push(((await at(i, step)) - (await at(i, -step))) / (2 * step));
  return slopes;
}

async function expectSlopes(build: Build, x: t.Tensor): Promise<void> {
  const found = [...(await gradientOf(build)(x).data())];
  const expected = await differences(build, x, 1 / 64);
  for (const [i, slope] of expected.entries()) {
    expect(Math.abs(found[i]! - slope), `element ${i}: ${found[i]} and ${slope}`).toBeLessThan(
      4e-3 * Math.max(1, Math.abs(slope)),
    );
  }
}

const line = (): t.Tensor => tensor([-2.3, -0.7, 0.4, 1.1, 2.9, 0.9]);
const grid = (): t.Tensor => line().reshape([2, 3]);
/** Every value once, in no order: neighbours are 0.1 apart or more. */
const image = (): t.Tensor =>
  tensor(
    Array.from({ length: 32 }, (_, i) => ((i * 13) % 32) / 10 - 1.6),
    { shape: [1, 2, 4, 4] },
  );

describe('gradients are those of differences', () => {
  const cases: readonly (readonly [string, Build, () => t.Tensor])[] = [
    ['sigmoid', (x) => x.sigmoid(), line],
    ['logSigmoid', (x) => x.logSigmoid(), line],
    ['softplus', (x) => x.softplus(), line],
    ['silu', (x) => x.silu(), line],
    ['gelu', (x) => x.gelu(), line],
    ['gelu, tanh', (x) => x.gelu({ approximate: 'tanh' }), line],
    ['elu', (x) => x.elu(0.7), line],
    ['leakyRelu', (x) => x.leakyRelu(0.2), line],
    ['clamp', (x) => x.clamp(-1, 1), line],
    ['pow', (x) => x.pow(3).add(x.abs().pow(1.5)), line],
    ['remainder', (x) => x.remainder(2.5), line],
    ['tan', (x) => x.mul(0.3).tan(), line],
    ['log2', (x) => x.square().add(1).log2(), line],
    ['reciprocal', (x) => x.square().add(1).reciprocal(), line],
    ['std', (x) => x.std(1), grid],
    ['variance', (x) => x.var(0, { correction: 0 }), grid],
    ['norm', (x) => x.norm(1), grid],
    ['norm of order 3', (x) => x.norm(1, { p: 3 }), grid],
    ['logSumExp', (x) => x.logSumExp(1), grid],
    ['softmax', (x) => x.softmax(), grid],
    ['softmax over axis 0', (x) => x.softmax(0), grid],
    ['logSoftmax', (x) => x.logSoftmax(), grid],
    ['layerNorm', (x) => x.layerNorm(1, { weight: tensor([1, 2, 3]), bias: tensor([1, 1, 1]) }), grid],
    [
      'batchNorm of its own statistics',
      (x) => x.batchNorm({ mean: x.mean(0), variance: x.var(0, { correction: 0 }) }),
      grid,
    ],
    ['crossEntropy', (x) => x.crossEntropy(ints(2, 0), { labelSmoothing: 0.2 }), grid],
    [
      'crossEntropy with an ignored label',
      (x) => x.crossEntropy(ints(2, -1), { ignoreIndex: -1, reduction: 'sum' }),
      grid,
    ],
    [
      'binaryCrossEntropyWithLogits',
      (x) => x.binaryCrossEntropyWithLogits(tensor([0, 1, 0.3, 0.5, 1, 0]), { reduction: 'none' }),
      line,
    ],
    ['huberLoss', (x) => x.huberLoss(t.zeros([6]), { reduction: 'none' }), line],
    ['concat and slice', (x) => t.concat([x.slice([null, null, -2]), x, x.mul(2)]), line],
    ['tile', (x) => x.tile([2, 2]), grid],
    ['take', (x) => x.take(ints(1, 1, 0), 0), grid],
    ['scatterAdd', (x) => t.ones([3]).scatterAdd(ints(0, 0, 2, 1, 2, 2), x, 0), line],
    ['matmul', (x) => x.matmul(x.transpose()), grid],
    [
      'conv2d',
      (x) => x.conv2d(t.linspace(-1, 1, 24).reshape([4, 1, 3, 2]), { groups: 2, stride: [1, 2], padding: 1 }),
      image,
    ],
    [
      'convTranspose2d',
      (x) =>
        x.convTranspose2d(t.linspace(-1, 1, 36).reshape([2, 2, 3, 3]), {
          stride: 2,
          padding: 1,
          outputPadding: 1,
        }),
      image,
    ],
    ['maxPool2d', (x) => x.maxPool2d(2), image],
    ['maxPool2d, overlapping', (x) => x.maxPool2d(3, { stride: 1, padding: 1 }), image],
    ['avgPool2d', (x) => x.avgPool2d(3, { stride: 2, padding: 1, countIncludePad: false }), image],
    ['attention', (x) => t.scaledDotProductAttention(x, x.mul(0.5), x.add(1)), grid],
  ];
  it.each(cases)('%s', async (_, build, x) => {
    await expectSlopes(build, x());
  });
});

describe('rules of their own have gradients too', () => {
  const cases: readonly (readonly [string, Build])[] = [
    ['sigmoid', (x) => x.sigmoid()],
    ['softplus', (x) => x.softplus()],
    ['softmax', (x) => x.softmax()],
    ['logSoftmax', (x) => x.logSoftmax()],
    ['logSumExp', (x) => x.logSumExp(1)],
    ['binaryCrossEntropyWithLogits', (x) => x.binaryCrossEntropyWithLogits(t.full([2, 3], 0.3))],
  ];
  it.each(cases)('%s', async (_, build) => {
    await expectSlopes(gradientOf(build), grid());
  });
});

describe('where the chain rule would give NaN', () => {
  const sumGradient = (build: Build): Build => t.grad((x: t.Tensor) => build(x).sum()) as Build;

  it('saturated functions', async () => {
    const x = tensor([-1000, -100, 100, 1000]);
    expect(await texts(sumGradient((v) => v.sigmoid())(x))).toEqual(['0', '0', '0', '0']);
    for (const name of ['softplus', 'silu', 'gelu', 'elu'] as const) {
      const slopes = await sumGradient((v) => v[name]())(x).data();
      expect([...slopes].map(Math.abs), name).toEqual([0, expect.closeTo(0, 30), 1, 1]);
    }
  });

  it('at 0, where |x| has no slope', async () => {
    const zero = tensor([0]);
    expect(await sumGradient((x) => x.softplus())(zero).item()).toBe(0.5);
    expect(await sumGradient((x) => x.logSigmoid())(zero).item()).toBe(0.5);
    expect(await sumGradient((x) => x.binaryCrossEntropyWithLogits(tensor([0.25])))(zero).item()).toBe(0.25);
    expect(await sumGradient((x) => x.relu())(zero).item()).toBe(0);
    expect(await sumGradient((x) => x.elu(2))(zero).item()).toBe(2);
    expect(await sumGradient((x) => x.gelu())(zero).item()).toBe(0.5);
  });

  it('at the limits of clamp the slope is 1', async () => {
    expect(await sumGradient((x) => x.clamp(-1, 1))(tensor([-1, 1, -1.5])).array()).toEqual([1, 1, 0]);
  });

  it('roots of 0', async () => {
    const x = tensor([
      [2, 2],
      [0, 0],
    ]);
    expect(await texts(sumGradient((v) => v.std(1))(x))).toEqual(['0', '0', '0', '0']);
    expect(await texts(sumGradient((v) => v.norm(1))(tensor([[0, 0]])))).toEqual(['0', '0']);
    expect(await texts(sumGradient((v) => v.norm(1, { p: 3 }))(tensor([[0, 0]])))).toEqual(['0', '0']);
  });

  it('masked rows', async () => {
    expect(
      await sumGradient((v) => v.softmax().square())(tensor([-inf, 0, 0]))
        .abs()
        .array(),
    ).toEqual([0, 0, 0]);
    expect(
      await texts(
        sumGradient((v) => v.logSumExp(1))(
          tensor([
            [-inf, -inf],
            [-inf, 3],
          ]),
        ),
      ),
    ).toEqual(['0', '0', '0', '1']);
    expect(await texts(sumGradient((v) => v.crossEntropy(ints(1)))(tensor([[-inf, 0]])))).toEqual(['0', '0']);
  });

  it('what a select leaves out', async () => {
    expect(await texts(sumGradient((v) => t.where(v.gt(0), v, 0))(tensor([-inf, 2])))).toEqual(['0', '1']);
    expect(await texts(sumGradient((v) => v.huberLoss(t.zeros([2])))(tensor([1e30, -1e30])))).toEqual([
      '0.5',
      '-0.5',
    ]);
  });

  it('extremes that tie share the gradient', async () => {
    expect(await sumGradient((x) => x.max())(tensor([1, 3, 3])).array()).toEqual([0, 0.5, 0.5]);
    expect(
      await sumGradient((x) => x.maxPool2d(2))(t.ones([1, 1, 2, 2]))
        .flatten()
        .array(),
    ).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  it('powers of 0 and of negative numbers', async () => {
    expect(await sumGradient((x) => x.pow(2))(tensor([0, -3])).array()).toEqual([0, -6]);
    expect(await sumGradient((x) => x.pow(0))(tensor([0, 5])).array()).toEqual([0, 0]);
  });
});
