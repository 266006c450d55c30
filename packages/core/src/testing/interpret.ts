/**
 * A reference interpreter of LoopIR: one value at a time, in plain JavaScript, straight from the text of the contract. It is the oracle
 * for renderers, so it shares no code with any of them and does nothing cleverly.
 *
 * Transcendental functions are the host's, in f64, rounded once to f32; sums of f32 are kept in f64. A renderer agrees with
 * it exactly on everything else.
 */
import {
  type Accumulator,
  type AluExpression,
  type DType,
  type Expression,
  fromBfloat16Bits,
  fromFloat16Bits,
  type IndexVariable,
  InternalError,
  isElementwise,
  type JointKernel,
  type Kernel,
  type Phase,
  roundToBfloat16,
  roundToFloat16,
  type ScalarType,
  type Store,
  toBfloat16Bits,
  toFloat16Bits,
} from '../backend/index.ts';

/** The elements of a buffer as they lie in memory. The 16-bit floats are their bits; a bool is 0 or 1. */
export type BufferContents = Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** An array of `length` elements that can hold a buffer of this dtype. */
export function bufferContents(dtype: DType, length: number): BufferContents {
  switch (dtype) {
    case 'float32':
      return new Float32Array(length);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'uint32':
      return new Uint32Array(length);
    case 'uint8':
    case 'bool':
      return new Uint8Array(length);
  }
}

/** An element as a value of its scalar type. */
export function readElement(dtype: DType, contents: BufferContents, index: number): number {
  const raw = contents[index]!;
  if (dtype === 'float16') return fromFloat16Bits(raw);
  if (dtype === 'bfloat16') return fromBfloat16Bits(raw);
  return dtype === 'bool' ? Number(raw !== 0) : raw;
}

/** Stores a value of the dtype's scalar type. */
export function writeElement(dtype: DType, contents: BufferContents, index: number, value: number): void {
  if (dtype === 'float16') contents[index] = toFloat16Bits(value);
  else if (dtype === 'bfloat16') contents[index] = toBfloat16Bits(value);
  else contents[index] = value; // Uint8Array takes the low 8 bits
}

/**
 * Runs a kernel. `buffers` are read and written in place.
 *
 * @throws InternalError when the kernel loads or stores out of bounds, or reads an accumulator too early.
 */
export function interpretKernel(
  kernel: Kernel,
  buffers: readonly BufferContents[],
  scalars: readonly number[] = [],
): void {
  forEachPoint(kernel.space, new Map(), (point) => runPoint(kernel, buffers, scalars, point));
}

function runPoint(
  kernel: Kernel,
  buffers: readonly BufferContents[],
  scalars: readonly number[],
  point: Point,
): void {
  const machine = new Machine(kernel, buffers, scalars, point);
  for (const phase of kernel.phases) machine.run(phase);
}

/**
 * Runs a joint kernel, part by part. `buffers` and `scalars` are those of all parts in turn.
 *
 * @throws InternalError as {@link interpretKernel} does.
 */
export function interpretJoint(
  { body, parts }: JointKernel,
  buffers: readonly BufferContents[],
  scalars: readonly number[] = [],
): void {
  const share = <T>(all: readonly T[], count: number, part: number): readonly T[] =>
    all.slice(part * count, (part + 1) * count);
  for (const [p, { points, origins }] of parts.entries()) {
    const own = share(buffers, body.buffers.length, p).map((contents, i) => contents.subarray(origins[i]));
    const values = share(scalars, body.scalars.length, p);
    const [variable] = body.space;
    if (variable && isElementwise(body))
      for (let i = 0; i < points; i++) runPoint(body, own, values, new Map([[variable, i]]));
    else interpretKernel(body, own, values);
  }
}

type Point = Map<IndexVariable, number>;

function forEachPoint(
  variables: readonly IndexVariable[],
  point: Point,
  visit: (point: Point) => void,
  depth = 0,
): void {
  const variable = variables[depth];
  if (!variable) {
    visit(point);
    return;
  }
  for (let i = 0; i < variable.extent; i++) {
    point.set(variable, i);
    forEachPoint(variables, point, visit, depth + 1);
  }
}

class Machine {
  readonly #kernel: Kernel;
  readonly #buffers: readonly BufferContents[];
  readonly #scalars: readonly number[];
  readonly #point: Point;
  readonly #accumulators = new Map<number, number>();

  constructor(kernel: Kernel, buffers: readonly BufferContents[], scalars: readonly number[], point: Point) {
    this.#kernel = kernel;
    this.#buffers = buffers;
    this.#scalars = scalars;
    this.#point = new Map(point);
  }

  run(phase: Phase): void {
    if (phase.kind === 'map') {
      forEachPoint(phase.loops, this.#point, () => this.#iteration(phase.stores));
      return;
    }
    const states = phase.accumulators.map(start);
    forEachPoint(phase.loops, this.#point, () => {
      const known = new Map<Expression, number>();
      for (const [i, a] of phase.accumulators.entries()) {
        const position = a.position ? this.#value(a.position, known) : 0;
        accumulate(a, states[i]!, this.#value(a.value, known), position);
      }
    });
    for (const [i, a] of phase.accumulators.entries()) {
      const { value, position } = states[i]!;
      this.#accumulators.set(a.id, a.position ? position : wrap(a.type, value));
    }
  }

  /** Everything is evaluated before the first store. */
  #iteration(stores: readonly Store[]): void {
    const known = new Map<Expression, number>();
    const pending = stores
      .filter((store) => !store.guard || this.#value(store.guard, known) !== 0)
      .map((store) => ({
        store,
        index: this.#value(store.index, known),
        value: this.#value(store.value, known),
      }));
    for (const { store, index, value } of pending) {
      const { dtype } = this.#kernel.buffers[store.buffer]!;
      const contents = this.#at(store.buffer, index);
      let result = value;
      if (store.mode !== 'set') {
        const current = readElement(dtype, contents, index);
        const type = store.value.type;
        result = store.mode === 'max' ? extreme('max', current, value) : wrap(type, current + value);
        if (type === 'bool') result = Number(result !== 0);
      }
      writeElement(dtype, contents, index, result);
    }
  }

  #at(buffer: number, index: number): BufferContents {
    const { length } = this.#kernel.buffers[buffer]!;
    const contents = this.#buffers[buffer]!;
    if (!(index >= 0 && index < Math.min(length, contents.length)))
      throw new InternalError(
        `${this.#kernel.name}: index ${index} of buffer ${buffer} is not in 0..${length - 1}`,
      );
    return contents;
  }

  #value(e: Expression, known: Map<Expression, number>): number {
    let value = known.get(e);
    if (value === undefined) {
      value = this.#evaluate(e, known);
      known.set(e, value);
    }
    return value;
  }

  #evaluate(e: Expression, known: Map<Expression, number>): number {
    switch (e.op) {
      case 'const':
        return e.value;
      case 'index': {
        const value = this.#point.get(e.variable);
        if (value === undefined)
          throw new InternalError(`${e.variable.name} is not a variable of this phase`);
        return value;
      }
      case 'scalar':
        return this.#scalars[e.param]!;
      case 'accumulator': {
        const value = this.#accumulators.get(e.id);
        if (value === undefined) throw new InternalError(`accumulator ${e.id} is read before its phase`);
        return value;
      }
      case 'load': {
        if (e.guard && this.#value(e.guard, known) === 0) return 0;
        const index = this.#value(e.index, known);
        return readElement(this.#kernel.buffers[e.buffer]!.dtype, this.#at(e.buffer, index), index);
      }
      case 'alu':
        return evaluateAlu(
          e,
          e.args.map((arg) => this.#value(arg, known)),
        );
    }
  }
}

interface State {
  value: number;
  position: number;
}

function start({ op, type }: Accumulator): State {
  const lowest: Record<ScalarType, number> = {
    f32: Number.NEGATIVE_INFINITY,
    i32: -0x80000000,
    u32: 0,
    bool: 0,
  };
  const highest: Record<ScalarType, number> = {
    f32: Number.POSITIVE_INFINITY,
    i32: 0x7fffffff,
    u32: 0xffffffff,
    bool: 1,
  };
  const position = 0x7fffffff;
  if (op === 'sum' || op === 'prod') return { value: op === 'sum' ? 0 : 1, position };
  return { value: op === 'max' || op === 'argMax' ? lowest[type] : highest[type], position };
}

function accumulate({ op, type }: Accumulator, state: State, value: number, position: number): void {
  switch (op) {
    case 'sum':
      state.value = type === 'f32' ? state.value + value : wrap(type, state.value + value);
      break;
    case 'prod':
      state.value =
        type === 'i32' || type === 'u32' ? wrap(type, Math.imul(state.value, value)) : state.value * value;
      break;
    case 'max':
    case 'min':
      state.value = extreme(op, state.value, value);
      break;
    case 'argMax':
    case 'argMin': {
      const sign = op === 'argMax' ? 1 : -1;
      const bothNaN = Number.isNaN(value) && Number.isNaN(state.value);
      const better = !Number.isNaN(state.value) && (Number.isNaN(value) || sign * value > sign * state.value);
      const equal = value === state.value || bothNaN;
      if (better || (equal && position < state.position)) Object.assign(state, { value, position });
    }
  }
}

/** A mathematical result as a value of its type. */
function wrap(type: ScalarType, value: number): number {
  if (type === 'f32') return Math.fround(value);
  if (type === 'i32') return value | 0;
  if (type === 'u32') return value >>> 0;
  return Number(value !== 0);
}

/** Math.max and Math.min let NaN win, as the contract asks. */
const extreme = (op: 'max' | 'min', a: number, b: number): number =>
  op === 'max' ? Math.max(a, b) : Math.min(a, b);

const floatView = new Float32Array(1);
const intView = new Int32Array(floatView.buffer);

function roundHalfEven(x: number): number {
  if (!Number.isFinite(x) || Math.abs(x) >= 2 ** 52) return x;
  const down = Math.floor(x);
  const rest = x - down;
  const up = rest > 0.5 || (rest === 0.5 && down % 2 !== 0);
  const result = up ? down + 1 : down;
  return result === 0 && (x < 0 || Object.is(x, -0)) ? -0 : result;
}

/** erf in f64: the power series, and the continued fraction of erfc where the series cancels. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (x === 0 || Number.isNaN(x)) return x;
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 200; n++) {
      term *= (-x * x) / n;
      const next = sum + term / (2 * n + 1);
      if (next === sum) break;
      sum = next;
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 80; k > 0; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

/** C99's pow: unlike `**`, 1 to any power is 1, and so is -1 to an infinite one. */
export function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && Math.abs(y) === Number.POSITIVE_INFINITY)) return 1;
  return x ** y;
}

const floatUnary: Partial<Record<string, (x: number) => number>> = {
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round: roundHalfEven,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  expm1: Math.expm1,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  roundF16: roundToFloat16,
  roundBF16: roundToBfloat16,
};

/** One operation on values of its argument types. */
export function evaluateAlu(e: AluExpression, args: readonly number[]): number {
  const [a, b, c] = args as [number, number, number];
  const from = e.args.at(-1)!.type;
  const float = floatUnary[e.alu];
  if (float) return Math.fround(float(a));
  switch (e.alu) {
    case 'neg':
      return wrap(from, -a);
    case 'abs':
      return wrap(from, Math.abs(a));
    case 'sign':
      return Math.sign(a);
    case 'not':
      return from === 'bool' ? Number(a === 0) : wrap(from, ~a);
    case 'add':
      return wrap(from, a + b);
    case 'sub':
      return wrap(from, a - b);
    case 'mul':
      return wrap(from, from === 'f32' ? a * b : Math.imul(a, b));
    case 'div':
      return Math.fround(a / b);
    case 'idiv':
      return b === 0 ? 0 : wrap(from, Math.trunc(a / b));
    case 'rem':
      return b === 0 && from !== 'f32' ? 0 : wrap(from, a % b);
    case 'pow':
      return Math.fround(power(a, b));
    case 'max':
    case 'min':
      return extreme(e.alu, a, b);
    case 'and':
      return wrap(from, a & b);
    case 'or':
      return wrap(from, a | b);
    case 'xor':
      return wrap(from, a ^ b);
    case 'shl':
      return wrap(from, a << (b & 31));
    case 'shr':
      return from === 'u32' ? a >>> (b & 31) : a >> (b & 31);
    case 'lt':
      return Number(a < b);
    case 'le':
      return Number(a <= b);
    case 'eq':
      return Number(a === b);
    case 'ne':
      return Number(a !== b);
    case 'where':
      return a !== 0 ? b : c;
    case 'cast':
      return cast(from, e.type, a);
    case 'bitcast':
      return bitcast(from, e.type, a);
    default:
      throw new InternalError(`the interpreter does not know ${e.alu}`);
  }
}

function cast(from: ScalarType, to: ScalarType, a: number): number {
  if (to === 'bool') return Number(a !== 0);
  if (from !== 'f32' || to === 'f32') return wrap(to, a);
  const [low, high] = to === 'i32' ? [-0x80000000, 0x7fffffff] : [0, 0xffffffff];
  return Number.isNaN(a) ? 0 : wrap(to, Math.max(low, Math.min(high, a)));
}

function bitcast(from: ScalarType, to: ScalarType, a: number): number {
  if (from === 'f32') floatView[0] = a;
  else intView[0] = a;
  return to === 'f32' ? floatView[0]! : wrap(to, intView[0]!);
}
