/** The text of kernels for GPUs that are not here. */
import { kernelCases, randomKernel } from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { architectures, assemble, hasNvcc, typicalUnits } from '../scripts/assemble.mjs';
import { compileKernel } from '../src/kernels/index.ts';
import { wholePrelude } from '../src/kernels/prelude.ts';
import { hopper, tiny } from './support/features.ts';

/** Each text once. */
function units(): { name: string; code: string }[] {
  const random = Array.from({ length: 40 }, (_, seed) => randomKernel(seed).kernel);
  const kernels = [...kernelCases().map(({ kernel }) => kernel), ...random];
  const texts = new Map(typicalUnits(compileKernel).map(({ name, code }) => [code, name]));
  for (const [i, kernel] of kernels.entries()) {
    // One in so many of the cases, of which many differ in a constant.
    if (i < kernels.length - random.length && i % 13 > 0) continue;
    for (const { code } of compileKernel(kernel, i % 2 === 0 ? hopper : tiny).stages)
      texts.set(code, kernel.name);
  }
  return [...texts].map(([code, name]) => ({ name, code }));
}

const isHere = hasNvcc();

describe.skipIf(!isHere)(`text that nvcc assembles${isHere ? '' : ' (skipped: there is no nvcc)'}`, () => {
  test.concurrent.each(architectures)(
    'for %s, without spilled registers',
    { timeout: 240_000 },
    async (architecture) => {
      const resources = await assemble(units(), architecture);
      expect(resources.filter(({ spills }) => spills > 0)).toEqual([]);
    },
  );

  test.concurrent.each(architectures)(
    'every section of the prelude, for %s',
    { timeout: 120_000 },
    async (architecture) => {
      const code = `${wholePrelude}\nextern "C" __global__ void kernel_main(float* x) { *x = tutti_max(*x, 0.0f); }`;
      await assemble([{ name: 'prelude', code }], architecture);
    },
  );
});
