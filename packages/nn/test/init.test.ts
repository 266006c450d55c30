import { ArgumentError, Generator, type Tensor } from '@tutti/core';
import { Conv2d, ConvTranspose2d, init, Linear } from '@tutti/nn';
import { describe, expect, test } from 'vitest';
import { onCpu } from './support.ts';

onCpu();

const count = 40_000;
const shape = [200, 200];

async function moments(x: Tensor): Promise<{ mean: number; deviation: number; low: number; high: number }> {
  const data = [...(await x.data())];
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  const variance = data.reduce((sum, value) => sum + (value - mean) ** 2, 0) / data.length;
  const low = data.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = data.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  return { mean, deviation: Math.sqrt(variance), low, high };
}

/** Five standard errors of a mean and of a standard deviation. */
function expectMoments(received: { mean: number; deviation: number }, mean: number, deviation: number): void {
  expect(Math.abs(received.mean - mean)).toBeLessThan((5 * deviation) / Math.sqrt(count));
  expect(Math.abs(received.deviation / deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * count));
}

describe('initialisers', () => {
  const generator = () => new Generator(11);

  test('constants', async () => {
    expect(await init.zeros([2, 2]).array()).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(await init.ones([2]).array()).toEqual([1, 1]);
    expect(await init.constant([2], 0.5).array()).toEqual([0.5, 0.5]);
  });

  test('uniform and normal', async () => {
    const uniform = await moments(init.uniform(shape, -1, 3, { generator: generator() }));
    expectMoments(uniform, 1, 4 / Math.sqrt(12));
    expect(uniform.low).toBeGreaterThanOrEqual(-1);
    expect(uniform.high).toBeLessThan(3);
    expectMoments(await moments(init.normal(shape, 2, 0.5, { generator: generator() })), 2, 0.5);
    expect(() => init.normal(shape, 0, -1)).toThrow(ArgumentError);
  });

  test('Xavier and Kaiming have the deviations of their formulas', async () => {
    const options = { generator: generator() };
    const weight = [100, 40, 2, 5]; // fan in 400, fan out 1000, 40,000 elements
    expectMoments(await moments(init.xavierUniform(weight, options)), 0, Math.sqrt(2 / 1400));
    expectMoments(
      await moments(init.xavierNormal(weight, { ...options, gain: 3 })),
      0,
      3 * Math.sqrt(2 / 1400),
    );
    expectMoments(await moments(init.kaimingUniform(weight, options)), 0, Math.sqrt(2 / 400));
    expectMoments(
      await moments(init.kaimingNormal(weight, { ...options, fan: 'out' })),
      0,
      Math.sqrt(2 / 1000),
    );
    const tanh = { ...options, nonlinearity: 'tanh' } as const;
    expectMoments(await moments(init.kaimingNormal(weight, tanh)), 0, 5 / 3 / Math.sqrt(400));
    const { low, high } = await moments(init.kaimingUniform(weight, { ...options, slope: Math.sqrt(5) }));
    expect(Math.max(-low, high)).toBeLessThanOrEqual(1 / 20);
  });

  test('truncNormal keeps to its bounds and has the moments of the truncated distribution', async () => {
    const standard = await moments(init.truncNormal(shape, { generator: generator() }));
    // Of a normal distribution cut at two deviations: variance 1 - 2 * 2 * pdf(2) / (cdf(2) - cdf(-2)).
    expect(Math.abs(standard.mean)).toBeLessThan(5 / Math.sqrt(count));
    expect(standard.deviation).toBeCloseTo(Math.sqrt(1 - (4 * 0.05399096651) / 0.9544997361), 2);
    expect(standard.low).toBeGreaterThanOrEqual(-2);
    expect(standard.high).toBeLessThanOrEqual(2);
    const side = await moments(
      init.truncNormal(shape, { mean: 1, deviation: 2, low: 2, high: 9, generator: generator() }),
    );
    expect(side.low).toBeGreaterThanOrEqual(2);
    expect(side.high).toBeLessThanOrEqual(9);
    // Mean of a normal distribution between a = 0.5 and b = 4: 1 + 2 * (pdf(a) - pdf(b)) / (cdf(b) - cdf(a)).
    expect(side.mean).toBeCloseTo(1 + (2 * (0.3520653268 - 0.0001338302)) / (0.9999683288 - 0.6914624613), 1);
    expect(() => init.truncNormal(shape, { low: 2, high: 1 })).toThrow(ArgumentError);
    expect(() => init.truncNormal(shape, { low: 20, high: 21 })).toThrow(ArgumentError);
  });

  test('layers start as PyTorch does: uniform within 1 / sqrt(fan in)', async () => {
    const bounds: [{ weight: Tensor; bias: Tensor | undefined }, number][] = [
      [new Linear(400, 100), 400],
      [new Conv2d(16, 50, 5, { groups: 2 }), 8 * 25],
      [new ConvTranspose2d(16, 50, 5, { groups: 2 }), 25 * 25],
    ];
    for (const [{ weight, bias }, fanIn] of bounds) {
      const bound = 1 / Math.sqrt(fanIn);
      for (const parameter of [weight, bias!]) {
        const { low, high } = await moments(parameter);
        expect(Math.max(-low, high)).toBeLessThanOrEqual(bound);
        expect(Math.max(-low, high)).toBeGreaterThan(0.8 * bound);
      }
    }
  });

  test('bad arguments', () => {
    expect(() => init.xavierUniform([3])).toThrow(ArgumentError);
    expect(() => init.gainOf('step' as never)).toThrow(/unknown nonlinearity/);
  });
});
