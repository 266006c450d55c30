import { add, div, exp, matmul, mul, sub, sum, type Tensor, tensor } from '@tutti/core';
import { fromHost } from '@tutti/core/graph';
import { beforeAll, describe, expect, it } from 'vitest';
import { cases } from '../src/cases/index.ts';
import { buildSample } from '../src/check/expectation.ts';
import { evaluate, evaluateAll } from '../src/oracle/index.ts';
import { agrees, compare } from '../src/tolerance/index.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

const f32 = (...values: number[]): Tensor => fromHost(Float32Array.from(values), [values.length], 'float32');
const errors = (x: Tensor): number[] => [...evaluate(x, { errors: true }).errors!];

describe('agrees', () => {
  it('takes NaN only for NaN and an infinity only for itself', () => {
    expect(agrees(Number.NaN, Number.NaN, 0, 'float32')).toBe(true);
    expect(agrees(Number.NaN, 1, 1e9, 'float32')).toBe(false);
    expect(agrees(1, Number.NaN, 1e9, 'float32')).toBe(false);
    expect(agrees(Infinity, Infinity, 0, 'float32')).toBe(true);
    expect(agrees(-Infinity, Infinity, 1, 'float32')).toBe(false);
    expect(agrees(3.4e38, Infinity, 1, 'float32')).toBe(false);
  });

  it('tells zeros apart where the result is exact', () => {
    expect(agrees(-0, 0, 0, 'float32')).toBe(false);
    expect(agrees(-0, 0, 1e-40, 'float32')).toBe(true);
    expect(agrees(-0, 0, 0, 'int32')).toBe(true);
  });

  it('judges nothing where nothing is known', () => {
    expect(agrees(Number.NaN, 1, Infinity, 'float32')).toBe(true);
  });
});

describe('the policy', () => {
  it('allows nothing where float32 holds the result', () => {
    expect(errors(add(f32(1, 0.5), f32(2, -0.5)))).toEqual([0, 0]);
    expect(errors(mul(f32(3), f32(7)))).toEqual([0]);
    expect(errors(f32(1.5).cast('int32'))).toEqual([0]);
  });

  it('allows an ulp where a sum rounds, and no more', () => {
    expect(errors(add(f32(1), f32(1e-9)))).toEqual([2 ** -23]);
    expect(errors(div(f32(1), f32(3)))[0]).toBeLessThan(3 * 2 ** -25);
  });

  it('judges cancellation by what was cancelled', () => {
    const third = div(f32(1), f32(3));
    const [difference] = errors(sub(third, div(f32(1), f32(3))));
    expect(difference).toBeGreaterThan(2 ** -26);
    expect(difference).toBeLessThan(2 ** -22);
  });

  it('grows with the square root of the length of a sum', () => {
    const bound = (length: number): number =>
      errors(sum(tensor(new Float32Array(length).fill(1))))[0]! / length;
    expect(bound(10_000) / bound(100)).toBeGreaterThan(5);
    expect(bound(10_000) / bound(100)).toBeLessThan(12);
  });

  it('does not let one lost term of a long sum pass', () => {
    const values = new Float32Array(4096).map((_, i) => 1 + (i % 7) / 8);
    const expected = evaluate(sum(tensor(values)), { errors: true });
    const short = values.slice(0, -1).reduce((a, b) => a + b, 0);
    expect(compare({ shape: [], dtype: 'float32', values: [short] }, expected).ok).toBe(false);
    expect(
      compare({ shape: [], dtype: 'float32', values: [Math.fround(short + values.at(-1)!)] }, expected).ok,
    ).toBe(true);
  });

  it('frees a comparison only where its operands are not known well enough', () => {
    const third = div(f32(1, 1), f32(3, 3));
    expect(errors(third.lt(f32(Math.fround(1 / 3), 0.5)))).toEqual([1, 0]);
  });

  it('frees overflow only at the border', () => {
    const { values, errors: bounds } = evaluate(exp(f32(88, 100, 88.72284)), { errors: true });
    expect([...values.slice(1, 2)]).toEqual([Infinity]);
    expect(bounds![0]).toBeLessThan(Infinity);
    expect(bounds![1]).toBe(0);
    expect(bounds![2]).toBe(Infinity);
  });

  it('refuses a wrong shape or dtype', () => {
    const expected = evaluate(matmul(tensor([[1, 2]]), tensor([[1], [2]])), { errors: true });
    expect(compare({ shape: [1], dtype: 'float32', values: [5] }, expected).reason).toContain('[1, 1]');
    expect(compare({ shape: [1, 1], dtype: 'int32', values: [5] }, expected).ok).toBe(false);
  });
});

describe('a device that rounds every operation to float32', () => {
  it('is within the bounds on every case', () => {
    const failures: string[] = [];
    for (const opCase of cases) {
      for (const sample of opCase.samples(opCase.dtypes[0]!)) {
        const { outputs } = buildSample(sample);
        const expected = evaluateAll(outputs, { errors: true });
        const rounded = evaluateAll(outputs, { singlePrecision: true });
        for (const [i, value] of rounded.entries()) {
          const { ok, reason } = compare(value, expected[i]!);
          if (!ok) failures.push(`${opCase.name} ${sample.label}: ${reason}`);
        }
      }
    }
    expect(failures).toEqual([]);
  }, 60_000);
});
