/**
 * A kernel cut into parts that need nothing of each other but memory, each a dispatch of its own.
 *
 * A parallel map whose values depend on no accumulator has no rows: its loops are as good as dimensions of the space, and as such run
 * on as many invocations as there are elements (the base of a scatter, ahead of its updates).
 */
import { visitExpressions } from '../expressions.ts';
import type { IndexVariable, Kernel, MapPhase, Phase } from '../kernel.ts';
import { IndexAnalysis } from './analysis.ts';
import { rootsOf, sizeOf } from './work.ts';

export interface Segment {
  readonly space: readonly IndexVariable[];
  readonly phases: readonly Phase[];
}

/** Iterations below which loops are not worth a dispatch. */
const fewIterations = 16;

export function segmentsOf(kernel: Kernel): Segment[] {
  const segments: Segment[] = [];
  let current: Phase[] = [];
  const cut = (): void => {
    if (current.length > 0) segments.push({ space: kernel.space, phases: current });
    current = [];
  };
  for (const [i, phase] of kernel.phases.entries()) {
    const alone = kernel.phases.length === 1 || sizeOf(phase.loops) >= fewIterations;
    if (isLoopOverElements(phase) && alone && !crosses(kernel.phases, i)) {
      cut();
      segments.push(flattened(kernel.space, phase));
    } else {
      current.push(phase);
    }
  }
  cut();
  return segments;
}

const isLoopOverElements = (phase: Phase): phase is MapPhase =>
  phase.kind === 'map' &&
  phase.order === 'parallel' &&
  phase.loops.length > 0 &&
  accumulatorsIn(phase).size === 0;

function accumulatorsIn(phase: Phase): Set<number> {
  const ids = new Set<number>();
  visitExpressions(rootsOf(phase), (e) => {
    if (e.op === 'accumulator') ids.add(e.id);
  });
  return ids;
}

/** Whether an accumulator of a phase before number `at` is read after it. */
function crosses(phases: readonly Phase[], at: number): boolean {
  const earlier = new Set(
    phases
      .slice(0, at)
      .flatMap((phase) => (phase.kind === 'reduce' ? phase.accumulators.map(({ id }) => id) : [])),
  );
  return phases.slice(at).some((phase) => [...accumulatorsIn(phase)].some((id) => earlier.has(id)));
}

/** Loops become dimensions, in the order in which the first store lies in memory. */
function flattened(space: readonly IndexVariable[], phase: MapPhase): Segment {
  const analysis = new IndexAnalysis();
  const { index } = phase.stores[0]!;
  const step = (variable: IndexVariable): number => Math.abs(analysis.stride(index, variable) ?? 0);
  const order = [...space, ...phase.loops].sort((a, b) => step(b) - step(a));
  return { space: order, phases: [{ ...phase, loops: [] }] };
}
