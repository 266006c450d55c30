/**
 * A long reduction with few results as two stages: the first reduces parts of the loops, on as many blocks as keep the machine busy, into
 * the workspace; the second joins the parts in order, and runs what follows.
 *
 *     for i: acc = sum over k of f(i, k); out[i] = g(acc)
 *
 *     for p, i: part[p, i] = sum over the k of part p of f(i, k)
 *     for i: acc = sum over p of part[p, i]; out[i] = g(acc)
 *
 * An argMax is a maximum and its position in the first stage, and an argMax over these in the second.
 */
import {
  type Accumulator,
  type BufferParam,
  type DType,
  divisorNear,
  dtypeInfo,
  type Expression,
  type IndexVariable,
  identityOf,
  type MapPhase,
  type ReducePhase,
  rowMajor,
  type ScalarType,
  type Segment,
  type Store,
  sizeOf,
} from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import type { KernelParameters } from './kernel-text.ts';
import type { RowPlan } from './plan.ts';
import { alu, int, rewriter, scaled } from './rewrite.ts';

/** Two stages, and the buffers between them, which are behind those of the kernel. */
export interface SplitReduction {
  readonly parameters: KernelParameters;
  /** Where the buffers between lie in the workspace. */
  readonly workspace: ReadonlyMap<number, number>;
  readonly workspaceBytes: number;
  readonly first: Segment;
  readonly second: Segment;
}

const storage: Readonly<Record<ScalarType, DType>> = {
  f32: 'float32',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
};

/** Trips that are left to a thread of the first stage. */
const leastTrips = 4;
/** Elements for each multiprocessor below which a second launch costs more than it saves. */
const leastElements = 512;

/** @param width Lanes of an iteration. */
export function splitReduction(
  segment: Segment,
  parameters: KernelParameters,
  plan: RowPlan,
  width: number,
  { multiprocessors }: CudaFeatures,
): SplitReduction | undefined {
  const [reduce, ...rest] = segment.phases;
  if (reduce?.kind !== 'reduce' || rest.some((phase) => phase.loops.length > 0)) return undefined;
  const points = sizeOf(segment.space);
  if (points * sizeOf(reduce.loops) < leastElements * multiprocessors) return undefined;
  const blocks = Math.ceil(points / plan.points);
  const trips = sizeOf(reduce.loops) / plan.sharing / width;
  const most = Math.floor(Math.min((2 * multiprocessors) / blocks, trips / leastTrips));
  if (blocks > multiprocessors || most < 2) return undefined;
  const loop = reduce.loops.reduce((longest, each) => (each.extent > longest.extent ? each : longest));
  const length = lengthOf(loop, most);
  const parts = Math.ceil(loop.extent / length);
  return parts > 1 ? cut(segment, reduce, parameters, loop, { length, parts }) : undefined;
}

/** Iterations of a part: where that can be, all parts have the same, and begin where elements are aligned. */
function lengthOf({ extent }: IndexVariable, parts: number): number {
  const step = [16, 8, 4, 2, 1].find((each) => extent % each === 0 && extent / each >= parts)!;
  return step * divisorNear(extent / step, Math.max(1, Math.ceil(extent / step / parts)));
}

interface Parts {
  readonly length: number;
  readonly parts: number;
}

function cut(
  { space, phases }: Segment,
  reduce: ReducePhase,
  { buffers, scalars }: KernelParameters,
  loop: IndexVariable,
  { length, parts }: Parts,
): SplitReduction {
  const points = sizeOf(space);
  const part: IndexVariable = { name: 'p', extent: parts };
  const inner: IndexVariable = { name: loop.name, extent: length };
  const between: BufferParam[] = [];
  const add = (type: ScalarType): number =>
    buffers.length + between.push({ dtype: storage[type], length: points * parts, access: 'readWrite' }) - 1;
  const place: Expression = scaled({ op: 'index', type: 'i32', variable: part }, points, rowMajor(space));

  const inPart = partOf(loop, part, inner, length);
  const partial: Accumulator[] = [];
  const joined: Accumulator[] = [];
  const stores: Store[] = [];
  /** A part of a value, through the workspace. */
  const pass = (accumulator: Accumulator, type: ScalarType): Expression => {
    partial.push(accumulator);
    const buffer = add(type);
    const { id } = accumulator;
    stores.push({ buffer, index: place, value: { op: 'accumulator', type, id }, mode: 'set' });
    return { op: 'load', type, buffer, index: place };
  };
  // Numbers of accumulators are those of the first stage alone.
  for (const accumulator of reduce.accumulators) {
    const { id, op, type } = accumulator;
    const value = inPart.value(accumulator);
    const position = accumulator.position && inPart.rewrite(accumulator.position);
    const extreme = op === 'argMax' ? 'max' : op === 'argMin' ? 'min' : op;
    const part = pass({ id: 2 * id, op: extreme, type, value }, type);
    const at = position && pass({ id: 2 * id + 1, op, type, value, position }, 'i32');
    joined.push({ id, op, type, value: part, ...(at ? { position: at } : {}) });
  }
  const loops = reduce.loops.map((each) => (each === loop ? inner : each));
  const store: MapPhase = { kind: 'map', loops: [], order: 'parallel', stores };
  return {
    parameters: { buffers: [...buffers, ...between], scalars },
    ...placed(buffers.length, between),
    first: {
      space: [part, ...space],
      phases: [{ kind: 'reduce', loops, accumulators: partial }, store],
    },
    second: {
      space,
      phases: [{ kind: 'reduce', loops: [part], accumulators: joined }, ...phases.slice(1)],
    },
  };
}

/** Expressions of an iteration as those of one in a part. Behind the end, loads are guarded and values those that change nothing. */
function partOf(
  loop: IndexVariable,
  part: IndexVariable,
  inner: IndexVariable,
  length: number,
): { rewrite: (e: Expression) => Expression; value: (a: Accumulator) => Expression } {
  const index = (variable: IndexVariable): Expression => ({ op: 'index', type: 'i32', variable });
  const at = scaled(index(part), length, index(inner));
  const isRagged = loop.extent % length !== 0;
  const exists = alu('lt', 'bool', at, int(loop.extent));
  const rewrite = rewriter((e, again) => {
    if (e.op === 'index') return e.variable === loop ? at : undefined;
    if (e.op !== 'load' || !isRagged) return undefined;
    const guard = e.guard ? alu('and', 'bool', exists, again(e.guard)) : exists;
    return { ...e, index: again(e.index), guard };
  });
  const value = ({ op, type, value }: Accumulator): Expression => {
    const inPart = rewrite(value);
    if (!isRagged) return inPart;
    const nothing: Expression = { op: 'const', type, value: identityOf(op, type) };
    return alu('where', type, exists, inPart, nothing);
  };
  return { rewrite, value };
}

const alignment = 256;

function placed(
  first: number,
  buffers: readonly BufferParam[],
): Pick<SplitReduction, 'workspace' | 'workspaceBytes'> {
  const workspace = new Map<number, number>();
  let bytes = 0;
  for (const [i, { dtype, length }] of buffers.entries()) {
    workspace.set(first + i, bytes);
    bytes += Math.ceil((length * dtypeInfo[dtype].bytes) / alignment) * alignment;
  }
  return { workspace, workspaceBytes: bytes };
}
