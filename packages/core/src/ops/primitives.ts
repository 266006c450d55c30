/**
 * The primitive operations: the whole vocabulary between what a user writes and what a backend runs. Every other
 * operation is composed of these. Each has a row here (arity, shape rule, dtype rule), a rule in `autograd/rules.ts`, a
 * lowering in `compiler/lower-value.ts` and a function in the conformance oracle; forgetting one is a type error.
 *
 * Operands are already of one dtype and one shape where that is needed: promotion and broadcasting are spelled out in the
 * graph with `cast` and `expand`.
 */
import { type DType, DTypeError, dtypeInfo, InternalError, ShapeError } from '../backend/index.ts';
import { formatShape, type Shape, sameShape } from '../tensor/shape.ts';
import { paddedExtent, windowCount } from './extents.ts';

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

function requireDType(op: string, operand: TensorType, allowed: readonly DType[]): void {
  if (allowed.includes(operand.dtype)) return;
  throw new DTypeError(`${op}: dtype ${operand.dtype} is not supported`, {
    op,
    received: operand.dtype,
    fix: `this operation takes ${allowed.join(', ')}; cast first, for example x.cast('${allowed[0]}')`,
  });
}

function requireSame(op: string, operands: readonly TensorType[]): void {
  const [first] = operands;
  for (const operand of operands) {
    if (!sameShape(operand.shape, first!.shape)) {
      throw new ShapeError(
        `${op}: shapes ${formatShape(first!.shape)} and ${formatShape(operand.shape)} differ`,
        {
          op,
          received: operands.map((o) => o.shape),
        },
      );
    }
    if (operand.dtype !== first!.dtype) {
      throw new DTypeError(`${op}: dtypes ${first!.dtype} and ${operand.dtype} differ`, {
        op,
        received: operands.map((o) => o.dtype),
      });
    }
  }
}

const float: readonly DType[] = ['float32'];
const numeric: readonly DType[] = ['float32', 'int32', 'uint32', 'uint8'];
const integer: readonly DType[] = ['int32', 'uint32', 'uint8'];
const bits: readonly DType[] = ['int32', 'uint32', 'uint8', 'bool'];
const computed: readonly DType[] = ['float32', 'int32', 'uint32', 'uint8', 'bool'];

const unary = (op: UnaryPrimitive, dtypes: readonly DType[]): PrimitiveDefinition<UnaryPrimitive> => ({
  kind: 'elementwise',
  arity: 1,
  infer: ([x]) => {
    requireDType(op, x!, dtypes);
    return x!;
  },
});

const binary = (
  op: BinaryPrimitive,
  dtypes: readonly DType[],
  result?: DType,
): PrimitiveDefinition<BinaryPrimitive> => ({
  kind: 'elementwise',
  arity: 2,
  infer: (operands) => {
    requireSame(op, operands);
    requireDType(op, operands[0]!, dtypes);
    return { shape: operands[0]!.shape, dtype: result ?? operands[0]!.dtype };
  },
});

const keepAxes = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));

const reduce = (op: ReducePrimitive, dtypes: readonly DType[]): PrimitiveDefinition<ReducePrimitive> => ({
  kind: 'reduce',
  arity: 1,
  infer: ([x], { axes }) => {
    requireDType(op, x!, dtypes);
    const empty = axes.some((axis) => x!.shape[axis] === 0);
    if (empty && (op === 'reduceMax' || op === 'reduceMin')) {
      const name = op === 'reduceMax' ? 'max' : 'min';
      throw new ShapeError(
        `${name}: shape ${formatShape(x!.shape)} has nothing to reduce over axes ${formatShape(axes)}`,
        {
          op: name,
          received: x!.shape,
          fix: `the ${name} of no elements does not exist; check for an empty tensor first`,
        },
      );
    }
    return { shape: keepAxes(x!.shape, axes), dtype: x!.dtype };
  },
});

const argReduce = (op: 'argMax' | 'argMin'): PrimitiveDefinition<'argMax' | 'argMin'> => ({
  kind: 'reduce',
  arity: 1,
  infer: ([x], { axis }) => {
    requireDType(op, x!, computed);
    if (x!.shape[axis] === 0) {
      throw new ShapeError(`${op}: shape ${formatShape(x!.shape)} is empty along axis ${axis}`, {
        op,
        received: x!.shape,
        fix: 'the position of an extreme of no elements does not exist; check for an empty tensor first',
      });
    }
    return { shape: keepAxes(x!.shape, [axis]), dtype: 'int32' };
  },
});

const identity = (arity: 1 | 2 | 'variadic'): PrimitiveDefinition<Primitive> => ({
  kind: 'identity',
  arity,
  infer: ([x]) => x!,
});

function inferPermute([x]: readonly TensorType[], { axes }: PrimitiveAttributes['permute']): TensorType {
  return { shape: axes.map((axis) => x!.shape[axis]!), dtype: x!.dtype };
}

function inferReshape([x]: readonly TensorType[], { shape }: PrimitiveAttributes['reshape']): TensorType {
  const size = (s: Shape) => s.reduce((a, b) => a * b, 1);
  if (size(shape) !== size(x!.shape)) {
    throw new ShapeError(
      `reshape: ${formatShape(x!.shape)} has ${size(x!.shape)} elements, ${formatShape(shape)} has ${size(shape)}`,
      {
        op: 'reshape',
        received: shape,
        fix: 'both shapes must have the same number of elements; one extent may be -1, to be worked out',
      },
    );
  }
  return { shape, dtype: x!.dtype };
}

function inferExpand([x]: readonly TensorType[], { shape }: PrimitiveAttributes['expand']): TensorType {
  if (
    shape.length !== x!.shape.length ||
    x!.shape.some((extent, axis) => extent !== shape[axis] && extent !== 1)
  ) {
    throw new ShapeError(`expand: ${formatShape(x!.shape)} does not expand to ${formatShape(shape)}`, {
      op: 'expand',
      received: shape,
      fix: 'only axes of extent 1 can grow',
    });
  }
  return { shape, dtype: x!.dtype };
}

function inferPad(
  [x]: readonly TensorType[],
  { low, high, interior }: PrimitiveAttributes['pad'],
): TensorType {
  const shape = x!.shape.map((extent, axis) =>
    paddedExtent(extent, low[axis]!, high[axis]!, interior[axis]!),
  );
  if (shape.some((extent) => extent < 0)) {
    throw new ShapeError(
      `pad: ${formatShape(x!.shape)} with low ${formatShape(low)} and high ${formatShape(high)} leaves a negative extent`,
      {
        op: 'pad',
        received: { low, high },
        fix: 'cut no more than there is',
      },
    );
  }
  return { shape, dtype: x!.dtype };
}

function inferUnfold(
  [x]: readonly TensorType[],
  { axis, size, step, dilation }: PrimitiveAttributes['unfold'],
): TensorType {
  const windows = windowCount(x!.shape[axis]!, size, step, dilation);
  return { shape: [...x!.shape.map((extent, i) => (i === axis ? windows : extent)), size], dtype: x!.dtype };
}

function requireIndexable(op: string, x: TensorType, index: TensorType, axis: number): void {
  requireDType(op, index, ['int32', 'uint32', 'uint8']);
  if (
    x.shape.length !== index.shape.length ||
    x.shape.some((extent, i) => i !== axis && extent !== index.shape[i])
  ) {
    throw new ShapeError(
      `${op}: shapes ${formatShape(x.shape)} and ${formatShape(index.shape)} must be equal but for axis ${axis}`,
      {
        op,
        received: [x.shape, index.shape],
      },
    );
  }
}

function inferDot([a, b]: readonly TensorType[]): TensorType {
  requireDType('dot', a!, ['float32', 'int32', 'uint32']);
  const rank = a!.shape.length;
  const fits =
    a!.dtype === b!.dtype &&
    rank >= 2 &&
    rank === b!.shape.length &&
    sameShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)) &&
    a!.shape[rank - 1] === b!.shape[rank - 2];
  if (!fits)
    throw new InternalError(
      `dot: ${a!.dtype} ${formatShape(a!.shape)} with ${b!.dtype} ${formatShape(b!.shape)}`,
    );
  return { shape: [...a!.shape.slice(0, -1), b!.shape[rank - 1]!], dtype: a!.dtype };
}

/** Spatial extents of a convolution's result. */
function inferAttention([q, k, v, mask]: readonly TensorType[]): TensorType {
  for (const operand of [q, k, v]) requireDType('attention', operand!, ['float32']);
  if (mask) requireDType('attention', mask, ['float32', 'bool']);
  const [batch, keys] = [q!.shape.slice(0, -2), k!.shape.at(-2)!];
  const [queries, width] = q!.shape.slice(-2) as [number, number];
  const fits =
    q!.shape.length >= 2 &&
    sameShape(k!.shape, [...batch, keys, width]) &&
    sameShape(v!.shape, [...batch, keys, v!.shape.at(-1)!]) &&
    (!mask || sameShape(mask.shape, [...batch, queries, keys]));
  if (!fits) {
    const shapes = [q, k, v, ...(mask ? [mask] : [])].map((operand) => formatShape(operand!.shape));
    throw new InternalError(`attention: shapes ${shapes.join(', ')}`);
  }
  return { shape: [...batch, queries, v!.shape.at(-1)!], dtype: 'float32' };
}

export function convOutSize(inSize: Shape, kernelSize: Shape, a: PrimitiveAttributes['conv']): number[] {
  return inSize.map((extent, i) =>
    windowCount(
      paddedExtent(extent, a.padLow[i]!, a.padHigh[i]!, a.inputDilation[i]! - 1),
      kernelSize[i]!,
      a.stride[i]!,
      a.kernelDilation[i]!,
    ),
  );
}

function inferConv([x, w]: readonly TensorType[], attributes: PrimitiveAttributes['conv']): TensorType {
  requireDType('conv', x!, float);
  const [batch, channels, ...inSize] = x!.shape as [number, number, ...number[]];
  const [outChannels, inChannels, ...kernelSize] = w!.shape as [number, number, ...number[]];
  const { groups } = attributes;
  if (channels !== inChannels * groups || outChannels % groups !== 0 || inSize.length !== kernelSize.length) {
    throw new InternalError(`conv: ${formatShape(x!.shape)} with ${formatShape(w!.shape)}, groups ${groups}`);
  }
  return { shape: [batch, outChannels, ...convOutSize(inSize, kernelSize, attributes)], dtype: x!.dtype };
}

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

  where: {
    kind: 'elementwise',
    arity: 3,
    infer: ([condition, a, b]) => {
      requireDType('where', condition!, ['bool']);
      requireSame('where', [a!, b!]);
      requireSame('where', [{ shape: condition!.shape, dtype: a!.dtype }, a!]);
      return a!;
    },
  },
  cast: { kind: 'elementwise', arity: 1, infer: ([x], { dtype }) => ({ shape: x!.shape, dtype }) },
  bitcast: {
    kind: 'elementwise',
    arity: 1,
    infer: ([x], { dtype }) => {
      requireDType('bitcast', x!, ['float32', 'int32', 'uint32']);
      if (dtypeInfo[dtype].bytes !== 4)
        requireDType('bitcast', { shape: [], dtype }, ['float32', 'int32', 'uint32']);
      return { shape: x!.shape, dtype };
    },
  },

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

  gather: {
    kind: 'indexing',
    arity: 2,
    infer: ([x, index], { axis }) => {
      requireIndexable('gather', x!, index!, axis);
      return { shape: index!.shape, dtype: x!.dtype };
    },
  },
  scatter: {
    kind: 'indexing',
    arity: 3,
    infer: ([base, index, updates], { axis, mode }) => {
      if (mode !== 'set') requireDType('scatter', base!, ['float32', 'int32', 'uint32']);
      requireIndexable('scatter', base!, index!, axis);
      requireSame('scatter', [{ shape: index!.shape, dtype: base!.dtype }, updates!]);
      return base!;
    },
  },

  dot: { kind: 'anchor', arity: 2, infer: inferDot },
  conv: { kind: 'anchor', arity: 2, infer: inferConv },
  attention: { kind: 'anchor', arity: 'variadic', infer: inferAttention },

  detach: identity(1),
  alias: identity(1),
  barrier: identity(2),
  custom: identity('variadic'),
};
