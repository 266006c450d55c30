/** How a graph is vectorised, and what one point then costs. */
import type { IndexVariable } from '@tutti/core/backend';
import { pointCost } from './cost.ts';
import type { Graph, GraphPhase } from './graph.ts';
import { Lens } from './lens.ts';
import { mathCosts } from './math/index.ts';
import { keepRowValues } from './row-cache.ts';
import { phaseRoots, Schedule } from './schedule.ts';

/** One phase as scalar or vector code: its lens, its order of evaluation, and how many copies run side by side. */
export interface Strand {
  readonly lens: Lens;
  readonly schedule: Schedule;
  readonly copies: number;
}

export interface PhasePlan {
  readonly phase: GraphPhase;
  readonly scalar: Strand;
  /** Absent where only scalar code is made. */
  readonly vector: Strand | undefined;
}

/**
 * - `space`: four points (or a multiple) at a time; every phase has vector code over the innermost space variable.
 * - `loops`: point by point; a phase with vector code has the values of its innermost loop in the lanes.
 */
export interface Strategy {
  readonly over: 'space' | 'loops';
  readonly plans: readonly PhasePlan[];
}

export function strand(
  graph: Graph,
  phase: GraphPhase,
  vector: IndexVariable | undefined,
  copies: number,
): Strand {
  const lens = new Lens(graph, phase, vector);
  return { lens, schedule: new Schedule(lens, phaseRoots(lens)), copies };
}

/** No vectors at all: the plainest code, which everything else is compared with. */
export function scalarStrategy(graph: Graph): Strategy {
  const plans = graph.phases.map((phase) => ({
    phase,
    scalar: strand(graph, phase, undefined, 1),
    vector: undefined,
  }));
  return { over: 'loops', plans };
}

/** `copies`: bodies side by side, the same for all phases. By default as many as suit the fullest phase. */
export function spaceStrategy(graph: Graph, copies?: number): Strategy {
  const inner = graph.space.at(-1)!;
  const vectors = graph.phases.map((phase) => strand(graph, phase, inner, 1));
  const width = copies ?? Math.min(...vectors.map(copiesFor));
  const plans = graph.phases.map((phase, i) => ({
    phase,
    scalar: strand(graph, phase, undefined, 1),
    vector: { ...vectors[i]!, copies: width },
  }));
  return { over: 'space', plans };
}

export function loopStrategy(graph: Graph, copies?: number): Strategy {
  const plans = graph.phases.map((phase) => {
    const loop = phase.loops.at(-1);
    const sequential = phase.kind === 'map' && phase.order === 'sequential';
    const scalar = strand(graph, phase, undefined, 1);
    if (!loop || loop.extent < 4 || sequential) return { phase, scalar, vector: undefined };
    const vector = strand(graph, phase, loop, 1);
    const width = Math.max(1, Math.min(copies ?? copiesFor(vector), loop.extent >> 2));
    return { phase, scalar, vector: { ...vector, copies: width } };
  });
  return { over: 'loops', plans };
}

/**
 * Bodies side by side: as many as keep their values in the machine's 16 vector registers, and no more. A long body needs none:
 * the processor looks far enough ahead to overlap iterations by itself.
 */
function copiesFor({ lens, schedule }: Strand): number {
  const work = schedule.items.reduce((sum, item) => {
    if (item.form !== 'vector' || item.depth !== lens.bodyDepth) return sum;
    return sum + (item.expression.op === 'alu' && item.expression.alu in mathCosts ? 20 : 1);
  }, 0);
  const byWork = work <= 8 ? 4 : work <= 16 ? 2 : 1;
  const accumulators = lens.phase.kind === 'reduce' ? lens.phase.accumulators.length : 0;
  return Math.max(1, Math.min(byWork, accumulators > 0 ? 8 >> Math.ceil(Math.log2(accumulators)) : 4));
}

/** A graph (perhaps rewritten) with the way to run it. */
export interface Choice {
  readonly graph: Graph;
  readonly strategy: Strategy;
  /** Nanoseconds for one point. */
  readonly cost: number;
  readonly scratchBytes: number;
}

export function chooseStrategy(graph: Graph): Choice {
  const innermost = graph.space.at(-1)!.extent;
  const candidates: Choice[] = [];
  const consider = (of: Graph, over: 'space' | 'loops', scratchBytes: number): void => {
    const strategy = over === 'space' ? spaceStrategy(of) : loopStrategy(of);
    candidates.push({ graph: of, strategy, cost: pointCost(strategy, innermost), scratchBytes });
  };
  consider(graph, 'loops', 0);
  if (innermost >= 4) consider(graph, 'space', 0);
  const keeping = keepRowValues(graph);
  if (keeping) consider(keeping.graph, 'loops', keeping.bytes);
  return candidates.reduce((best, next) => (next.cost < best.cost ? next : best));
}
