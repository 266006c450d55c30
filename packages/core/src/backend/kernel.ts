/**
 * LoopIR: the language in which the compiler hands a kernel to a backend.
 *
 * A kernel is a parallel index space and a list of phases that every point ("thread") of the space runs in
 * order. A phase either *reduces* over sequential loops into accumulators, or *maps*: it stores, for every
 * iteration of its loops.
 *
 *     elementwise           space [n]      map  (no loops)   out[i] = f(in[i])
 *     sum over rows         space [rows]   reduce [k] acc0 += in[..];  map (no loops) out[i] = acc0
 *     softmax (row program) space [rows]   reduce [k] acc0 max= x;  reduce [k] acc1 += exp(x - acc0);
 *                                          map [k] out[..] = exp(x - acc0) / acc1
 *     scatter               space [cols]   map [v] out[v,..] = base;  map sequential [k] out[idx[k],..] += upd
 *
 * A backend may run a point of the space with one thread, or with one workgroup that shares the loops of a
 * phase among its threads (then with a barrier between phases), or may vectorise over the innermost loop or
 * the innermost dimension of the space. What it may rely on:
 *
 * - Expressions are pure, and form a DAG: equal subexpressions are the same object (`===`).
 * - No two points of the space, and no two iterations of a `parallel` map, store to the same element.
 * - A `sequential` map runs its iterations in order, in one thread for each point.
 * - A point that loads from a `readWrite` buffer outside a `sequential` map loads only at the index that the same
 *   iteration stores to.
 * - The values of all stores of one iteration are computed before the first of them is stored.
 * - The extents of the space and of loops are at least 1. A kernel with nothing to do is never made.
 */
import type { DType, ScalarType } from './dtype.ts';

export interface Kernel {
  readonly kind: 'kernel';
  /** For people: what the kernel does, in a few words, as an identifier. */
  readonly name: string;
  readonly buffers: readonly BufferParam[];
  /** Types of the scalar parameters. Their values come with each command. */
  readonly scalars: readonly ScalarType[];
  /** The parallel index space, outermost first. Empty means one point. */
  readonly space: readonly IndexVariable[];
  readonly phases: readonly Phase[];
}

/**
 * The same kernel for several sets of buffers, in one launch: what an optimiser does to each of its parameters. Buffers and
 * scalars are those of the parts in turn. Parts run in any order, or at once: none stores to what another one touches.
 */
export interface JointKernel {
  readonly kind: 'joint';
  readonly name: string;
  /**
   * What each part runs. The lengths of its buffers are bounds. Where it is {@link isElementwise}, so is the extent of its
   * index variable, and each part has points of its own; otherwise all have those of the body.
   */
  readonly body: Kernel;
  readonly parts: readonly JointPart[];
}

export interface JointPart {
  /** Points of the space. */
  readonly points: number;
  /** For each buffer of the body, which of its elements the body takes for the first. 0 but for what is only read. */
  readonly origins: readonly number[];
}

/** Whether a kernel is one map over one index variable, each of whose points is on its own. */
export const isElementwise = ({ space, phases: [phase, ...rest] }: Kernel): boolean =>
  space.length === 1 &&
  rest.length === 0 &&
  phase?.kind === 'map' &&
  phase.order === 'parallel' &&
  phase.loops.length === 0;

export interface BufferParam {
  readonly dtype: DType;
  /** Number of elements that the kernel may touch. */
  readonly length: number;
  readonly access: 'read' | 'write' | 'readWrite';
}

/** A variable of the index space or of a loop. Takes the values 0 .. extent-1. */
export interface IndexVariable {
  readonly name: string;
  readonly extent: number;
}

export type Phase = ReducePhase | MapPhase;

/** `for loops: for each accumulator: acc = acc op value`. Accumulators start at the identity of their op. */
export interface ReducePhase {
  readonly kind: 'reduce';
  readonly loops: readonly IndexVariable[];
  readonly accumulators: readonly Accumulator[];
}

/**
 * - `sum`, `prod`: f32 in any order that does not depend on the number of threads; i32 and u32 wrap.
 * - `max`, `min`: NaN wins over everything; identity is -Inf/+Inf, the integer's extreme, false/true.
 * - `argMax`, `argMin`: the *smallest* `position` among those that hold the extreme; the first NaN, if there is one.
 */
export type ReduceOp = 'sum' | 'prod' | 'max' | 'min' | 'argMax' | 'argMin';

export interface Accumulator {
  /** Names this accumulator in `{ op: 'accumulator' }` expressions of later phases. Unique in the kernel. */
  readonly id: number;
  readonly op: ReduceOp;
  /** Type of `value`. The accumulator itself is i32 for argMax and argMin, otherwise of this type. */
  readonly type: ScalarType;
  readonly value: Expression;
  /** For argMax and argMin: what is remembered (i32). */
  readonly position?: Expression;
}

export interface MapPhase {
  readonly kind: 'map';
  /** Empty: once for each point of the space. */
  readonly loops: readonly IndexVariable[];
  readonly order: 'parallel' | 'sequential';
  readonly stores: readonly Store[];
}

/**
 * `buffer[index] = value`, or `+=`, or `max=`; skipped where `guard` is false. A value is converted to the buffer's
 * dtype: f32 rounds to nearest even for float16 and bfloat16 (overflow to Inf, NaN stays NaN); u32 is cut to its low 8
 * bits for uint8; bool is 0 or 1. `add` on integers wraps. `max` lets NaN win.
 */
export interface Store {
  readonly buffer: number;
  readonly index: Expression;
  readonly value: Expression;
  readonly mode: 'set' | 'add' | 'max';
  readonly guard?: Expression;
}

export type Expression =
  | ConstExpression
  | IndexExpression
  | ScalarExpression
  | LoadExpression
  | AccumulatorExpression
  | AluExpression;

export interface ConstExpression {
  readonly op: 'const';
  readonly type: ScalarType;
  /** A number of its type: already rounded for f32 (may be NaN, ±Inf, -0), in range for integers, 0 or 1 for bool. */
  readonly value: number;
}

/** The value of an index variable, as i32. */
export interface IndexExpression {
  readonly op: 'index';
  readonly type: 'i32';
  readonly variable: IndexVariable;
}

export interface ScalarExpression {
  readonly op: 'scalar';
  readonly type: ScalarType;
  readonly param: number;
}

/**
 * An element of a buffer, widened to its scalar type. Where `guard` is given and false, the value is zero and memory is
 * not touched: the index may be out of bounds there. Where it is true or absent, the index is in bounds.
 */
export interface LoadExpression {
  readonly op: 'load';
  readonly type: ScalarType;
  readonly buffer: number;
  readonly index: Expression;
  readonly guard?: Expression;
}

/** The finished value of an accumulator of an earlier phase. In an epilogue: the anchor's own result (id 0). */
export interface AccumulatorExpression {
  readonly op: 'accumulator';
  readonly type: ScalarType;
  readonly id: number;
}

export interface AluExpression {
  readonly op: 'alu';
  readonly alu: AluOp;
  readonly type: ScalarType;
  readonly args: readonly Expression[];
}

/**
 * Arithmetic. T is any of f32, i32, u32 unless it says otherwise; integers wrap.
 *
 * | op | type | meaning |
 * |---|---|---|
 * | neg abs sign | T -> T | sign(NaN) is NaN, sign(±0) is ±0; abs of the least i32 is itself |
 * | floor ceil trunc round | f32 | round is to nearest, ties to even |
 * | sqrt rsqrt exp log log1p expm1 sin cos tanh erf | f32 | IEEE limits: log(0) = -Inf, log(-1) = NaN, exp(-Inf) = 0 |
 * | not | bool: logical; i32, u32: bitwise | |
 * | add sub mul | T,T -> T | |
 * | div | f32 | IEEE |
 * | idiv rem | i32, u32; rem also f32 | truncated quotient and its remainder (f32: C's fmod); integers by zero give 0 |
 * | pow | f32 | C99 pow: x**0 = 1 always, (negative)**(non-integer) = NaN |
 * | max min | T, bool | NaN wins; of -0 and +0 either may come out |
 * | and or xor | bool: logical; i32, u32: bitwise | |
 * | shl shr | i32, u32 | amount masked to 5 bits; shr keeps the sign of i32 |
 * | lt le eq ne | T,T or bool,bool -> bool | NaN: all false but ne |
 * | where | bool,T,T -> T | a select; both sides may be evaluated |
 * | cast | S -> T | f32 to integer truncates, saturates, NaN to 0; i32 and u32 reinterpret; bool is 0 or 1; x to bool is x != 0 |
 * | bitcast | same bits, between f32, i32 and u32 | |
 * | roundF16 roundBF16 | f32 -> f32 | to the nearest value that the 16-bit format can hold |
 */
export type AluOp = UnaryAlu | BinaryAlu | 'where';
export type UnaryAlu =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'trunc'
  | 'round'
  | 'sqrt'
  | 'rsqrt'
  | 'exp'
  | 'log'
  | 'log1p'
  | 'expm1'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'erf'
  | 'not'
  | 'cast'
  | 'bitcast'
  | 'roundF16'
  | 'roundBF16';
export type BinaryAlu =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'idiv'
  | 'rem'
  | 'pow'
  | 'max'
  | 'min'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'lt'
  | 'le'
  | 'eq'
  | 'ne';
