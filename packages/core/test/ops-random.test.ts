import { beforeAll, beforeEach, expect, it } from 'vitest';
import * as t from './all.ts';
import { useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);
beforeEach(() => t.manualSeed(42));

const values = async (x: t.Tensor): Promise<number[]> => [...(await x.data())];

it('a seed gives the same stream again, draw by draw', async () => {
  const first = [await values(t.rand([4])), await values(t.rand([4]))];
  expect(first[0]).not.toEqual(first[1]);
  t.manualSeed(42);
  expect([await values(t.rand([4])), await values(t.rand([4]))]).toEqual(first);
  t.manualSeed(43);
  expect(await values(t.rand([4]))).not.toEqual(first[0]);
});

it('a generator has a stream of its own', async () => {
  const shared = await values(t.rand([4]));
  const generator = new t.Generator(42);
  expect(await values(t.rand([4], { generator }))).toEqual(shared);
  await values(t.rand([4]));
  generator.seed(42);
  expect(await values(t.rand([4], { generator }))).toEqual(shared);
  expect(await values(generator.state)).toEqual([42, 1]);
});

it('draws in the order of the program, whatever is read first', async () => {
  const [a, b] = [t.rand([3]), t.rand([3])];
  const second = await values(b);
  const first = await values(a);
  t.manualSeed(42);
  expect([await values(t.rand([3])), await values(t.rand([3]))]).toEqual([first, second]);
});

it('inside jit every run draws anew, and the stream goes on outside', async () => {
  const eager = [await values(t.rand([3])), await values(t.rand([3])), await values(t.rand([3]))];
  t.manualSeed(42);
  const draw = t.jit(() => t.rand([3]));
  const traced = [await values(await draw()), await values(await draw()), await values(t.rand([3]))];
  expect(traced).toEqual(eager);
});

it('rand stays in [0, 1), also where 1 is the nearest float', async () => {
  for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
    const x = await values(t.rand([2000], { dtype }));
    expect(Math.min(...x)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...x)).toBeLessThan(1);
    expect(x.reduce((a, b) => a + b) / x.length).toBeCloseTo(0.5, 1);
  }
});

it('randn has mean 0 and variance 1', async () => {
  const x = await values(t.randn([4000]));
  const mean = x.reduce((a, b) => a + b) / x.length;
  const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length;
  expect(Math.abs(mean)).toBeLessThan(0.06);
  expect(Math.abs(variance - 1)).toBeLessThan(0.08);
  expect(x.every(Number.isFinite)).toBe(true);
});

it('randint covers its range and nothing else', async () => {
  const x = await values(t.randint(-3, 4, [700]));
  expect(new Set(x)).toEqual(new Set([-3, -2, -1, 0, 1, 2, 3]));
  const bytes = await values(t.randint(0, 256, [100], { dtype: 'uint8' }));
  expect(new Set(bytes).size).toBeGreaterThan(50);
});

it('randint multiplies its bits by the range exactly', async () => {
  for (const [low, high, dtype] of [
    [-(2 ** 31), 2 ** 31, 'int32'],
    [0, 2 ** 32, 'uint32'],
    [5, 3_000_000_000, 'uint32'],
    [-7, 2 ** 31, 'int32'],
    [0, 65537, 'int32'],
  ] as const) {
    t.manualSeed(7);
    const bits = await values(t.defaultGenerator().bits([64]));
    t.manualSeed(7);
    const expected = bits.map((word) => Number((BigInt(word) * BigInt(high - low)) >> 32n) + low);
    expect(await values(t.randint(low, high, [64], { dtype }))).toEqual(expected);
  }
});

it('bernoulli and dropout keep with their probability', async () => {
  const kept = await values(t.bernoulli([2000], 0.2));
  expect(Math.abs(kept.reduce((a, b) => a + b) / 2000 - 0.2)).toBeLessThan(0.04);
  const dropped = await values(t.ones([2000]).dropout(0.25));
  expect(new Set(dropped)).toEqual(new Set([0, Math.fround(4 / 3)]));
  expect(Math.abs(dropped.filter((value) => value === 0).length / 2000 - 0.25)).toBeLessThan(0.04);
});

it('dropout at its limits', async () => {
  const x = t.tensor([1, Number.NaN, Number.POSITIVE_INFINITY]);
  expect(await values(x.dropout(1))).toEqual([0, 0, 0]);
  expect(await values(x.dropout(0))).toEqual(await values(x));
  expect(await values(x.dropout(0.5, { training: false }))).toEqual(await values(x));
  const parameter = t.variable(t.ones([2]));
  parameter.dropout(1).sum().backward();
  expect(await values(parameter.grad!)).toEqual([0, 0]);
});

it('the gradient of dropout goes where the value went', async () => {
  const x = t.variable(t.ones([50]));
  const y = x.dropout(0.5);
  y.sum().backward();
  expect(await values(x.grad!)).toEqual(await values(y));
});

it('a draw of nothing counts', async () => {
  expect(await values(t.rand([0, 3]))).toEqual([]);
  expect(await values(t.defaultGenerator().state)).toEqual([42, 1]);
});
