/**
 * The primitive operations: the whole vocabulary between what a user writes and what a backend runs. Every other
 * operation is composed of these. Each has a row here (arity, shape rule, dtype rule), a rule in `autograd/rules.ts`, a
 * lowering in `compiler/lower-value.ts` and a function in the conformance oracle; forgetting one is a type error.
 *
 * Operands are already of one dtype and one shape where that is needed: promotion and broadcasting are spelled out in the
 * graph with `cast` and `expand`.
 */
import type { AttentionOperandName, DType } from '../backend/index.ts';
import type { Shape } from '../tensor/shape.ts';
import {
  inferArgReduce,
  inferAttention,
  inferAttentionGradient,
  inferBinary,
  inferBitcast,
  inferConv,
  inferDot,
  inferExpand,
  inferGather,
  inferPad,
  inferPermute,
  inferReduce,
  inferReshape,
  inferScatter,
  inferUnary,
  inferUnfold,
  inferWhere,
} from './infer.ts';

/** What a rule of a primitive sees of an operand. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/**
 * Computes the gradients of a custom node's arguments from the gradient of its result and the node's operands, both
 * tensors; see `customVjp`.
 */
export type CustomRule = (gradient: unknown, operands: readonly unknown[]) => readonly unknown[];

type None = Record<never, never>;

/** Elementwise operations with one operand. */
export type UnaryPrimitive =
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
  | 'not';
/** Elementwise operations with two operands of one shape and dtype. */
export type BinaryPrimitive =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'idiv'
  | 'rem'
  | 'pow'
  | 'maximum'
  | 'minimum'
  | 'and'
  | 'or'
  | 'xor'
  | 'shl'
  | 'shr'
  | 'lt'
  | 'le'
  | 'eq'
  | 'ne';
/** Reductions over axes, which stay in the shape with extent 1. */
export type ReducePrimitive = 'reduceSum' | 'reduceProd' | 'reduceMax' | 'reduceMin';

export interface AttentionAttributes {
  readonly scale: number;
  readonly causal: boolean;
}

/** With respect to what. */
export interface AttentionGradientAttributes extends AttentionAttributes {
  readonly of: readonly (AttentionOperandName | 'mask')[];
}

/** The attributes of every primitive. What is here is part of a plan's cache key: no value that changes from step to step. */
export interface PrimitiveAttributes extends Record<UnaryPrimitive | BinaryPrimitive, None> {
  /** A leaf: data on a device or on its way there, or the argument of a traced function. */
  data: { readonly shape: Shape; readonly dtype: DType };
  /**
   * A scalar of a known value, shape []. Values that are likely to vary become parameters of a plan, unless `fixed`: then it stays
   * part of the graph, equal to others of the value.
   */
  const: { readonly value: number; readonly dtype: DType; readonly fixed?: true };
  /** int32 indices along one axis. */
  iota: { readonly shape: Shape; readonly axis: number };
  /** uint32 bits: word 0 of Threefry-2x32-20(key, (flat index, 0)). Operand: key, uint32 [2]. */
  randomBits: { readonly shape: Shape };

  /** where(condition, a, b) */
  where: None;
  cast: { readonly dtype: DType };
  bitcast: { readonly dtype: DType };

  reshape: { readonly shape: Shape };
  permute: { readonly axes: readonly number[] };
  /** Axes of extent 1 grow. The rank stays. */
  expand: { readonly shape: Shape };
  /** Puts `value` before (`low`), after (`high`) and `interior` times between the elements of each axis; low and high may be negative (cut). */
  pad: {
    readonly low: readonly number[];
    readonly high: readonly number[];
    readonly interior: readonly number[];
    readonly value: number;
  };
  /** Elements start, start+step, ... , `size` of them, along each axis; step >= 1. */
  slice: {
    readonly start: readonly number[];
    readonly size: readonly number[];
    readonly step: readonly number[];
  };
  flip: { readonly axes: readonly number[] };
  /** Sliding windows: axis a of extent E becomes (E - (size-1)*dilation - 1) / step + 1 windows; a last axis of `size` is appended. */
  unfold: { readonly axis: number; readonly size: number; readonly step: number; readonly dilation: number };

  reduceSum: { readonly axes: readonly number[] };
  reduceProd: { readonly axes: readonly number[] };
  reduceMax: { readonly axes: readonly number[] };
  reduceMin: { readonly axes: readonly number[] };
  /** int32 position of the first extreme along one axis (the first NaN, if any); the axis stays with extent 1. */
  argMax: { readonly axis: number };
  argMin: { readonly axis: number };

  /** gather(x, index): out[.., i, ..] = x[.., index[.., i, ..], ..] along `axis`; other extents equal. An index out of range reads 0. */
  gather: { readonly axis: number };
  /** scatter(base, index, updates): base with updates put, added or maxed in along `axis`, in order; out of range is dropped. */
  scatter: { readonly axis: number; readonly mode: 'set' | 'add' | 'max' };

  /** (..B, M, K) x (..B, K, N) -> (..B, M, N), batch extents equal. */
  dot: None;
  /** (N, G*I, ..in) x (G*O, I, ..kernel) -> (N, G*O, ..out): cross-correlation; see ConvAnchor for the formula. */
  conv: {
    readonly stride: readonly number[];
    readonly padLow: readonly number[];
    readonly padHigh: readonly number[];
    readonly inputDilation: readonly number[];
    readonly kernelDilation: readonly number[];
    readonly groups: number;
  };
  /**
   * softmax(scale * q k^T, masked) v: (..B, L, E), (..B, S, E), (..B, S, V) and maybe a mask (..B, L, S) -> (..B, L, V). A mask of
   * bool is true where attention is allowed, one of float32 is added to the scores; `causal` lets query i see keys 0 .. i.
   */
  attention: AttentionAttributes;
  /**
   * The gradient of attention with respect to the operand that `of` names, of its shape: q, k, v, the gradient of the result
   * (..B, L, V) and maybe a mask. With respect to several: all elements of one after the other, (N).
   */
  attentionGradient: AttentionGradientAttributes;

  /** Identity through which no gradient flows. */
  detach: None;
  /** Identity: a place at which a gradient is asked for. */
  alias: None;
  /** Identity of the first operand, never merged with another of its kind: what is above it is computed anew. The second operand orders it. */
  barrier: { readonly id: number };
  /**
   * Identity of the first operand, with a rule of its own for the gradients of the next `arguments` operands. Those after
   * are values that the rule wants to find again.
   */
  custom: { readonly rule: CustomRule; readonly arguments: number };
}

export type Primitive = keyof PrimitiveAttributes;

export type PrimitiveKind =
  | 'leaf'
  | 'elementwise'
  | 'movement'
  | 'reduce'
  | 'indexing'
  | 'anchor'
  | 'identity';

export interface PrimitiveDefinition<P extends Primitive> {
  readonly kind: PrimitiveKind;
  /** Number of operands; `variadic` means at least one. */
  readonly arity: number | 'variadic';
  readonly infer: (operands: readonly TensorType[], attributes: PrimitiveAttributes[P]) => TensorType;
}

const float: readonly DType[] = ['float32'];
const numeric: readonly DType[] = ['float32', 'int32', 'uint32', 'uint8'];
const integer: readonly DType[] = ['int32', 'uint32', 'uint8'];
const bits: readonly DType[] = ['int32', 'uint32', 'uint8', 'bool'];
const computed: readonly DType[] = ['float32', 'int32', 'uint32', 'uint8', 'bool'];

const unary = (op: UnaryPrimitive, allowed: readonly DType[]): PrimitiveDefinition<UnaryPrimitive> => ({
  kind: 'elementwise',
  arity: 1,
  infer: inferUnary(op, allowed),
});

const binary = (
  op: BinaryPrimitive,
  allowed: readonly DType[],
  result?: DType,
): PrimitiveDefinition<BinaryPrimitive> => ({
  kind: 'elementwise',
  arity: 2,
  infer: inferBinary(op, allowed, result),
});

const reduce = (op: ReducePrimitive, allowed: readonly DType[]): PrimitiveDefinition<ReducePrimitive> => ({
  kind: 'reduce',
  arity: 1,
  infer: inferReduce(op, allowed),
});

const argReduce = (op: 'argMax' | 'argMin'): PrimitiveDefinition<'argMax' | 'argMin'> => ({
  kind: 'reduce',
  arity: 1,
  infer: inferArgReduce(op, computed),
});

const identity = (arity: 1 | 2 | 'variadic'): PrimitiveDefinition<Primitive> => ({
  kind: 'identity',
  arity,
  infer: ([x]) => x!,
});

/** The table. Its type demands a row for every primitive. */
export const primitives: { readonly [P in Primitive]: PrimitiveDefinition<P> } = {
  data: { kind: 'leaf', arity: 0, infer: (_, type) => type },
  const: { kind: 'leaf', arity: 0, infer: (_, { dtype }) => ({ shape: [], dtype }) },
  iota: { kind: 'leaf', arity: 0, infer: (_, { shape }) => ({ shape, dtype: 'int32' }) },
  randomBits: { kind: 'indexing', arity: 1, infer: (_, { shape }) => ({ shape, dtype: 'uint32' }) },

  neg: unary('neg', numeric),
  abs: unary('abs', numeric),
  sign: unary('sign', numeric),
  floor: unary('floor', float),
  ceil: unary('ceil', float),
  trunc: unary('trunc', float),
  round: unary('round', float),
  sqrt: unary('sqrt', float),
  rsqrt: unary('rsqrt', float),
  exp: unary('exp', float),
  log: unary('log', float),
  log1p: unary('log1p', float),
  expm1: unary('expm1', float),
  sin: unary('sin', float),
  cos: unary('cos', float),
  tanh: unary('tanh', float),
  erf: unary('erf', float),
  not: unary('not', bits),

  add: binary('add', numeric),
  sub: binary('sub', numeric),
  mul: binary('mul', numeric),
  div: binary('div', float),
  idiv: binary('idiv', integer),
  rem: binary('rem', numeric),
  pow: binary('pow', float),
  maximum: binary('maximum', computed),
  minimum: binary('minimum', computed),
  and: binary('and', bits),
  or: binary('or', bits),
  xor: binary('xor', bits),
  shl: binary('shl', integer),
  shr: binary('shr', integer),
  lt: binary('lt', computed, 'bool'),
  le: binary('le', computed, 'bool'),
  eq: binary('eq', computed, 'bool'),
  ne: binary('ne', computed, 'bool'),

  where: { kind: 'elementwise', arity: 3, infer: inferWhere },
  cast: { kind: 'elementwise', arity: 1, infer: ([x], { dtype }) => ({ shape: x!.shape, dtype }) },
  bitcast: { kind: 'elementwise', arity: 1, infer: inferBitcast },

  reshape: { kind: 'movement', arity: 1, infer: inferReshape },
  permute: { kind: 'movement', arity: 1, infer: inferPermute },
  expand: { kind: 'movement', arity: 1, infer: inferExpand },
  pad: { kind: 'movement', arity: 1, infer: inferPad },
  slice: { kind: 'movement', arity: 1, infer: ([x], { size }) => ({ shape: size, dtype: x!.dtype }) },
  flip: { kind: 'movement', arity: 1, infer: ([x]) => x! },
  unfold: { kind: 'movement', arity: 1, infer: inferUnfold },

  reduceSum: reduce('reduceSum', ['float32', 'int32', 'uint32']),
  reduceProd: reduce('reduceProd', ['float32', 'int32', 'uint32']),
  reduceMax: reduce('reduceMax', computed),
  reduceMin: reduce('reduceMin', computed),
  argMax: argReduce('argMax'),
  argMin: argReduce('argMin'),

  gather: { kind: 'indexing', arity: 2, infer: inferGather },
  scatter: { kind: 'indexing', arity: 3, infer: inferScatter },

  dot: { kind: 'anchor', arity: 2, infer: inferDot },
  conv: { kind: 'anchor', arity: 2, infer: inferConv },
  attention: { kind: 'anchor', arity: 'variadic', infer: inferAttention },
  attentionGradient: { kind: 'anchor', arity: 'variadic', infer: inferAttentionGradient },

  detach: identity(1),
  alias: identity(1),
  barrier: identity(2),
  custom: identity('variadic'),
};
