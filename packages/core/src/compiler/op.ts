import { type DType, dtypeInfo, type ScalarType } from '../backend/index.ts';
import {
  type Primitive,
  type PrimitiveAttributes,
  type PrimitiveKind,
  primitives,
} from '../ops/primitives.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';

/** What the compiler adds to the primitives: a scalar parameter of the plan, whose value comes with each run. */
interface CompilerAttributes {
  scalar: { readonly param: number; readonly dtype: DType };
  /** A leaf: operand number `input` of the plan. */
  input: { readonly input: number; readonly shape: Shape; readonly dtype: DType };
}

export type OpAttributes = Omit<PrimitiveAttributes, 'data' | 'detach' | 'alias' | 'custom'> &
  CompilerAttributes;
export type OpName = keyof OpAttributes;

/**
 * A node of the compiler's own graph: plain data, detached from tensors, storage and gradients. Equal operations on equal
 * operands are the same object, so common subexpressions merge by construction.
 */
export interface Op<P extends OpName = OpName> {
  readonly id: number;
  readonly op: P;
  readonly inputs: readonly Op[];
  readonly attributes: OpAttributes[P];
  readonly shape: Shape;
  readonly dtype: DType;
}

export const scalarTypeOf = (dtype: DType): ScalarType => dtypeInfo[dtype].scalar;

export const isOp = <P extends OpName>(op: Op, name: P): op is Op<P> => op.op === name;

export const kindOf = (op: Op): PrimitiveKind =>
  op.op === 'input' || op.op === 'scalar' ? 'leaf' : primitives[op.op].kind;

export const elementsOf = (op: Op): number => sizeOf(op.shape);

/** Makes ops, merging equal ones. */
export class OpBuilder {
  readonly #known = new Map<string, Op>();
  #nextId = 0;

  make<P extends OpName>(op: P, inputs: readonly Op[], attributes: OpAttributes[P]): Op {
    const key = `${op}|${inputs.map((input) => input.id).join(',')}|${attributeKey(attributes)}`;
    let made = this.#known.get(key);
    if (!made) {
      const { shape, dtype } = this.#infer(op, inputs, attributes);
      made = { id: this.#nextId++, op, inputs, attributes, shape, dtype };
      this.#known.set(key, made);
    }
    return made;
  }

  #infer(
    op: OpName,
    inputs: readonly Op[],
    attributes: OpAttributes[OpName],
  ): { shape: Shape; dtype: DType } {
    if (op === 'input') return attributes as OpAttributes['input'];
    if (op === 'scalar') return { shape: [], dtype: (attributes as OpAttributes['scalar']).dtype };
    const infer = primitives[op].infer as (i: readonly Op[], a: unknown) => { shape: Shape; dtype: DType };
    return infer(inputs, attributes);
  }
}

/** Attributes as text. Unlike JSON it tells NaN, the infinities and -0 apart. */
export function attributeKey(attributes: object): string {
  if (Object.keys(attributes).length === 0) return '';
  return JSON.stringify(attributes, (_, value) =>
    typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
      ? `#${Object.is(value, -0) ? '-0' : value}`
      : value,
  );
}

/** Ops reachable from `roots`, operands before their users. Nothing below those where `ends` is true, but for the roots. */
export function topological(roots: readonly Op[], ends: (op: Op) => boolean = () => false): Op[] {
  const order: Op[] = [];
  const state = new Set<Op>();
  const top = new Set(roots);
  const stack: { op: Op; next: number }[] = [];
  const push = (op: Op): void => {
    if (state.has(op)) return;
    state.add(op);
    stack.push({ op, next: ends(op) && !top.has(op) ? op.inputs.length : 0 });
  };
  for (const root of roots) {
    push(root);
    for (let at = stack.at(-1); at; at = stack.at(-1)) {
      const input = at.op.inputs[at.next++];
      if (input) {
        push(input);
      } else {
        order.push(at.op);
        stack.pop();
      }
    }
  }
  return order;
}

export type { Primitive };
