/**
 * The epilogue of an anchor as a function inside the routine's own module.
 *
 * A routine computes its sums into memory, block by block, and calls this function on each block while it is still in
 * the cache. A block is a run of consecutive elements of the contiguous result: a row of a tile, or many rows when the
 * tile spans whole rows.
 *
 *     const finish = emitEpilogue(module, anchor);                 // once for each module, while it is built
 *     fn.get(args).get(source).get(begin).get(end).call(finish);   // once for each block
 *
 * For every flat element index p in [begin, end) it computes
 *
 *     out[p] = epilogue.value(accumulator = source[p - begin])     converted to the dtype of buffer 2
 *
 * where `source` holds the sums in `anchor.type`, four bytes each.
 *
 * - `source` may be the address of `out[begin]` itself (in place) when the result's dtype is four bytes wide. For a
 *   narrower result the sums must be elsewhere, in scratch memory for instance.
 * - Up to 64 bytes behind `source[end - begin]` may be read, never written.
 * - Elements outside [begin, end) are not stored to, so blocks may belong to different threads; a cut at a multiple of
 *   16 elements keeps two threads off one cache line.
 * - A call costs about 10 ns beside its elements. An anchor without an epilogue is legal and means `value =
 *   accumulator`: the conversion to a 16-bit result, or nothing at all worth a call for a 4-byte one.
 */
import type { BufferParam, Epilogue, ScalarType } from '@tutti/core/backend';
import type { ModuleBuilder } from '../wasm/index.ts';
import { emitBody } from './function.ts';
import { type Graph, importEpilogue } from './graph.ts';
import { chooseStrategy } from './strategy.ts';

/** What of an anchor matters here: a `DotAnchor` or a `ConvAnchor` is one. */
export interface EpilogueAnchor {
  readonly name: string;
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
  /** Type of the sums. */
  readonly type: ScalarType;
  readonly epilogue?: Epilogue;
}

/** The parameters of the function, in order; all are i32. `args` is the address of the program's argument block. */
export const epilogueParameters = ['args', 'source', 'begin', 'end'] as const;

function graphOf(anchor: EpilogueAnchor): Graph {
  const { name, buffers, scalars, type, epilogue } = anchor;
  const length = buffers[2]!.length;
  const space = epilogue?.space ?? [{ name: 'element', extent: length }];
  return importEpilogue({ name, buffers, scalars, type, space, value: epilogue?.value });
}

/** Nanoseconds that the epilogue adds to one element, roughly: for a stage's `cost`. */
export function epilogueCost(anchor: EpilogueAnchor): number {
  return chooseStrategy(graphOf(anchor)).cost;
}

/** Adds the function to `module` and returns its index, for `fn.call`. */
export function emitEpilogue(module: ModuleBuilder, anchor: EpilogueAnchor): number {
  const graph = graphOf(anchor);
  const { strategy } = chooseStrategy(graph);
  const signature = { params: ['i32', 'i32', 'i32', 'i32'], results: [] } as const;
  return module.function(graph.name, signature, (fn) => {
    const [args, source, begin, end] = fn.params;
    const locals = { args: args!, source: source!, begin: begin!, end: end! };
    emitBody(fn, module, graph, strategy, locals);
  });
}
