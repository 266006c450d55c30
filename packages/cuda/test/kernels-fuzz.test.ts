import { randomCase } from '@tutti/core/testing';
import { test } from 'vitest';
import { make } from './support/device.ts';
import { checkKernel } from './support/kernels.ts';
import { rowProgramCase } from './support/row-programs.ts';

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 40);

test.each([
  [`${count} random kernels`, (seed: number) => randomCase(seed)],
  [`${count} random row programs`, rowProgramCase],
] as const)(
  '%s agree with the interpreter, whatever they are planned for',
  async (_, caseOf) => {
    const backend = await make({ cache: 'off' });
    for (let seed = first; seed < first + count; seed += 2)
      await Promise.all([0, 1].map((next) => checkKernel(backend, caseOf(seed + next))));
  },
  10_000 + 2000 * count,
);
