/**
 * Lowering by index functions: the value of an op at given indices is an expression. Movement only changes the indices,
 * elementwise ops combine the values of their operands at the same indices, and what is stored is loaded.
 */
import { type Expression, InternalError, type ScalarType } from '../backend/index.ts';
import { stridesOf } from '../tensor/shape.ts';
import { IndexBuilder } from './index-math.ts';
import { castExpression, lowerElementwise, threefry } from './lower-op.ts';
import { sourceOf } from './movement.ts';
import { elementsOf, isOp, kindOf, type Op, type OpAttributes, scalarTypeOf } from './op.ts';

/** Thrown when ops that were to share a kernel cannot: an element is wanted that another point of the space computes. */
export class FusionRejected extends Error {}

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
