import { type Kernel, printKernel } from '@tutti/core/backend';
import { randomCase } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel, compileWith } from '../src/kernels/compile.ts';
import { loopStrategy, scalarStrategy, spaceStrategy } from '../src/kernels/strategy.ts';
import { runKernel } from './kernels/harness.ts';

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
  `${count} random kernels agree with the interpreter, however they are vectorised and cut`,
  () => {
    for (let seed = first; seed < first + count; seed++) {
      const { name, kernel, scalars, contents, check } = randomCase(seed, {}, 'exact');
      for (const [way, compile] of Object.entries(programs)) {
        const program = compile(kernel);
        for (const pieces of [1, 3]) {
          const wrong = check(runKernel(kernel, program, contents(), scalars, pieces));
          if (wrong) expect.fail(`${name}, over ${way}, ${pieces} pieces: ${wrong}\n${printKernel(kernel)}`);
        }
      }
    }
  },
  10_000 + 400 * count,
);
