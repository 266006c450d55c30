/** The gradient of attention as a program asks for it: right, and without the matrix of the weights. */
import {
  grad,
  memory,
  realize,
  registerBackend,
  scaledDotProductAttention,
  setDefaultDevice,
  type Tensor,
  tensor,
  unregisterBackend,
} from '@tutti/core';
import type { Program } from '@tutti/core/backend';
import { interpreterBackend } from '@tutti/core/testing';
import { afterEach, expect, it, vi } from 'vitest';
import { id, take } from './support/default-device.ts';

afterEach(() => unregisterBackend('interpreter'));

const loss = (q: Tensor, k: Tensor, v: Tensor, weights: Tensor): Tensor =>
  scaledDotProductAttention(q, k, v, { causal: true }).mul(weights).sum();

/** Numbers between -2 and 2. */
function operand(...shape: number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * i + shape.length + count) * 2),
    { shape },
  );
}

async function gradients(): Promise<readonly number[][]> {
  const operands = [operand(2, 20, 8), operand(2, 30, 8), operand(2, 30, 6), operand(2, 20, 6)] as const;
  const results = grad(loss, [0, 1, 2])(...operands);
  return Promise.all(results.map(async (x) => [...(await x.data())]));
}

it('agrees with the reference', async () => {
  registerBackend(interpreterBackend({ name: 'interpreter' }));
  await setDefaultDevice('interpreter');
  const want = await gradients();
  await take();
  const got = await gradients();
  for (const [i, numbers] of want.entries())
    for (const [j, number] of numbers.entries()) expect(got[i]![j]).toBeCloseTo(number, 5);
});

it.each(['float16', 'bfloat16'] as const)('of %s runs on tensor cores', async (dtype) => {
  const backend = await take();
  const routine = vi.spyOn(backend, 'routine');
  const [q, k, v] = [operand(64, 32), operand(64, 32), operand(64, 32)].map((x) => x.cast(dtype));
  await realize(q!, k!, v!);
  await realize(...grad(loss, [0, 1, 2])(q!, k!, v!, operand(64, 32)));
  const asked = routine.mock.calls.findLastIndex(([{ kind }]) => kind === 'attentionGradient');
  const row = { dtype, offset: 0, row: 32, column: 1 };
  expect(routine.mock.calls[asked]![0]).toMatchObject({ query: row, key: row, value: row });
  expect((routine.mock.results[asked]!.value as Program).source()).toContain('tutti_mma_');
});

it('takes less memory than the weights would', async () => {
  const backend = await take();
  const routine = vi.spyOn(backend, 'routine');
  const [length, width] = [512, 8];
  const x = operand(length, width);
  await realize(...grad(loss, [0, 1, 2])(x, x.add(1), x.mul(2), x));
  const asked = routine.mock.calls.map(([anchor]) => anchor);
  const gradient = asked.filter(({ kind }) => kind === 'attentionGradient');
  expect(gradient.at(-1)).toMatchObject({ of: ['query', 'key', 'value'] });
  for (const { buffers } of gradient)
    for (const { length: elements } of buffers) expect(elements).toBeLessThan(length * length);
  expect(memory()[id]!.reserved).toBeLessThan(length * length * 4);
}, 60_000);
