/** The text of kernels for GPUs that are not here. */
import { jointCases, kernelCases, randomKernel } from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { architectures, assemble, hasNvcc, typicalUnits } from '../scripts/assemble.mjs';
import { compileJoint, compileKernel } from '../src/kernels/index.ts';
import { wholePrelude } from '../src/kernels/prelude.ts';
import { hopper, tiny } from './support/features.ts';

/** One in so many cases. */
const share = 13;

/** Those of joint kernels, each once. */
function jointUnits(): { name: string; code: string }[] {
  const stages = jointCases().flatMap(({ joint }) => compileJoint(joint, hopper).stages);
  return [...new Set(stages.map(({ code }) => code))].map((code, i) => ({ name: `joint kernel ${i}`, code }));
}

/** Each text once. */
function units(): { name: string; code: string }[] {
  const random = Array.from({ length: 40 }, (_, seed) => randomKernel(seed).kernel);
  const kernels = [...kernelCases().map(({ kernel }) => kernel), ...random];
  const texts = new Map(typicalUnits(compileKernel).map(({ name, code }) => [code, name]));
  for (const [i, kernel] of kernels.entries()) {
    // Of the cases many differ in a constant.
    if (i < kernels.length - random.length && i % share > 0) continue;
    for (const { code } of compileKernel(kernel, i % 2 === 0 ? hopper : tiny).stages)
      texts.set(code, kernel.name);
  }
  return [...texts].map(([code, name]) => ({ name, code }));
}

const isHere = hasNvcc();

describe.skipIf(!isHere)(
  `text of one case in ${share}, which nvcc assembles${isHere ? '' : ' (skipped: there is no nvcc)'}`,
  () => {
    test.concurrent.each(architectures)(
      'for %s, without spilled registers',
      { timeout: 240_000 },
      async (architecture) => {
        const resources = await assemble(units(), architecture);
        expect(resources.filter(({ spills }) => spills > 0)).toEqual([]);
      },
    );

    test.concurrent.each(architectures)(
      'joint kernels, for %s, which find their parts without a copy of the table',
      { timeout: 120_000 },
      async (architecture) => {
        const resources = await assemble(jointUnits(), architecture);
        expect(resources.filter(({ spills, stack }) => spills > 0 || stack > 0)).toEqual([]);
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
  },
);
