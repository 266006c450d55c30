/** A kernel as a program of one stage: every point of its space is a unit. */
import { type Kernel, printKernel } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import { emitBody } from './function.ts';
import { type Graph, importKernel } from './graph.ts';
import { type Choice, chooseStrategy, type Strategy, scalarStrategy } from './strategy.ts';
import { tileTranspose } from './tile.ts';

/** Nanoseconds of work below which a range is not worth its hand-off. */
const leastRange = 4000;
/** Elements of four bytes in a cache line: ranges of dense results are cut between lines. */
const lineElements = 16;

export function compileKernel(kernel: Kernel): WasmProgram {
  const graph = importKernel(kernel);
  return programOf(kernel, chooseStrategy(tileTranspose(graph) ?? graph));
}

/** As `compileKernel`, with a strategy that the caller chose. */
export function compileWith(
  kernel: Kernel,
  strategyOf: (graph: Graph) => Strategy = scalarStrategy,
): WasmProgram {
  const graph = importKernel(kernel);
  return programOf(kernel, { graph, strategy: strategyOf(graph), cost: 1, scratchBytes: 0 });
}

function programOf(kernel: Kernel, { graph, strategy, cost, scratchBytes }: Choice): WasmProgram {
  const units = graph.space.reduce((product, variable) => product * variable.extent, 1);
  const stage: Stage = {
    units,
    grain: grainOf(strategy, cost),
    cost,
    emit: (fn, module) => {
      const [begin, end, args, scratch] = fn.params;
      emitBody(fn, module, graph, strategy, { begin: begin!, end: end!, args: args!, scratch: scratch! });
    },
  };
  return {
    name: kernel.name,
    source: () =>
      `${printKernel(kernel)}\n  ; ${describe(strategy)}, ${cost.toFixed(1)} ns for each of ${units} points`,
    stages: [stage],
    bufferCount: kernel.buffers.length,
    scalarCount: kernel.scalars.length,
    scalarTypes: kernel.scalars,
    workspaceBytes: 0,
    scratchBytes,
  };
}

function grainOf(strategy: Strategy, cost: number): number {
  const enough = Math.ceil(leastRange / cost);
  if (strategy.over === 'loops' && cost > leastRange / lineElements) return enough;
  return Math.ceil(enough / lineElements) * lineElements;
}

function describe(strategy: Strategy): string {
  const copies = strategy.plans.map(({ vector }) => (vector ? `4 x ${vector.copies}` : 'scalar'));
  return `vectors over ${strategy.over}: ${copies.join(', ')}`;
}
