/**
 * Accumulators of a reduce phase, as scalars or as lanes.
 *
 * A vector accumulation may have several copies, which break the chain of dependent additions; they are folded at the end, always
 * in the same order, so that a result does not depend on how the work was cut. argMax and argMin carry the extreme and its
 * position.
 */
import type { Accumulator, ReduceOp, ScalarType } from '@tutti/core/backend';
import type { Local, PlainOp } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import { scalarAlu, valueTypeOf } from './scalar-alu.ts';
import { extractLane, vectorAlu } from './vector-alu.ts';

type Shape = 'scalar' | 'vector';

interface State {
  readonly value: Local;
  readonly position: Local | undefined;
}

const isArgument = (op: ReduceOp): boolean => op === 'argMax' || op === 'argMin';

/** A bool is compared as 0 or 1 where its position matters. */
const comparedType = (a: Accumulator): ScalarType => (isArgument(a.op) && a.type === 'bool' ? 'i32' : a.type);

function identity(op: ReduceOp, type: ScalarType): number {
  if (op === 'sum') return 0;
  if (op === 'prod') return 1;
  const lowest = op === 'max' || op === 'argMax';
  if (type === 'f32') return lowest ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (type === 'i32') return lowest ? -0x80000000 : 0x7fffffff;
  if (type === 'u32') return lowest ? 0 : 0xffffffff;
  return lowest ? 0 : 1;
}

export class Accumulation {
  readonly accumulator: Accumulator;
  readonly #code: Code;
  readonly #shape: Shape;
  readonly #states: readonly State[];
  readonly #type: ScalarType;

  constructor(code: Code, accumulator: Accumulator, shape: Shape, copies: number) {
    this.accumulator = accumulator;
    this.#code = code;
    this.#shape = shape;
    this.#type = comparedType(accumulator);
    this.#states = Array.from({ length: copies }, () => ({
      value: code.fn.local(shape === 'vector' ? 'v128' : valueTypeOf(this.#type)),
      position: isArgument(accumulator.op) ? code.fn.local(shape === 'vector' ? 'v128' : 'i32') : undefined,
    }));
  }

  /** Local of the finished result in one copy. */
  result(copy: number): Local {
    const { value, position } = this.#states[copy]!;
    return position ?? value;
  }

  /** Sets all copies to the identity. */
  reset(): void {
    const { fn } = this.#code;
    for (const { value, position } of this.#states) {
      this.#constant(identity(this.accumulator.op, this.#type));
      fn.set(value);
      if (!position) continue;
      if (this.#shape === 'vector') fn.i32x4(0x7fffffff).set(position);
      else fn.i32(0x7fffffff).set(position);
    }
  }

  #constant(value: number): void {
    const { fn } = this.#code;
    if (this.#shape === 'scalar') {
      if (this.#type === 'f32') fn.f32(value);
      else fn.i32(value | 0);
    } else if (this.#type === 'f32') fn.f32x4(value);
    else fn.i32x4(this.#type === 'bool' ? -value : value | 0);
  }

  /** `acc = acc op value`. The value comes as code computes it: a bool vector is a mask. */
  update(copy: number, value: Emit, position?: Emit): void {
    this.#merge(this.#states[copy]!, this.#comparable(value), position);
  }

  /** A mask as 0 or 1. */
  #comparable(value: Emit): Emit {
    const code = this.#code;
    const isMask = this.#shape === 'vector' && this.#type !== this.accumulator.type;
    return isMask ? code.op('v128.and', value, code.i32x4(1)) : value;
  }

  #merge(state: State, value: Emit, position: Emit | undefined): void {
    const code = this.#code;
    if (!state.position) {
      combine(code, this.accumulator.op, this.#type, this.#shape, code.get(state.value), value)();
      code.fn.set(state.value);
      return;
    }
    const vector = this.#shape === 'vector';
    const x = code.keep(value, vector ? 'v128' : valueTypeOf(this.#type));
    const p = code.keep(position!, vector ? 'v128' : 'i32');
    const [best, at] = [code.get(state.value), code.get(state.position)];
    const takes = code.keep(this.#takes(x, p, best, at), vector ? 'v128' : 'i32');
    const pick = (fresh: Emit, old: Emit): Emit =>
      vector ? code.choose(takes, fresh, old) : code.op('select', fresh, old, takes);
    pick(x, best)();
    code.fn.set(state.value);
    pick(p, at)();
    code.fn.set(state.position);
  }

  /** x is more extreme than the best, or as extreme at a smaller position. NaN is the most extreme. */
  #takes(x: Emit, p: Emit, best: Emit, at: Emit): Emit {
    const code = this.#code;
    const vector = this.#shape === 'vector';
    const lanes = vector ? (this.#type === 'f32' ? 'f32x4' : 'i32x4') : this.#type === 'f32' ? 'f32' : 'i32';
    const suffix = this.#type === 'f32' ? '' : this.#type === 'u32' ? '_u' : '_s';
    const [and, or] = vector ? (['v128.and', 'v128.or'] as const) : (['i32.and', 'i32.or'] as const);
    const not = (e: Emit): Emit => (vector ? code.op('v128.not', e) : code.op('i32.eqz', e));
    const compare = (name: string, a: Emit, b: Emit): Emit => code.op(`${lanes}.${name}` as PlainOp, a, b);
    const weaker = this.accumulator.op === 'argMax' ? `le${suffix}` : `ge${suffix}`;
    const better = code.op(and, not(compare(weaker, x, best)), compare('eq', best, best));
    const bothNaN = code.op(and, compare('ne', x, x), compare('ne', best, best));
    const equal = code.op(or, compare('eq', x, best), bothNaN);
    const earlier = code.op(vector ? 'i32x4.lt_s' : 'i32.lt_s', p, at);
    return code.op(or, better, code.op(and, equal, earlier));
  }

  /** Takes in every copy of another accumulation of the same kind and shape, which may have fewer, copy by copy. */
  absorb(other: Accumulation): void {
    for (const [copy, state] of other.#states.entries()) this.#mergeState(this.#states[copy]!, state);
  }

  #mergeState(into: State, from: State): void {
    this.#merge(into, this.#code.get(from.value), from.position && this.#code.get(from.position));
  }

  /** Folds the copies into copy 0, pairwise. */
  foldCopies(): void {
    for (let width = 1; width < this.#states.length; width *= 2) {
      for (let i = 0; i + width < this.#states.length; i += 2 * width) {
        this.#mergeState(this.#states[i]!, this.#states[i + width]!);
      }
    }
  }

  /** Takes in the lanes of a vector accumulation's copy 0, in order. */
  absorbLanes(vector: Accumulation): void {
    const code = this.#code;
    const { value, position } = vector.#states[0]!;
    for (let lane = 0; lane < 4; lane++) {
      this.#merge(
        this.#states[0]!,
        extractLane(code, code.get(value), this.#type, lane),
        position && extractLane(code, code.get(position), 'i32', lane),
      );
    }
  }
}

/** A sum of bools is whether any is true, a product whether all are. */
function combine(code: Code, op: ReduceOp, type: ScalarType, shape: Shape, a: Emit, b: Emit): Emit {
  const arithmetic = op === 'sum' ? 'add' : op === 'prod' ? 'mul' : op === 'max' ? 'max' : 'min';
  const logical = op === 'sum' || op === 'max' ? 'or' : 'and';
  const alu = type === 'bool' ? logical : arithmetic;
  const placeholder = { op: 'const', type, value: 0 } as const;
  const expression = { op: 'alu', alu, type, args: [placeholder, placeholder] } as const;
  return shape === 'vector' ? vectorAlu(code, expression, [a, b], false) : scalarAlu(code, expression, [a, b]);
}
