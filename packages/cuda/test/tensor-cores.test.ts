/** What a program of 16-bit tensors runs on: tensor cores, with the operands as they are stored. */
import { conv2d, matmul, rand, scaledDotProductAttention, type Tensor } from '@tutti/core';
import type { Program } from '@tutti/core/backend';
import { expect, it, vi } from 'vitest';
import { take } from './support/default-device.ts';

const programs: Readonly<Record<string, (make: (...shape: number[]) => Tensor) => Tensor>> = {
  'a matrix product': (make) => matmul(make(192, 192), make(192, 192)),
  'a product with a transpose': (make) => matmul(make(192, 192), make(192, 192).transpose()),
  'a convolution': (make) => conv2d(make(2, 32, 18, 18), make(64, 32, 3, 3)),
  attention: (make) => scaledDotProductAttention(make(2, 64, 32), make(2, 64, 32), make(2, 64, 32)),
};

it.each(
  Object.entries(programs).flatMap(([name, program]) =>
    (['float16', 'bfloat16'] as const).map((dtype) => ({ name, program, dtype })),
  ),
)('$name of $dtype', async ({ program, dtype }) => {
  const backend = await take();
  const made: (Program | undefined)[] = [];
  const routine = backend.routine.bind(backend);
  vi.spyOn(backend, 'routine').mockImplementation((anchor) => {
    const program = routine(anchor);
    made.push(program);
    return program;
  });
  const make = (...shape: number[]): Tensor => rand(shape, { dtype });
  const result = program(make);
  expect(result.dtype).toBe(dtype);
  await result.data();
  expect(made.at(-1)?.source()).toContain('tutti_mma_');
});
