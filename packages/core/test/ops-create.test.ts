import { beforeAll, describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { texts, useInterpreter } from './ops-support.ts';

beforeAll(useInterpreter);

describe('tensor', () => {
  it('infers shape and dtype', () => {
    const cases: [t.Tensor, readonly number[], t.DType][] = [
      [t.tensor(3), [], 'float32'],
      [t.tensor(true), [], 'bool'],
      [t.tensor([1, 2]), [2], 'float32'],
      [t.tensor([[true], [false]]), [2, 1], 'bool'],
      [t.tensor([[], []]), [2, 0], 'float32'],
      [t.tensor(new Float64Array(2)), [2], 'float32'],
      [t.tensor(new Int32Array(2)), [2], 'int32'],
      [t.tensor(new Int8Array(2)), [2], 'int32'],
      [t.tensor(new Uint32Array(2)), [2], 'uint32'],
      [t.tensor(new Uint8ClampedArray(4), { shape: [2, 2] }), [2, 2], 'uint8'],
    ];
    for (const [x, shape, dtype] of cases) {
      expect(x.shape).toEqual(shape);
      expect(x.dtype).toBe(dtype);
    }
  });

  it('copies the data', async () => {
    const data = Float32Array.of(1, 2);
    const x = t.tensor(data);
    data[0] = 9;
    expect(await x.array()).toEqual([1, 2]);
  });

  it('rounds to the dtype', async () => {
    expect(await t.tensor([0.1, 70000], { dtype: 'float16' }).array()).toEqual([
      0.0999755859375,
      Number.POSITIVE_INFINITY,
    ]);
    expect(await t.tensor([0.1], { dtype: 'bfloat16' }).array()).toEqual([0.10009765625]);
    expect(await t.tensor([0, 2, Number.NaN], { dtype: 'bool' }).array()).toEqual([false, true, true]);
    expect(await t.tensor([true, false], { dtype: 'int32' }).array()).toEqual([1, 0]);
    expect(await t.tensor(Uint8Array.of(0, 7), { dtype: 'bool' }).array()).toEqual([false, true]);
    expect(await t.tensor(Float32Array.of(2, 3), { dtype: 'uint8' }).array()).toEqual([2, 3]);
  });

  it('keeps what float32 can hold', async () => {
    expect(await texts(t.tensor([-0, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** -149]))).toEqual([
      '-0',
      'NaN',
      '-Infinity',
      String(2 ** -149),
    ]);
  });

  it('makes a variable where a gradient is asked for', () => {
    const x = t.tensor([1, 2], { requiresGrad: true });
    expect(x).toBeInstanceOf(t.Variable);
    expect(() => t.tensor([1], { dtype: 'int32', requiresGrad: true })).toThrow(t.DTypeError);
  });

  it('refuses what it cannot hold', () => {
    expect(() => t.tensor([[1, 2], [3]])).toThrow(
      /ragged data, an array of 1 at \[1\] where there should be an array of 2/,
    );
    expect(() => t.tensor([[1], 2])).toThrow(/ragged data, 2 at \[1\]/);
    expect(() => t.tensor([1, [2]])).toThrow(
      /ragged data, an array of 1 at \[1\] where there should be a number/,
    );
    expect(() => t.tensor([1, true])).toThrow(t.ArgumentError);
    expect(() => t.tensor([[1], ['2']] as never)).toThrow(/"2" at \[1, 0\]/);
    expect(() => t.tensor([1, 2.5], { dtype: 'int32' })).toThrow(/2.5 does not fit int32/);
    expect(() => t.tensor([256], { dtype: 'uint8' })).toThrow(t.ArgumentError);
    expect(() => t.tensor([1, 2, 3], { shape: [2, 2] })).toThrow(/3 elements do not fill shape \[2, 2\]/);
    expect(() => t.tensor(new BigInt64Array(1) as never)).toThrow(t.DTypeError);
    expect(() => t.tensor([1], { dtype: 'float64' as never })).toThrow(t.DTypeError);
  });
});

describe('tensors of a rule', () => {
  it('full', async () => {
    expect(await t.full([2], true).array()).toEqual([true, true]);
    expect(await t.full([1], 0.1, { dtype: 'float16' }).array()).toEqual([0.0999755859375]);
    expect(t.zerosLike(t.tensor([1], { dtype: 'uint8' })).dtype).toBe('uint8');
    expect(await t.onesLike(t.tensor([5]), { dtype: 'int32' }).array()).toEqual([1]);
    expect(() => t.full([1], 300, { dtype: 'uint8' })).toThrow(t.ArgumentError);
  });

  it('arange', async () => {
    expect(t.arange(3).dtype).toBe('int32');
    expect(await t.arange(3).array()).toEqual([0, 1, 2]);
    expect(await t.arange(7, 0, -3).array()).toEqual([7, 4, 1]);
    expect(await t.arange(3, 3).array()).toEqual([]);
    expect(t.arange(0, 1, 0.25).dtype).toBe('float32');
    expect(await t.arange(0, 1, 0.25).array()).toEqual([0, 0.25, 0.5, 0.75]);
    expect(await t.arange(3, 0, -1, { dtype: 'float32' }).array()).toEqual([3, 2, 1]);
    expect(await t.arange(4294967294, 4294967296, 1, { dtype: 'uint32' }).array()).toEqual([
      4294967294, 4294967295,
    ]);
    expect(() => t.arange(300, undefined, 1, { dtype: 'uint8' })).toThrow(/299 does not fit uint8/);
  });

  it('a long arange is near the double one', async () => {
    const x = await t.arange(0, 10000, 0.125).data();
    expect(x.length).toBe(80000);
    for (const i of [1, 12345, 79999]) expect(x[i]).toBe(i * 0.125);
  });

  it('linspace hits both ends, short and long', async () => {
    for (const count of [7, 70001]) {
      const x = await t.linspace(-1, 0.3, count).data();
      expect(x.length).toBe(count);
      expect([x[0], x[count - 1]]).toEqual([-1, Math.fround(0.3)]);
      expect(x[(count - 1) / 2]).toBeCloseTo(-0.35, 6);
    }
    expect(await t.linspace(2, 5, 1).array()).toEqual([2]);
    expect(await t.linspace(2, 5, 0).array()).toEqual([]);
  });

  it('eye', async () => {
    expect(await t.eye(2, 3, { dtype: 'int32' }).array()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(t.eye(0).shape).toEqual([0, 0]);
  });
});
