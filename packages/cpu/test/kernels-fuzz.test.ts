import { dtypeInfo, type Kernel, printKernel } from '@tutti/core/backend';
import { type BufferContents, interpretKernel, randomKernel, readElement } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel, compileWith } from '../src/kernels/compile.ts';
import { loopStrategy, scalarStrategy, spaceStrategy } from '../src/kernels/strategy.ts';
import { runKernel } from './kernels/harness.ts';

/** The first element that differs; NaNs are equal, zeros of different sign are not. */
function difference(
  kernel: Kernel,
  got: readonly BufferContents[],
  want: readonly BufferContents[],
): string | undefined {
  for (const [i, { dtype, length }] of kernel.buffers.entries()) {
    for (let k = 0; k < length; k++) {
      const [a, b] = [readElement(dtype, got[i]!, k), readElement(dtype, want[i]!, k)];
      const same = dtypeInfo[dtype].scalar === 'f32' ? Object.is(a, b) : got[i]![k] === want[i]![k];
      if (!same) return `b${i}[${k}] is ${a}, not ${b}`;
    }
  }
  return undefined;
}

const programs = {
  scalar: (kernel: Kernel) => compileWith(kernel, scalarStrategy),
  loops: (kernel: Kernel) => compileWith(kernel, (graph) => loopStrategy(graph, 1)),
  'loops, two copies': (kernel: Kernel) => compileWith(kernel, (graph) => loopStrategy(graph, 2)),
  space: (kernel: Kernel) => compileWith(kernel, (graph) => spaceStrategy(graph, 1)),
  'space, two copies': (kernel: Kernel) => compileWith(kernel, (graph) => spaceStrategy(graph, 2)),
  chosen: compileKernel,
};

const first = Number(process.env['SEED'] ?? 0);
const count = Number(process.env['KERNELS'] ?? 150);

test(
  'random kernels agree with the interpreter, however they are vectorised and cut',
  () => {
    for (let seed = first; seed < first + count; seed++) {
      const { kernel, buffers, scalars } = randomKernel(seed);
      const want = buffers.map((buffer) => buffer.slice());
      interpretKernel(kernel, want, scalars);
      for (const [name, compile] of Object.entries(programs)) {
        const program = compile(kernel);
        for (const pieces of [1, 3]) {
          const wrong = difference(kernel, runKernel(kernel, program, buffers, scalars, pieces), want);
          if (wrong)
            expect.fail(`seed ${seed}, over ${name}, ${pieces} pieces: ${wrong}\n${printKernel(kernel)}`);
        }
      }
    }
  },
  10_000 + 400 * count,
);
