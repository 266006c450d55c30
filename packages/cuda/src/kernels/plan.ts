/**
 * How a stage uses the machine. None of it changes what is computed, but for the order of additions in a sum.
 *
 * A multiprocessor hides the latency of memory behind 2048 threads, and asks for the memory's whole bandwidth when each has 16 bytes or
 * more under way. So work is spread until all multiprocessors are full; only then a thread gets more of it. Blocks have 128 to 256
 * threads: 8 to 16 of them fill a multiprocessor without leaving a remainder, and with up to 64 or 32 registers a thread nothing is
 * left out. Rows that need more threads have blocks of up to 1024.
 *
 * In the emulation a thread that waits for others is dear, a block of them all the more: there rows have fewer.
 */
import {
  type Contiguity,
  clamp,
  contiguity,
  dependence,
  type IndexAnalysis,
  loadIndices,
  type Phase,
  powerAbove,
  powerBelow,
  rootsOf,
  type Segment,
  sizeOf,
  weightOf,
} from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';

/** Threads that a multiprocessor keeps resident. */
const residentThreads = 2048;
export const warp = 32;

/** Threads of a full machine. */
export const fullMachine = ({ multiprocessors }: CudaFeatures): number => multiprocessors * residentThreads;

/** A stage of points without loops. */
export interface FlatPlan {
  /** Threads of a block. */
  readonly threads: number;
  /** Units that a thread has, a block apart. */
  readonly copies: number;
}

export function planFlat(units: number, phase: Phase, width: number, features: CudaFeatures): FlatPlan {
  const weight = weightOf(rootsOf(phase)) * width;
  const wanted = weight <= 60 ? (width > 1 ? 2 : 4) : weight <= 160 ? 2 : 1;
  const copies = clamp(powerBelow(units / (2 * fullMachine(features))), 1, wanted);
  const most = units >= fullMachine(features) ? 256 : 128;
  const threads = Math.min(most, features.maxThreadsPerBlock);
  return { threads: Math.min(threads, Math.ceil(Math.max(1, units) / warp) * warp), copies };
}

/** A stage of points with loops. */
export interface RowPlan {
  /** Points of a block. */
  readonly points: number;
  /** Threads that share a point. */
  readonly sharing: number;
  /** Neighbouring threads have neighbouring points, and not neighbouring iterations. */
  readonly pointsFastest: boolean;
}

/** Values of a row that a thread can keep in registers. */
export const keptValues = 32;

const registersOfMultiprocessor = 65536;
/** Registers that a thread's own computations take, and those for each load of an iteration: several trips are under way at once. */
const ownRegisters = 20;
const registersOfLoad = 8;

/** Registers in which a thread of a block of so many can keep values from one phase to the next. */
export function registersToKeep(threads: number, phases: readonly Phase[]): number {
  const loads = Math.max(...phases.map((phase) => loadIndices(rootsOf(phase)).length));
  const left = registersOfMultiprocessor / threads - ownRegisters - loads * registersOfLoad;
  return Math.max(0, Math.min(2 * keptValues, left));
}

/** `width`: lanes of an iteration. */
export function planRows(
  segment: Segment,
  width: number,
  features: CudaFeatures,
  analysis: IndexAnalysis,
): RowPlan {
  const { space, phases } = segment;
  const points = sizeOf(space);
  const iterations = Math.max(...phases.map((phase) => sizeOf(phase.loops)));
  const full = fullMachine(features);
  const most = Math.min(1024, powerBelow(features.maxThreadsPerBlock));
  if (phases.some((phase) => phase.kind === 'map' && phase.order === 'sequential'))
    return { points: blockOf(points, 1, full), sharing: 1, pointsFastest: true };
  const along = contiguity(segment, analysis);
  if (along === 'points') return planColumns(points, iterations, full, features);
  const limit = features.emulated ? clamp(powerBelow(iterations / 16), 1, 64) : most;
  const sharing = Math.min(limit, threadsOfRow(points, iterations, width, along, full));
  return { points: Math.max(1, blockOf(points, sharing, full) / sharing), sharing, pointsFastest: false };
}

/** Threads for each point whose iterations lie side by side, or nowhere in particular. */
function threadsOfRow(
  points: number,
  iterations: number,
  width: number,
  along: Contiguity,
  full: number,
): number {
  const most = Math.min(1024, powerAbove(iterations / width));
  const spread = powerBelow(full / points);
  if (along === 'neither') return clamp(spread, 1, powerBelow(Math.max(1, iterations / 4)));
  // So many that a row fits into registers; and in a warp, that no thread waits for more than four accesses.
  const fitting = powerAbove(iterations / keptValues);
  const short = Math.min(warp, powerAbove(iterations / (4 * width)));
  return clamp(Math.max(spread, fitting, short), 1, most);
}

/** Threads of a block, at least those of a point. Little work is cut into small blocks, so that every multiprocessor has some. */
function blockOf(points: number, sharing: number, full: number): number {
  if (sharing > warp) return sharing;
  const threads = points * sharing;
  const size = threads >= full ? 256 : threads >= full / 4 ? 128 : 64;
  return Math.max(sharing, Math.min(size, Math.max(warp, powerAbove(threads))));
}

/** Points side by side in memory: warps of them, and for each several threads that share its loops. */
function planColumns(points: number, iterations: number, full: number, features: CudaFeatures): RowPlan {
  const limit = features.emulated ? 4 : 32;
  const sharing = clamp(
    powerBelow(full / points),
    1,
    Math.min(limit, powerBelow(Math.max(1, iterations / 4))),
  );
  const threads = Math.min(features.maxThreadsPerBlock, Math.max(128, sharing * warp));
  return { points: Math.min(powerAbove(points), threads / sharing), sharing, pointsFastest: true };
}

/** Iterations that compilers should write out one after another, so that their loads overlap. */
export function unrollOf(phase: Phase, width: number): number {
  const loop = phase.loops.at(-1);
  if (!loop) return 1;
  // What stays in order has its indices looked up ahead.
  if (phase.kind === 'map' && phase.order === 'sequential') return 4;
  const weight = weightOf(rootsOf(phase), dependence(loop)) * width;
  return weight <= 12 ? 8 : weight <= 48 ? 4 : weight <= 100 ? 2 : 1;
}
