/** What compilers of shaders would simplify, or round twice, if they saw it. */
import { registerBackend, setDefaultDevice, tensor, unregisterBackend } from '@tutti/core';
import { useDriver } from '@tutti/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { webgpu } from '../src/index.ts';

await useDriver();

beforeAll(async () => {
  registerBackend(webgpu);
  await setDefaultDevice('webgpu');
});
afterAll(() => unregisterBackend('webgpu'));

describe('sums', () => {
  const a = [1e20, Number.POSITIVE_INFINITY, 3, Number.NaN];
  it('a + (b - a) is not b', async () => {
    const [x, y] = [tensor(a), tensor([1, 1, 1, 1])];
    expect([...(await x.add(y.sub(x)).data())]).toEqual([0, Number.NaN, 1, Number.NaN]);
  });
  it('(a + b) - a is not b', async () => {
    const [x, y] = [tensor(a), tensor([1, 1, 1, 1])];
    expect([...(await x.add(y).sub(x).data())]).toEqual([0, Number.NaN, 1, Number.NaN]);
  });
});

it('a product with an integer that is 0 keeps NaN', async () => {
  const zero = tensor(Int32Array.from([7, 7, 7]));
  const x = tensor([Number.NaN, Number.POSITIVE_INFINITY, 1]);
  expect([...(await zero.sub(zero).cast('float32').mul(x).data())]).toEqual([Number.NaN, Number.NaN, 0]);
});

it('large uint32 are rounded once', async () => {
  const values = [4294967166, 4294967167, 4294967168, 4294967169, 4294967295, 2147483776, 33554433];
  const got = await tensor(Uint32Array.from(values)).cast('float32').data();
  expect([...got]).toEqual(values.map(Math.fround));
});
