/** How a graph is vectorised, and what one point then costs. */
import type { IndexVariable, Phase } from '@tutti/core/backend';
import { pointCost } from './cost.ts';
import type { Graph } from './graph.ts';
import { Lens } from './lens.ts';
import { phaseRoots, Schedule } from './schedule.ts';

/** One phase as scalar or vector code: its lens, its order of evaluation, and how many copies run side by side. */
export interface Strand {
  readonly lens: Lens;
  readonly schedule: Schedule;
  readonly copies: number;
}

export interface PhasePlan {
  readonly phase: Phase;
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

export function strand(graph: Graph, phase: Phase, vector: IndexVariable | undefined, copies: number): Strand {
  const lens = new Lens(graph, phase, vector);
  return { lens, schedule: new Schedule(lens, phaseRoots(lens)), copies };
}

/** No vectors at all: the plainest code, which everything else is compared with. */
export function scalarStrategy(graph: Graph): Strategy {
  const plans = graph.phases.map((phase) => ({ phase, scalar: strand(graph, phase, undefined, 1), vector: undefined }));
  return { over: 'loops', plans };
}

export function spaceStrategy(graph: Graph, copies: number): Strategy {
  const inner = graph.space.at(-1)!;
  const plans = graph.phases.map((phase) => ({
    phase,
    scalar: strand(graph, phase, undefined, 1),
    vector: strand(graph, phase, inner, copies),
  }));
  return { over: 'space', plans };
}

export function loopStrategy(graph: Graph, copies: number): Strategy {
  const plans = graph.phases.map((phase) => {
    const loop = phase.loops.at(-1);
    const sequential = phase.kind === 'map' && phase.order === 'sequential';
    const vectorise = loop !== undefined && loop.extent >= 4 && !sequential;
    return {
      phase,
      scalar: strand(graph, phase, undefined, 1),
      vector: vectorise ? strand(graph, phase, loop, Math.max(1, Math.min(copies, loop.extent >> 2))) : undefined,
    };
  });
  return { over: 'loops', plans };
}

/** Bodies side by side: as many as keep their values in the machine's 16 vector registers, and no more. */
function copiesFor(graph: Graph, over: 'space' | 'loops'): number {
  const single = over === 'space' ? spaceStrategy(graph, 1) : loopStrategy(graph, 1);
  const work = Math.max(...single.plans.map(({ vector }) => (vector ? bodySize(vector) : 0)));
  const accumulators = Math.max(...graph.phases.map((p) => (p.kind === 'reduce' ? p.accumulators.length : 0)));
  const byWork = work <= 8 ? 4 : work <= 24 ? 2 : 1;
  return Math.max(1, Math.min(byWork, accumulators > 0 ? 8 >> Math.ceil(Math.log2(accumulators)) : 4));
}

/** Vector operations in the innermost body. */
function bodySize({ lens, schedule }: Strand): number {
  return schedule.items.filter((item) => item.form === 'vector' && item.depth === lens.bodyDepth).length;
}

export function chooseStrategy(graph: Graph): { strategy: Strategy; cost: number } {
  const innermost = graph.space.at(-1)!.extent;
  const candidates = [loopStrategy(graph, copiesFor(graph, 'loops'))];
  if (innermost >= 4) candidates.push(spaceStrategy(graph, copiesFor(graph, 'space')));
  const rated = candidates.map((strategy) => ({ strategy, cost: pointCost(strategy, innermost) }));
  return rated.reduce((best, next) => (next.cost < best.cost ? next : best));
}
