/** A whole group of ops that run together becomes one kernel: expressions for their values, without any view objects. */
import type {
  Accumulator,
  BufferParam,
  Expression,
  IndexVariable,
  Kernel,
  Phase,
  ReduceOp,
} from '../backend/index.ts';
import { stridesOf } from '../tensor/shape.ts';
import type { Group } from './group.ts';
import type { IndexBuilder } from './index-math.ts';
import { castExpression } from './lower-op.ts';
import { insideExtent, ValueLowering } from './lower-value.ts';
import { mergeDimensions } from './merge-dimensions.ts';
import { elementsOf, isOp, kindOf, type Op, scalarTypeOf } from './op.ts';

/** A kernel and what it is bound to: the ops whose values its buffers hold, and the plan's scalars. */
export interface Lowered<K> {
  readonly kernel: K;
  readonly bindings: readonly Op[];
  readonly scalars: readonly number[];
}

const reduceOps: Readonly<Record<string, ReduceOp>> = {
  reduceSum: 'sum',
  reduceProd: 'prod',
  reduceMax: 'max',
  reduceMin: 'min',
  argMax: 'argMax',
  argMin: 'argMin',
};

/** Index variables for every dimension of a group's domain, and the indices of ops in it. */
class DomainIndices {
  readonly space: IndexVariable[] = [];
  readonly loops: IndexVariable[] = [];
  readonly #full: Expression[] = [];
  readonly #outer: Expression[] = [];
  readonly #builder: IndexBuilder;

  /** With the space variables of another phase of the same kernel, if given. */
  constructor(builder: IndexBuilder, group: Group, space?: readonly IndexVariable[]) {
    this.#builder = builder;
    let outer = 0;
    for (const [i, extent] of group.domain.entries()) {
      const reduced = group.reduced[i]!;
      const shared = reduced ? undefined : space?.[outer++];
      const variable = shared ?? { name: `${reduced ? 'k' : 'i'}${i}`, extent };
      (reduced ? this.loops : this.space).push(variable);
      this.#full.push(builder.index(variable));
      if (!reduced) this.#outer.push(builder.index(variable));
    }
  }

  /** Indices of an op of the full domain. */
  full(shape: readonly number[]): Expression[] {
    return this.#spread(shape, this.#full);
  }

  /** Indices of an op without the reduced dimensions. */
  outer(shape: readonly number[]): Expression[] {
    return this.#spread(shape, this.#outer);
  }

  #spread(shape: readonly number[], indices: readonly Expression[]): Expression[] {
    let next = 0;
    return shape.map((extent) => (extent === 1 ? this.#builder.int(0) : indices[next++]!));
  }
}

const isReduce = (op: Op): boolean => kindOf(op) === 'reduce';

/** One kernel for all members of a group. `isWritten` says which members need a buffer. */
export function lowerGroup(
  group: Group,
  isStored: (op: Op) => boolean,
  isWritten: (op: Op) => boolean,
): Lowered<Kernel> {
  const writes = group.members.filter(isWritten);
  const lowering = new ValueLowering((op) => isStored(op), writes);
  const phases: Phase[] = [];
  const first = new DomainIndices(lowering.builder, group);
  const space = first.space;
  const levels = reduceLevels(group);
  const reduces = group.members.filter(isReduce);
  const ids = new Map(reduces.map((op, i) => [op, i]));

  for (let level = 0; level <= Math.max(-1, ...levels.values()); level++) {
    const indices = new DomainIndices(lowering.builder, group, space);
    declareMembers(lowering, group, indices, ids);
    const accumulators = reduces
      .filter((op) => levels.get(op) === level)
      .map((op) => lowerAccumulator(lowering, op, indices, ids.get(op)!));
    phases.push({ kind: 'reduce', loops: indices.loops, accumulators });
    lowering.clear();
  }
  phases.push(...lowerMaps(lowering, group, space, ids, writes));
  const lowered = wrap(lowering, group.name(), space, phases, writes);
  return { ...lowered, kernel: mergeDimensions(lowering.builder, lowered.kernel) };
}

/** Only the value of one member: shows whether the group can be lowered. Throws FusionRejected. */
export function lowerMember(group: Group, member: Op, isStored: (op: Op) => boolean): Expression {
  const lowering = new ValueLowering(isStored, []);
  const at = new DomainIndices(lowering.builder, group);
  const reduces = group.members.filter(isReduce);
  declareMembers(lowering, group, at, new Map(reduces.map((op, i) => [op, i])));
  if (isReduce(member)) return lowerAccumulator(lowering, member, at, 0).value;
  return lowering.value(member, group.isFull(member) ? at.full(member.shape) : at.outer(member.shape));
}

function declareMembers(
  lowering: ValueLowering,
  group: Group,
  at: DomainIndices,
  ids: ReadonlyMap<Op, number>,
): void {
  for (const member of group.members) {
    if (!isReduce(member)) {
      const indices = group.isFull(member) ? at.full(member.shape) : at.outer(member.shape);
      lowering.members.set(member, { indices, value: undefined });
      continue;
    }
    const type = scalarTypeOf(member.dtype);
    const value = lowering.builder.accumulator(type, ids.get(member)!);
    lowering.members.set(member, { indices: at.outer(member.shape), value });
  }
}

function lowerAccumulator(lowering: ValueLowering, op: Op, at: DomainIndices, id: number): Accumulator {
  const [x] = op.inputs as [Op];
  const indices = at.full(x.shape);
  const value = lowering.value(x, indices);
  const base = { id, op: reduceOps[op.op]!, type: scalarTypeOf(x.dtype), value };
  if (isOp(op, 'argMax') || isOp(op, 'argMin')) return { ...base, position: indices[op.attributes.axis]! };
  return base;
}

/** How many rounds of reductions over the row must be done before each reduction. */
function reduceLevels(group: Group): Map<Op, number> {
  const members = new Set(group.members);
  const levels = new Map<Op, number>();
  const below = new Map<Op, number>();
  const levelBelow = (op: Op): number => {
    const known = below.get(op);
    if (known !== undefined) return known;
    const level = op.inputs.reduce((deepest, input) => {
      const own = members.has(input); // a member is computed here even where it is stored too
      const through =
        own && isReduce(input) ? levels.get(input)! + 1 : own || group.inlines(input) ? levelBelow(input) : 0;
      return Math.max(deepest, through);
    }, 0);
    below.set(op, level);
    return level;
  };
  for (const member of group.members) if (isReduce(member)) levels.set(member, levelBelow(member));
  return levels;
}

function lowerMaps(
  lowering: ValueLowering,
  group: Group,
  space: readonly IndexVariable[],
  ids: ReadonlyMap<Op, number>,
  writes: readonly Op[],
): Phase[] {
  const phases: Phase[] = [];
  const rows = group.reduced.includes(true);
  const parts = rows
    ? [
        writes.filter((op) => group.isFull(op) && !isReduce(op)),
        writes.filter((op) => !group.isFull(op) || isReduce(op)),
      ]
    : [writes];
  for (const [i, ops] of parts.entries()) {
    if (ops.length === 0) continue;
    const over = rows && i === 0;
    const at = new DomainIndices(lowering.builder, group, space);
    declareMembers(lowering, group, at, ids);
    const stores = ops.map((op) => {
      const indices = over || !rows ? at.full(op.shape) : at.outer(op.shape);
      const index = lowering.builder.flatten(indices, stridesOf(op.shape));
      return {
        buffer: lowering.bindings.indexOf(op),
        index,
        value: lowering.value(op, indices),
        mode: 'set' as const,
      };
    });
    phases.push({ kind: 'map', loops: over ? at.loops : [], order: 'parallel', stores });
    lowering.clear();
  }
  return phases;
}

/** A scatter: the base is copied along the axis, then the updates go in, in order, all by the point that owns the line. */
export function lowerScatter(op: Op<'scatter'>, isStored: (op: Op) => boolean): Lowered<Kernel> {
  const lowering = new ValueLowering((other) => other !== op && isStored(other), [op]);
  const b = lowering.builder;
  const [base, index, updates] = op.inputs as [Op, Op, Op];
  const { axis, mode } = op.attributes;
  const space: IndexVariable[] = [];
  const line = op.shape.map((extent, a): Expression => {
    if (a === axis || extent === 1) return b.int(0);
    const variable = { name: `i${a}`, extent };
    space.push(variable);
    return b.index(variable);
  });
  const at = (position: Expression): Expression[] => line.map((i, a) => (a === axis ? position : i));
  const strides = stridesOf(op.shape);

  const row = { name: 'v', extent: base.shape[axis]! };
  const here = at(b.index(row));
  const copy: Phase = {
    kind: 'map',
    loops: [row],
    order: 'parallel',
    stores: [{ buffer: 0, index: b.flatten(here, strides), value: lowering.value(base, here), mode: 'set' }],
  };
  const update = { name: 'k', extent: updates.shape[axis]! };
  const from = at(b.index(update));
  const target = castExpression(b, lowering.value(index, from), index.dtype, 'int32');
  const put: Phase = {
    kind: 'map',
    loops: [update],
    order: 'sequential',
    stores: [
      {
        buffer: 0,
        index: b.flatten(at(target), strides),
        value: lowering.value(updates, from),
        mode,
        guard: insideExtent(b, target, base.shape[axis]!),
      },
    ],
  };
  return wrap(lowering, `scatter_${mode}`, space, [copy, put], [op]);
}

function wrap(
  lowering: ValueLowering,
  name: string,
  space: readonly IndexVariable[],
  phases: readonly Phase[],
  writes: readonly Op[],
): Lowered<Kernel> {
  const buffers: BufferParam[] = lowering.bindings.map((op, i) => ({
    dtype: op.dtype,
    length: elementsOf(op),
    access:
      i < writes.length
        ? lowering.bindings.indexOf(op) === i && phases.some(isSequential)
          ? 'readWrite'
          : 'write'
        : 'read',
  }));
  const kernel: Kernel = {
    kind: 'kernel',
    name,
    buffers,
    scalars: lowering.scalars.map(() => 'f32'),
    space,
    phases,
  };
  return { kernel, bindings: lowering.bindings, scalars: lowering.scalars };
}

const isSequential = (phase: Phase): boolean => phase.kind === 'map' && phase.order === 'sequential';
