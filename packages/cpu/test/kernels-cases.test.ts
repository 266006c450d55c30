/** The cases of all backends, however they are vectorised and cut. */
import { type Kernel, printKernel } from '@tutti/core/backend';
import { type KernelCase, kernelCases } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileWith } from '../src/kernels/compile.ts';
import { compileKernel } from '../src/kernels/index.ts';
import { loopStrategy, scalarStrategy, spaceStrategy } from '../src/kernels/strategy.ts';
import { runKernel } from './kernels/harness.ts';

const programs = {
  scalar: (kernel: Kernel) => compileWith(kernel, scalarStrategy),
  loops: (kernel: Kernel) => compileWith(kernel, (graph) => loopStrategy(graph)),
  space: (kernel: Kernel) => compileWith(kernel, (graph) => spaceStrategy(graph)),
  chosen: compileKernel,
};

function check({ kernel, scalars, contents, check }: KernelCase): void {
  for (const [name, compile] of Object.entries(programs)) {
    const wrong = check(runKernel(kernel, compile(kernel), contents(), scalars, 3));
    if (wrong) expect.fail(`over ${name}: ${wrong}\n${printKernel(kernel)}`);
  }
}

test.each(kernelCases())('$name', check);
