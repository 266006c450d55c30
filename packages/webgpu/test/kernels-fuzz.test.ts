import { printKernel } from '@tutti/core/backend';
import { interpretKernel, randomKernel } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { make } from './support/device.ts';
import { difference, hardware, runProgram, software } from './support/kernels.ts';

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 150);

/** `folded`: so few workgroups in a dimension that every grid has two. */
const machines = { software, hardware, folded: { ...software, maxWorkgroups: 5 } };

test(
  'random kernels agree with the interpreter, whatever they are planned for',
  async () => {
    const backend = await make();
    for (let seed = first; seed < first + count; seed++) {
      const { kernel, buffers, scalars } = randomKernel(seed, { mostBuffers: 12, denormals: false });
      const want = buffers.map((buffer) => buffer.slice());
      interpretKernel(kernel, want, scalars);
      for (const [name, features] of Object.entries(machines)) {
        const program = compileKernel(kernel, features);
        const wrong = difference(kernel, await runProgram(backend, kernel, program, buffers, scalars), want);
        if (wrong)
          expect.fail(`seed ${seed}, ${name}: ${wrong}\n${printKernel(kernel)}\n${program.source()}`);
      }
    }
  },
  10_000 + 1000 * count,
);
