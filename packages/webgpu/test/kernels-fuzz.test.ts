import { randomCase } from '@tutti/core/testing';
import { test } from 'vitest';
import { checkKernel, hardware, software } from './support/kernels.ts';

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 150);

/** `folded`: so few workgroups in a dimension that every grid has two. */
const machines = { software, hardware, folded: { ...software, maxWorkgroups: 5 } };

test.concurrent.each(Array.from({ length: count }, (_, i) => first + i))(
  'random kernel %i agrees with the interpreter, whatever it is planned for',
  { timeout: 120_000 },
  (seed) => checkKernel(randomCase(seed, { mostBuffers: 12, denormals: false }), machines),
);
