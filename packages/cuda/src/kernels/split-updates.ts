/**
 * A map that must run in order, whose points are too few for the machine: each point gets several threads, each of which owns some of the
 * elements that the point may store to, goes through all iterations, and stores to its own alone. So each element still sees its stores
 * in order.
 *
 *     for i: in order of k: out[at(i, k)] += value(i, k)
 *
 *     for r, i: in order of k: if (at(i, k) / width % owners == r) out[at(i, k)] += value(i, k)
 *
 * `width` is a row of neighbouring points: where they go to the same row, neighbouring threads own it or not, all of them.
 */
import {
  type Expression,
  IndexAnalysis,
  type IndexVariable,
  loadedBuffers,
  rootsOf,
  type Segment,
  type Store,
  sizeOf,
} from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import { fullMachine } from './plan.ts';
import { alu, int, rewriter } from './rewrite.ts';

/** Iterations for each owner below which going through all of them is not worth it. */
const leastIterations = 16;
const mostOwners = 256;

export function splitUpdates(segment: Segment, features: CudaFeatures): Segment | undefined {
  const [phase] = segment.phases;
  if (segment.phases.length > 1 || phase?.kind !== 'map' || phase.order !== 'sequential') return undefined;
  const stored = new Set(phase.stores.map(({ buffer }) => buffer));
  // What an iteration computes must not depend on what others have stored.
  if (loadedBuffers(rootsOf(phase)).some((buffer) => stored.has(buffer))) return undefined;
  const wanted = Math.min(
    fullMachine(features) / 2 / sizeOf(segment.space),
    sizeOf(phase.loops) / leastIterations,
    mostOwners,
  );
  const owners = 2 ** Math.floor(Math.log2(Math.max(1, wanted)));
  if (owners < 2) return undefined;
  const owner: IndexVariable = { name: 'r', extent: owners };
  const stores = phase.stores.map((store) => owned(store, owner, rowOf(segment.space, store.index)));
  return { space: [owner, ...segment.space], phases: [{ ...phase, stores }] };
}

/** Neighbouring points whose elements lie side by side. */
function rowOf(space: readonly IndexVariable[], index: Expression): number {
  const analysis = new IndexAnalysis();
  let width = 1;
  for (const variable of [...space].reverse()) {
    if (variable.extent > 1 && analysis.stride(index, variable) !== width) break;
    width *= variable.extent;
  }
  return width;
}

/** A store that happens where a thread owns the element; what it loads is loaded there alone. */
function owned(store: Store, owner: IndexVariable, width: number): Store {
  // A guard that is false may leave any index.
  const position = alu('bitcast', 'u32', store.index);
  const row =
    width === 1 ? position : alu('idiv', 'u32', position, { op: 'const', type: 'u32', value: width });
  const mine = alu('eq', 'bool', alu('and', 'i32', alu('bitcast', 'i32', row), int(owner.extent - 1)), {
    op: 'index',
    type: 'i32',
    variable: owner,
  });
  const guard = store.guard ? alu('and', 'bool', store.guard, mine) : mine;
  const guarded = rewriter((e, rewrite) => {
    if (e.op !== 'load') return undefined;
    const both = e.guard ? alu('and', 'bool', rewrite(e.guard), guard) : guard;
    return { ...e, index: rewrite(e.index), guard: both };
  });
  return { ...store, value: guarded(store.value), guard };
}
