/** Values of elementwise operations and reductions, at the ends of their domains too. */
import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { ints, near, texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

const { tensor } = t;
const { POSITIVE_INFINITY: inf, NaN: nan } = Number;

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
