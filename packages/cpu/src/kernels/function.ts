/** A generated function: its arguments, and the nest inside it. */
import { dtypeInfo } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { Code, type Emit } from './code.ts';
import type { Graph } from './graph.ts';
import { Nest } from './nest.ts';
import type { Strategy } from './strategy.ts';

export interface FunctionArguments {
  readonly begin: Local;
  readonly end: Local;
  /** Address of the argument block: buffers, the workspace, scalars; four bytes each. */
  readonly args: Local;
  /** Address of the thread's scratch memory, where the graph has a place there. */
  readonly scratch?: Local;
  /** Address of the element `begin` of the place `source`, where the graph has one. */
  readonly source?: Local;
}

/** Emits the body of a function that runs units `begin` to `end` of the graph's space. */
export function emitBody(
  fn: FunctionBuilder,
  module: ModuleBuilder,
  graph: Graph,
  strategy: Strategy,
  locals: FunctionArguments,
): void {
  const code = new Code(fn, module);
  const buffers = graph.places.filter((place) => place.from === 'buffer').length;
  const argument = (position: number, type: 'f32' | 'i32'): Emit => {
    return () => fn.get(locals.args).load(type === 'f32' ? 'f32.load' : 'i32.load', 4 * position);
  };
  const parameter = (param: number): Emit => {
    if (param >= 0) return argument(buffers + 1 + param, graph.scalars[param] === 'f32' ? 'f32' : 'i32');
    const place = -1 - param;
    const { from, dtype, offset = 0 } = graph.places[place]!;
    if (from === 'buffer') return argument(place, 'i32');
    if (from === 'scratch') return code.op('i32.add', code.get(locals.scratch!), code.i32(offset));
    // Indices count from the start of the result, and the source starts at `begin`.
    const skipped = code.op('i32.mul', code.get(locals.begin), code.i32(dtypeInfo[dtype].bytes));
    return code.op('i32.sub', code.get(locals.source!), skipped);
  };
  new Nest({ code, variables: new Map(), parameter }, graph, strategy).emit(locals.begin, locals.end);
}
