/**
 * Kernels that fragments can run: one value for each point, stored at the point's own place.
 *
 *     map      out[i] = f(i)
 *     reduce   over loops, into accumulators; then the map
 */
import {
  dtypeInfo,
  IndexAnalysis,
  InternalError,
  type Kernel,
  printKernel,
  type ReducePhase,
  type Store,
  sizeOf,
} from '@tutti/core/backend';

export interface KernelForm {
  readonly kernel: Kernel;
  readonly points: number;
  readonly reduce: ReducePhase | undefined;
  readonly store: Store;
  /** Elements of a texel of the output. */
  readonly lanes: 4 | 8 | 16;
}

/** @throws InternalError for kernels that the capabilities of the device rule out. */
export function formOf(kernel: Kernel): KernelForm {
  const fail = (what: string): never => {
    throw new InternalError(`no fragment shader for ${what}`, { received: printKernel(kernel) });
  };
  const { phases, space, buffers } = kernel;
  const map = phases.at(-1);
  const reduce = phases.length === 2 ? phases[0] : undefined;
  if (map?.kind !== 'map' || phases.length > 2 || reduce?.kind === 'map')
    return fail('phases other than one reduction and one map');
  if (map.loops.length > 0 || map.stores.length !== 1)
    return fail('a map with loops, or with several stores');
  const store = map.stores[0]!;
  const points = sizeOf(space);
  const { dtype, length } = buffers[store.buffer]!;
  const dense = new IndexAnalysis().offsetFromRowMajor(store.index, space) === 0 && length === points;
  if (store.mode !== 'set' || !dense) return fail('a store that is not to the place of its point');
  return { kernel, points, reduce, store, lanes: (16 / dtypeInfo[dtype].bytes) as 4 | 8 | 16 };
}
