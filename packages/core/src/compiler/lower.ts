/**
 * Lowering by index functions: the value of an op at given indices is an expression. Movement only changes the indices,
 * elementwise ops combine the values of their operands at the same indices, and what is stored is loaded. A whole group of
 * ops that run together becomes one kernel this way, without any view objects.
 */
import {
  type Accumulator,
  type BufferParam,
  type Expression,
  type IndexVariable,
  InternalError,
  type Kernel,
  type Phase,
  type ReduceOp,
  type ScalarType,
} from '../backend/index.ts';
import { stridesOf } from '../tensor/shape.ts';
import type { Group } from './group.ts';
import { IndexBuilder } from './index-math.ts';
import { castExpression, lowerElementwise, threefry } from './lower-op.ts';
import { mergeDimensions } from './merge-dimensions.ts';
import { sourceOf } from './movement.ts';
import { elementsOf, isOp, kindOf, type Op, type OpAttributes, scalarTypeOf } from './op.ts';

/** Thrown when ops that were to share a kernel cannot: an element is wanted that another point of the space computes. */
export class FusionRejected extends Error {}

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

/** The value of an op that other members of its group may refer to, and where it may be read. */
export interface MemberValue {
  readonly indices: readonly Expression[];
  /** Undefined: the value is computed in place from the op's operands. */
  readonly value: Expression | undefined;
  /** For anchors: equal row-major index is enough, the shapes may differ. */
  readonly flat?: Expression;
}

/** Turns values of ops into expressions over one kernel's buffers. */
export class ValueLowering {
  readonly builder: IndexBuilder;
  readonly bindings: Op[];
  readonly scalars: number[] = [];
  /** Members of the group, and where each may be read. */
  readonly members: Map<Op, MemberValue> = new Map();
  /** Buffers before this one are the anchor's own, and not for its epilogue to share. */
  firstShared = 0;
  readonly #isStored: (op: Op) => boolean;
  readonly #memo = new Map<string, Expression>();
  readonly #ids = new Map<Expression, number>();

  constructor(
    isStored: (op: Op) => boolean,
    writes: readonly Op[],
    builder: IndexBuilder = new IndexBuilder(),
  ) {
    this.#isStored = isStored;
    this.bindings = [...writes];
    this.builder = builder;
  }

  /** Forgets values, but not buffers: for the next phase, whose loop variables are others. */
  clear(): void {
    this.#memo.clear();
  }

  #key(op: Op, indices: readonly Expression[], guard: Expression | undefined): string {
    const id = (e: Expression): number => {
      const known = this.#ids.get(e) ?? this.#ids.size;
      this.#ids.set(e, known);
      return known;
    };
    return `${op.id}|${indices.map(id).join(',')}|${guard ? id(guard) : ''}`;
  }

  value(op: Op, indices: readonly Expression[], guard?: Expression): Expression {
    const key = this.#key(op, indices, guard);
    let result = this.#memo.get(key);
    if (!result) {
      result = this.#memberValue(op, indices) ?? this.#compute(op, indices, guard);
      this.#memo.set(key, result);
    }
    return result;
  }

  #memberValue(op: Op, indices: readonly Expression[]): Expression | undefined {
    const member = this.members.get(op);
    if (!member) return undefined;
    const same = member.flat
      ? this.builder.flatten(indices, stridesOf(op.shape)) === member.flat
      : indices.every((index, axis) => index === member.indices[axis]);
    if (!same) throw new FusionRejected(`${op.op} is read at other indices than its own`);
    return member.value;
  }

  /** The value of an op from its operands, unless it is stored: then it is loaded. */
  #compute(op: Op, indices: readonly Expression[], guard: Expression | undefined): Expression {
    const b = this.builder;
    const type = scalarTypeOf(op.dtype);
    if (elementsOf(op) === 0) return b.const(type, 0);
    if (this.#isStored(op) && !this.members.has(op)) return this.load(op, indices, guard);
    return this.inline(op, indices, guard);
  }

  load(
    op: Op,
    indices: readonly Expression[],
    guard?: Expression,
    shape: readonly number[] = op.shape,
  ): Expression {
    const index = this.builder.flatten(indices, stridesOf(shape));
    return this.builder.load(scalarTypeOf(op.dtype), this.#bind(op), index, guard);
  }

  #bind(op: Op): number {
    const known = this.bindings.indexOf(op, this.firstShared);
    return known >= 0 ? known : this.bindings.push(op) - 1;
  }

  inline(op: Op, indices: readonly Expression[], guard: Expression | undefined): Expression {
    const b = this.builder;
    const type = scalarTypeOf(op.dtype);
    if (isOp(op, 'const'))
      return b.const(type, type === 'f32' ? Math.fround(op.attributes.value) : op.attributes.value);
    if (isOp(op, 'scalar')) return this.#scalar(type, op.attributes.param);
    if (isOp(op, 'iota')) return indices[op.attributes.axis]!;
    if (op.op === 'barrier') return this.value(op.inputs[0]!, indices, guard);
    if (isOp(op, 'randomBits')) return this.#randomBits(op, indices, guard);
    if (isOp(op, 'gather')) return this.#gather(op, indices, guard);
    if (op.op === 'reshape') {
      // The same memory: no need to take the index apart and put it together again.
      const [x] = op.inputs as [Op];
      if (this.#isStored(x) && !this.members.has(x)) return this.load(x, indices, guard, op.shape);
    }
    const source = sourceOf(b, op, indices);
    if (source) return this.#move(op, source.indices, source.guard, guard);
    if (kindOf(op) !== 'elementwise') throw new InternalError(`${op.op} cannot be computed in place`);
    return lowerElementwise(
      b,
      op,
      op.inputs.map((input) => this.value(input, indices, guard)),
    );
  }

  #scalar(type: ScalarType, param: number): Expression {
    const known = this.scalars.indexOf(param);
    return this.builder.scalar(type, known >= 0 ? known : this.scalars.push(param) - 1);
  }

  #move(
    op: Op,
    indices: readonly Expression[],
    inside: Expression | undefined,
    guard: Expression | undefined,
  ): Expression {
    const input = op.inputs[0]!;
    if (!inside) return this.value(input, indices, guard);
    const b = this.builder;
    const type = scalarTypeOf(op.dtype);
    const fill = b.const(type, (op.attributes as OpAttributes['pad']).value);
    if (inside === b.false) return fill;
    const value = this.value(input, indices, guard ? b.and(guard, inside) : inside);
    const zero = Object.is((fill as { value: number }).value, 0);
    return zero && isZeroOutside(value, inside) ? value : b.select(inside, value, fill);
  }

  #randomBits(
    op: Op<'randomBits'>,
    indices: readonly Expression[],
    guard: Expression | undefined,
  ): Expression {
    const b = this.builder;
    const key = op.inputs[0]!;
    const words = [this.value(key, [b.int(0)], guard), this.value(key, [b.int(1)], guard)] as const;
    return threefry(b, words, b.alu('cast', 'u32', b.flatten(indices, stridesOf(op.shape))));
  }

  #gather(op: Op<'gather'>, indices: readonly Expression[], guard: Expression | undefined): Expression {
    const b = this.builder;
    const [x, index] = op.inputs as [Op, Op];
    const { axis } = op.attributes;
    const at = castExpression(b, this.value(index, indices, guard), index.dtype, 'int32');
    const inside = insideExtent(b, at, x.shape[axis]!);
    const condition = guard ? b.and(guard, inside) : inside;
    const value = this.value(
      x,
      indices.map((i, a) => (a === axis ? at : i)),
      condition,
    );
    return isZeroOutside(value, condition) ? value : b.select(inside, value, b.const(value.type, 0));
  }
}

/** True for a load that is guarded by this condition at least. */
const isZeroOutside = (value: Expression, condition: Expression): boolean =>
  value.op === 'load' && value.guard !== undefined && implies(value.guard, condition);

const implies = (a: Expression, b: Expression): boolean =>
  a === b || (a.op === 'alu' && a.alu === 'and' && a.args.some((part) => implies(part, b)));

/** 0 <= at < extent for an index that is data. */
export function insideExtent(b: IndexBuilder, at: Expression, extent: number): Expression {
  return b.and(b.alu('le', 'bool', b.int(0), at), b.alu('lt', 'bool', at, b.int(extent)));
}

/** Index variables for every dimension of a group's domain, and the indices of ops in it. */
export class DomainIndices {
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
