/** How several threads share the loops of a point. */
import { visitExpressions } from '../expressions.ts';
import type { Expression, IndexVariable, Phase } from '../kernel.ts';
import type { IndexAnalysis } from './analysis.ts';
import type { Segment } from './segments.ts';
import { rootsOf } from './work.ts';

export type Contiguity = 'points' | 'loops' | 'neither';

/** Along what the loads and stores of phases with loops are contiguous. */
export function contiguity({ space, phases }: Segment, analysis: IndexAnalysis): Contiguity {
  const point = space.findLast(({ extent }) => extent > 1);
  let votes = 0;
  const vote = (index: Expression, loop: IndexVariable): void => {
    if (analysis.stride(index, loop) === 1) votes++;
    if (point && analysis.stride(index, point) === 1) votes--;
  };
  for (const phase of phases) {
    const loop = phase.loops.findLast(({ extent }) => extent > 1);
    if (!loop) continue;
    visitExpressions(rootsOf(phase), (e) => {
      if (e.op === 'load') vote(e.index, loop);
    });
    if (phase.kind === 'map') for (const { index } of phase.stores) vote(index, loop);
  }
  return votes > 0 ? 'loops' : votes < 0 ? 'points' : 'neither';
}

/**
 * How many of a phase's loops are shared by `sharing` threads: as few of the innermost ones as give each a few iterations. Without
 * sharing, the innermost loop alone.
 */
export function innerLoops({ loops }: Phase, sharing: number): number {
  if (sharing === 1) return Math.min(1, loops.length);
  let count = 0;
  let size = 1;
  while (count < loops.length && size < 4 * sharing) {
    count++;
    size *= loops[loops.length - count]!.extent;
  }
  return count;
}
