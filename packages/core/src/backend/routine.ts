/**
 * Anchors: the few operations for which a backend may bring a hand-tuned routine instead of a rendered loop.
 *
 * Operands are strided views of buffers, so a transpose or a broadcast costs nothing. The result is contiguous.
 * Buffers of the command are bound in this order: the operands (lhs, rhs; or query, key, value, the gradient if there is one and the
 * mask if there is one), out, then the buffers that the epilogue reads.
 */
import type { DType, ScalarType } from './dtype.ts';
import type { BufferParam, Expression, IndexVariable } from './kernel.ts';

/** An operand of an anchor, with element strides for the named dimensions. */
export interface DotOperand {
  readonly dtype: DType;
  readonly offset: number;
  /** One stride for each batch dimension; 0 where the operand is broadcast. */
  readonly batch: readonly number[];
  /** lhs: stride of m. rhs: stride of k. Attention: see there. */
  readonly row: number;
  /** lhs: stride of k. rhs: stride of n. */
  readonly column: number;
}

/** `out[b, m, n] = epilogue(sum_k lhs[b, m, k] * rhs[b, k, n])`; out is contiguous, sums are kept in f32 (or wrap in i32/u32). */
export interface DotAnchor {
  readonly kind: 'dot';
  readonly name: string;
  readonly batch: readonly number[];
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly lhs: DotOperand;
  readonly rhs: DotOperand;
  /** Type of the sums, before the epilogue. */
  readonly type: ScalarType;
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
  readonly epilogue?: Epilogue;
}

/** Strides of a convolution operand. lhs: outer = batch, inner = channel. rhs: outer = output channel, inner = input channel. */
export interface ConvOperand {
  readonly dtype: DType;
  readonly offset: number;
  readonly outer: number;
  readonly inner: number;
  readonly spatial: readonly number[];
}

/**
 * Cross-correlation with everything that its own two gradients need:
 *
 *     out[b, o, y] = epilogue(sum over i, t of  x[b, g(o) * inChannels + i, p] * w[o, i, t])
 *     where  y * stride + t * kernelDilation - padLow = p * inputDilation   (terms without such a p in range are zero)
 *
 * per spatial dimension; `g(o)` is the group of output channel o. Shapes: x (batch, groups * inChannels, ...inSize),
 * w (groups * outChannels, inChannels, ...kernelSize), out (batch, groups * outChannels, ...outSize), contiguous.
 * `padLow` may be negative. `outSize` is given, so that padding at the high end needs no name.
 */
export interface ConvAnchor {
  readonly kind: 'conv';
  readonly name: string;
  readonly batch: number;
  readonly groups: number;
  /** Per group. */
  readonly inChannels: number;
  /** Per group. */
  readonly outChannels: number;
  readonly inSize: readonly number[];
  readonly outSize: readonly number[];
  readonly kernelSize: readonly number[];
  readonly stride: readonly number[];
  readonly padLow: readonly number[];
  readonly inputDilation: readonly number[];
  readonly kernelDilation: readonly number[];
  readonly lhs: ConvOperand;
  readonly rhs: ConvOperand;
  readonly type: ScalarType;
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
  readonly epilogue?: Epilogue;
}

/** What the weights of attention are made of. */
export interface AttentionOperands {
  readonly batch: readonly number[];
  readonly queries: number;
  readonly keys: number;
  /** Elements of a query and of a key. */
  readonly width: number;
  readonly valueWidth: number;
  readonly scale: number;
  readonly causal: boolean;
  /** Rows are queries. */
  readonly query: DotOperand;
  /** Rows are keys. */
  readonly key: DotOperand;
  /** Rows are keys. */
  readonly value: DotOperand;
  /** Rows are queries, columns keys. */
  readonly mask?: DotOperand;
}

/**
 * `out[b, i] = epilogue(sum_j w[j] * value[b, j])` for each query i, with the weights over its keys
 *
 *     w = softmax_j(scale * sum_e query[b, i, e] * key[b, j, e], masked)
 *
 * out (..batch, queries, valueWidth) is contiguous. Masked are: keys after the query where `causal` (j > i), and those where a
 * mask of bool is 0; a mask of float32 is added to the scores instead. A masked key has weight 0, whatever its score, and a
 * query without keys gives NaN. As in any softmax: a score of Inf or NaN gives NaN.
 *
 * Asked for only where all extents are above 0, and where nothing else wants the scores or the weights.
 */
export interface AttentionAnchor extends AttentionOperands {
  readonly kind: 'attention';
  readonly name: string;
  readonly type: 'f32';
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
  readonly epilogue?: Epilogue;
}

/** The operands of attention that its gradient may be asked for together. */
export type AttentionOperandName = 'query' | 'key' | 'value';

/**
 * Gradients of attention with respect to some of its operands, from the gradient g of its result. With the weights w of
 * `AttentionAnchor` and
 *
 *     s[b, i, j] = w[b, i, j] * (p[b, i, j] - sum_j w[b, i, j] * p[b, i, j]),  p[b, i, j] = sum_c g[b, i, c] * value[b, j, c]
 *
 * they are
 *
 *     query[b, i] = scale * sum_j s[b, i, j] * key[b, j]        (..batch, queries, width)
 *     key[b, j] = scale * sum_i s[b, i, j] * query[b, i]        (..batch, keys, width)
 *     value[b, j] = sum_i w[b, i, j] * g[b, i]                  (..batch, keys, valueWidth)
 *
 * out is what `of` names, one after the other, each contiguous. All weights of a query without keys, or with a score of Inf or NaN,
 * are NaN, those of masked keys too. What is not finite by the formula may be Inf or NaN.
 *
 * Asked for only where all extents are above 0.
 */
export interface AttentionGradientAnchor extends AttentionOperands {
  readonly kind: 'attentionGradient';
  readonly name: string;
  readonly of: readonly AttentionOperandName[];
  /** Rows are queries, columns those of the values. */
  readonly gradient: DotOperand;
  readonly type: 'f32';
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
  readonly epilogue?: Epilogue;
}

/** Anchors that are sums of products of two operands. */
export type ContractionAnchor = DotAnchor | ConvAnchor;

export type Anchor = ContractionAnchor | AttentionAnchor | AttentionGradientAnchor;

/**
 * What happens to each result before it is stored. `space` spans the contiguous result, outermost first (the batch
 * dimensions, m, n; or batch, channel, spatial dimensions), possibly with neighbouring dimensions merged, so that the
 * flat index of the element is the row-major index of `space`. `value` may load from the buffers after out, read scalars,
 * and use `{ op: 'accumulator', id: 0 }` for the result itself.
 */
export interface Epilogue {
  readonly space: readonly IndexVariable[];
  readonly value: Expression;
}
