/**
 * Accumulators of a reduce phase, as scalars or as lanes.
 *
 * A vector accumulation may have several copies, which break the chain of dependent additions; they are folded at the end, always
 * in the same order, so that a result does not depend on how the work was cut. argMax and argMin carry the extreme and its
 * position. max and min of floats carry whether they met a NaN: a plain comparison and a test for NaN are three instructions,
 * where `f32x4.max` is eight on x64.
 */
import {
  type Accumulator,
  identityOf,
  isArgument,
  type ReduceOp,
  type ScalarType,
} from '@tutti/core/backend';
import type { Local, PlainOp } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import { scalarAlu, valueTypeOf } from './scalar-alu.ts';
import { extractLane, vectorAlu } from './vector-alu.ts';

type Shape = 'scalar' | 'vector';

interface State {
  readonly value: Local;
  readonly position: Local | undefined;
  /** Set once a NaN was met. */
  readonly unordered: Local | undefined;
}

/** What is merged into a state: a new value, or another state. */
interface Contribution {
  readonly value: Emit;
  readonly position?: Emit | undefined;
  readonly unordered?: Emit | undefined;
}

/** A bool is compared as 0 or 1 where its position matters. */
const comparedType = (a: Accumulator): ScalarType => (isArgument(a.op) && a.type === 'bool' ? 'i32' : a.type);

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
    const flag = shape === 'vector' ? 'v128' : 'i32';
    const { op } = accumulator;
    this.#states = Array.from({ length: copies }, () => ({
      value: code.fn.local(shape === 'vector' ? 'v128' : valueTypeOf(this.#type)),
      position: isArgument(op) ? code.fn.local(flag) : undefined,
      unordered: (op === 'max' || op === 'min') && this.#type === 'f32' ? code.fn.local(flag) : undefined,
    }));
  }

  /** Finishes one copy and returns the local of its result. */
  result(copy: number): Local {
    const code = this.#code;
    const { value, position, unordered } = this.#states[copy]!;
    if (unordered) {
      const [met, result] = [code.get(unordered), code.get(value)];
      // A lane with all bits set is a NaN.
      if (this.#shape === 'vector') code.op('v128.or', result, met)();
      else code.op('select', () => code.fn.f32(Number.NaN), result, met)();
      code.fn.set(value);
    }
    return position ?? value;
  }

  /** Sets all copies to the identity. */
  reset(): void {
    const { fn } = this.#code;
    const integer = (local: Local, value: number): void => {
      if (this.#shape === 'vector') fn.i32x4(value).set(local);
      else fn.i32(value).set(local);
    };
    for (const { value, position, unordered } of this.#states) {
      this.#constant(identityOf(this.accumulator.op, this.#type));
      fn.set(value);
      if (position) integer(position, 0x7fffffff);
      if (unordered) integer(unordered, 0);
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
    this.#merge(this.#states[copy]!, { value: this.#comparable(value), position });
  }

  /** A mask as 0 or 1. */
  #comparable(value: Emit): Emit {
    const code = this.#code;
    const isMask = this.#shape === 'vector' && this.#type !== this.accumulator.type;
    return isMask ? code.op('v128.and', value, code.i32x4(1)) : value;
  }

  #merge(state: State, { value, position, unordered }: Contribution): void {
    if (state.position) this.#mergeArgument(state, value, position!);
    else if (state.unordered) this.#mergeExtreme(state, value, unordered);
    else {
      combine(this.#code, this.accumulator.op, this.#type, this.#shape, this.#code.get(state.value), value)();
      this.#code.fn.set(state.value);
    }
  }

  /** `unordered` absent: the value itself may be a NaN, which loses every comparison. */
  #mergeExtreme(state: State, value: Emit, unordered: Emit | undefined): void {
    const code = this.#code;
    const vector = this.#shape === 'vector';
    const isMax = this.accumulator.op === 'max';
    const x = code.keep(value, vector ? 'v128' : 'f32');
    const best = code.get(state.value);
    if (vector) code.op(isMax ? 'f32x4.pmax' : 'f32x4.pmin', best, x)();
    else code.op('select', x, best, code.op(isMax ? 'f32.gt' : 'f32.lt', x, best))();
    code.fn.set(state.value);
    const met = unordered ?? code.op(vector ? 'f32x4.ne' : 'f32.ne', x, x);
    code.op(vector ? 'v128.or' : 'i32.or', code.get(state.unordered!), met)();
    code.fn.set(state.unordered!);
  }

  #mergeArgument(state: State, value: Emit, position: Emit): void {
    const code = this.#code;
    const vector = this.#shape === 'vector';
    const x = code.keep(value, vector ? 'v128' : valueTypeOf(this.#type));
    const p = code.keep(position, vector ? 'v128' : 'i32');
    const [best, at] = [code.get(state.value), code.get(state.position!)];
    const takes = code.keep(this.#takes(x, p, best, at), vector ? 'v128' : 'i32');
    const pick = (fresh: Emit, old: Emit): Emit =>
      vector ? code.choose(takes, fresh, old) : code.op('select', fresh, old, takes);
    pick(x, best)();
    code.fn.set(state.value);
    pick(p, at)();
    code.fn.set(state.position!);
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
    const code = this.#code;
    this.#merge(into, {
      value: code.get(from.value),
      position: from.position && code.get(from.position),
      unordered: from.unordered && code.get(from.unordered),
    });
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
    const { value, position, unordered } = vector.#states[0]!;
    for (let lane = 0; lane < 4; lane++) {
      const integer = (local: Local | undefined) => local && extractLane(code, code.get(local), 'i32', lane);
      this.#merge(this.#states[0]!, {
        value: extractLane(code, code.get(value), this.#type, lane),
        position: integer(position),
        unordered: integer(unordered),
      });
    }
  }
}

/** A sum of bools is whether any is true, a product whether all are. */
function combine(code: Code, op: ReduceOp, type: ScalarType, shape: Shape, a: Emit, b: Emit): Emit {
  const arithmetic = op === 'sum' ? 'add' : op === 'prod' ? 'mul' : op === 'max' ? 'max' : 'min';
  const logical = op === 'sum' || op === 'max' ? 'or' : 'and';
  const alu = type === 'bool' ? logical : arithmetic;
  const placeholder = { op: 'scalar', type, param: 0 } as const; // only its type matters
  const expression = { op: 'alu', alu, type, args: [placeholder, placeholder] } as const;
  return shape === 'vector'
    ? vectorAlu(code, expression, [a, b], false)
    : scalarAlu(code, expression, [a, b]);
}
