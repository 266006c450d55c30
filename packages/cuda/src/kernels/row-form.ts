/** How the points of a segment with loops are run. */
import { type IndexAnalysis, type Phase, type Segment, sizeOf } from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import { alikePhases } from './kept.ts';
import type { KernelParameters } from './kernel-text.ts';
import { laneWidth } from './lane-plan.ts';
import { planRows, type RowPlan, warp } from './plan.ts';

export interface RowForm {
  readonly plan: RowPlan;
  /** Lanes of the innermost loop of a phase. */
  readonly widths: ReadonlyMap<Phase, number>;
}

export function rowForm(
  segment: Segment,
  parameters: KernelParameters,
  features: CudaFeatures,
  analysis: IndexAnalysis,
): RowForm {
  const { phases } = segment;
  const alike = alikePhases(phases);
  const widths = new Map(phases.map((phase) => [phase, rowWidth(phase, parameters, analysis)]));
  // Phases that share values of a row go over it in the same way.
  const common = Math.min(...alike.map((phase) => widths.get(phase)!));
  for (const phase of alike) widths.set(phase, common);
  return { plan: planRows(segment, Math.max(...widths.values()), features, analysis), widths };
}

function rowWidth(phase: Phase, parameters: KernelParameters, analysis: IndexAnalysis): number {
  const last = phase.loops.at(-1);
  let width = laneWidth(phase, last, parameters, analysis);
  while (width > 1 && last!.extent % width !== 0) width /= 2;
  return width;
}

/** What it is and what a block does, for people. */
export const describeRows = (segment: Segment, plan: RowPlan): readonly [string, string] => [
  describePoints(segment),
  describePlan(plan),
];

const describePoints = ({ space, phases }: Segment): string => {
  const iterations = Math.max(...phases.map((phase) => sizeOf(phase.loops)));
  return `${sizeOf(space)} points with up to ${iterations} iterations`;
};

function describePlan({ points, sharing, pointsFastest }: RowPlan): string {
  if (sharing === 1) return `A thread has a point, a block ${points}.`;
  if (pointsFastest)
    return `A block has ${points} neighbouring points, for each of which ${sharing} threads.`;
  if (sharing > warp) return `A block of ${sharing} threads shares a point.`;
  const threads = sharing === warp ? 'A warp shares' : `${sharing} threads share`;
  return `${threads} a point, of which a block has ${points}.`;
}
