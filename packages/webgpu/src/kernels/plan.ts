/**
 * How a stage uses the machine. All figures are for kernels as the compiler makes them; none changes what is computed, but for the
 * order of additions in a sum.
 *
 * On hardware, tens of thousands of invocations hide the latency of memory, and neighbouring invocations should touch neighbouring
 * elements: the invocations that share a point go through its loops side by side where those are contiguous. Software runs a
 * workgroup's invocations in vectors, and switches between these at every barrier, at a cost of thousands of additions:
 * there a point's loops belong to one invocation, or to the invocations of one vector.
 */
import {
  type Contiguity,
  clamp,
  contiguity,
  dependence,
  type IndexAnalysis,
  type Phase,
  powerBelow,
  rootsOf,
  type Segment,
  sizeOf,
  weightOf,
} from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';

/** A stage of points with loops. */
export interface RowPlan {
  /** Points of a workgroup. */
  readonly points: number;
  /** Invocations that share a point. */
  readonly sharing: number;
  /** Neighbouring invocations have neighbouring points, and not neighbouring iterations. */
  readonly pointsFastest: boolean;
}

/** A stage of points without loops. */
export interface FlatPlan {
  readonly size: number;
  /** Points, or groups of them, that one invocation has, `size` apart. */
  readonly copies: number;
}

/** Invocations that keep a large GPU busy. */
const manyInvocations = 65536;
/** Invocations of a vector in software. */
const vectorWidth = 4;

export function planFlat(units: number, phase: Phase, features: ShaderFeatures): FlatPlan {
  const most = Math.min(256, features.maxInvocations);
  const weight = weightOf(rootsOf(phase));
  const wanted = weight <= 40 ? 4 : weight <= 100 ? 2 : 1;
  const enough = features.software ? 4 * most : 4 * manyInvocations;
  const copies = Math.max(1, Math.min(wanted, powerBelow(units / enough)));
  const step = features.software ? vectorWidth : 32;
  if (units <= most * copies)
    return { size: clamp(Math.ceil(units / copies / step) * step, step, most), copies };
  // A size that divides the units needs no checks.
  for (let size = most; size >= most / 2; size -= step) {
    if (units % (size * copies) === 0) return { size, copies };
  }
  return { size: most, copies };
}

export function planRows(segment: Segment, features: ShaderFeatures, analysis: IndexAnalysis): RowPlan {
  const points = sizeOf(segment.space);
  const iterations = Math.max(...segment.phases.map((phase) => sizeOf(phase.loops)));
  const sequential = segment.phases.some((phase) => phase.kind === 'map' && phase.order === 'sequential');
  const along = contiguity(segment, analysis);
  const sharing = sequential ? 1 : sharingOf(points, iterations, along, features);
  return { points: pointsOf(points, sharing, features), sharing, pointsFastest: along === 'points' };
}

/** Invocations for each point. */
function sharingOf(points: number, iterations: number, along: Contiguity, features: ShaderFeatures): number {
  if (features.software) return points < 2 * vectorWidth && iterations >= 16 * vectorWidth ? vectorWidth : 1;
  const most = Math.min(256, features.maxInvocations);
  if (along === 'points') {
    return clamp(powerBelow(manyInvocations / 4 / points), 1, clamp(powerBelow(iterations / 8), 1, 16));
  }
  const least = along === 'loops' && iterations >= 32 ? 8 : 1;
  return clamp(powerBelow(manyInvocations / points), least, clamp(powerBelow(iterations / 2), 1, most));
}

/** Points for each workgroup. */
function pointsOf(points: number, sharing: number, features: ShaderFeatures): number {
  const most = Math.min(256, features.maxInvocations);
  if (features.software) return sharing > 1 ? 1 : clamp(powerBelow(points / 8), vectorWidth, most);
  const size = clamp(points * sharing < manyInvocations ? 64 : 128, sharing, most);
  return Math.max(1, size / sharing);
}

/** Bodies of a phase side by side, over its innermost loop. */
export function copiesOf(phase: Phase, sharing: number, features: ShaderFeatures): number {
  const loop = phase.loops.at(-1);
  if (!loop || (phase.kind === 'map' && phase.order === 'sequential')) return 1;
  const weight = weightOf(rootsOf(phase), dependence(loop));
  if (sharing === 1 && loop.extent <= 8 && weight * loop.extent <= 64) return loop.extent;
  const wanted = weight <= 8 ? (features.software ? 8 : 4) : weight <= 24 ? 4 : weight <= 48 ? 2 : 1;
  return Math.max(1, Math.min(wanted, powerBelow(sizeOf(phase.loops) / sharing)));
}
