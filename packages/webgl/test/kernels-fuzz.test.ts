import { printKernel } from '@tutti/core/backend';
import { interpretKernel, randomKernel } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { difference } from './support/difference.ts';
import { pageFeatures, runPrograms } from './support/run.ts';

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 150);

test(
  'random kernels agree with the interpreter, whatever they are planned for',
  async () => {
    const features = await pageFeatures();
    for (const software of [true, false]) {
      const samples = Array.from({ length: count }, (_, i) =>
        randomKernel(first + i, { mostBuffers: 12, denormals: false, simple: true }),
      );
      const programs = samples.map(({ kernel }) => compileKernel(kernel, { ...features, software }));
      const results = await runPrograms(
        samples.map(({ kernel, buffers, scalars }, i) => ({
          program: programs[i]!,
          buffers: kernel.buffers,
          contents: buffers,
          scalars,
        })),
      );
      for (const [i, { kernel, buffers, scalars }] of samples.entries()) {
        interpretKernel(kernel, buffers, scalars);
        const wrong = difference(kernel, results[i]!, buffers);
        if (wrong)
          expect.fail(
            `seed ${first + i}, ${software ? 'software' : 'hardware'}: ${wrong}\n${printKernel(kernel)}\n${programs[i]!.source()}`,
          );
      }
    }
  },
  10_000 + 1000 * count,
);
