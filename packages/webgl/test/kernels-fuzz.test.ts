import { randomCase } from '@tutti/core/testing';
import { test } from 'vitest';
import { checkKernels } from './support/run.ts';

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 150);

test.each(['software', 'hardware'])(
  `${count} random kernels agree with the interpreter, planned for %s`,
  (kind) =>
    checkKernels(
      Array.from({ length: count }, (_, i) =>
        randomCase(first + i, { mostBuffers: 12, denormals: false, simple: true }),
      ),
      () => ({ software: kind === 'software' }),
    ),
  10_000 + 500 * count,
);
