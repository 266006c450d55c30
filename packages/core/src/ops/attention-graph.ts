/**
 * Attention and its gradient in other primitives, written once for tensors (gradients of gradients are made of them) and for the
 * compiler's ops (a device without a routine): where both are needed, equal graphs merge and nothing is computed twice.
 */
import type { Shape } from '../tensor/shape.ts';
import type {
  AttentionAttributes,
  AttentionGradientAttributes,
  PrimitiveAttributes,
  TensorType,
} from './primitives.ts';

type Used =
  | 'const'
  | 'iota'
  | 'reshape'
  | 'expand'
  | 'permute'
  | 'dot'
  | 'mul'
  | 'add'
  | 'sub'
  | 'div'
  | 'exp'
  | 'le'
  | 'where'
  | 'reduceMax'
  | 'reduceSum';

/** Applies a primitive. */
export type Make<T> = <P extends Used>(
  op: P,
  operands: readonly T[],
  attributes: PrimitiveAttributes[P],
) => T;

/** Exchanges the last two axes. */
export function transposed<T extends TensorType>(make: Make<T>, x: T): T {
  const axes = [...x.shape.keys()];
  return make('permute', [x], { axes: [...axes.slice(0, -2), axes.length - 1, axes.length - 2] });
}

/** One float32 value in a whole shape. */
export function filled<T extends TensorType>(make: Make<T>, value: number, shape: Shape): T {
  const scalar = make('const', [], { value, dtype: 'float32', fixed: true });
  return make('expand', [make('reshape', [scalar], { shape: shape.map(() => 1) })], { shape });
}

/** `softmax(scale * q k^T, masked)`: (..B, L, S). */
export function attentionWeights<T extends TensorType>(
  make: Make<T>,
  [q, k, , mask]: readonly T[],
  { scale, causal }: AttentionAttributes,
): T {
  const products = make('dot', [q!, transposed(make, k!)], {});
  const { shape } = products;
  const hidden = filled(make, Number.NEGATIVE_INFINITY, shape);
  let scores = make('mul', [products, filled(make, scale, shape)], {});
  if (causal) {
    const plane = shape.slice(-2);
    const position = (axis: number): T => make('iota', [], { shape: plane, axis });
    const seen = make('le', [position(1), position(0)], {});
    const everywhere = make('reshape', [seen], { shape: [...shape.slice(0, -2).map(() => 1), ...plane] });
    scores = make('where', [make('expand', [everywhere], { shape }), scores, hidden], {});
  }
  if (mask?.dtype === 'bool') scores = make('where', [mask, scores, hidden], {});
  else if (mask) scores = make('add', [scores, mask], {});

  const axes = [shape.length - 1];
  const along = (op: 'reduceMax' | 'reduceSum', x: T): T =>
    make('expand', [make(op, [x], { axes })], { shape });
  const powers = make('exp', [make('sub', [scores, along('reduceMax', scores)], {})], {});
  return make('div', [powers, along('reduceSum', powers)], {});
}

/** Where gradients pass through attention, all (..B, L, S). */
export interface AttentionSlopes<T> {
  readonly weights: T;
  /** The gradient of the weights: g v^T. */
  readonly toWeights: T;
  /** As far as it is above its mean over a query's keys. */
  readonly above: T;
  /** The gradient of the scores, masked. */
  readonly toScores: T;
}

/** From q, k, v, the gradient g of the result, and maybe a mask. */
export function attentionSlopes<T extends TensorType>(
  make: Make<T>,
  [q, k, v, gradient, mask]: readonly T[],
  attributes: AttentionAttributes,
): AttentionSlopes<T> {
  const weights = attentionWeights(make, [q!, k!, v!, ...(mask ? [mask] : [])], attributes);
  const toWeights = make('dot', [gradient!, transposed(make, v!)], {});
  const above = make('sub', [toWeights, alongKeys(make, make('mul', [weights, toWeights], {}))], {});
  return { weights, toWeights, above, toScores: make('mul', [weights, above], {}) };
}

/** The sum over a query's keys, for each of them. */
export function alongKeys<T extends TensorType>(make: Make<T>, x: T): T {
  const total = make('reduceSum', [x], { axes: [x.shape.length - 1] });
  return make('expand', [total], { shape: x.shape });
}

export const scaled = <T extends TensorType>(make: Make<T>, x: T, factor: number): T =>
  make('mul', [x, filled(make, factor, x.shape)], {});

/** The gradient with respect to one operand. */
export function attentionGradient<T extends TensorType>(
  make: Make<T>,
  operands: readonly T[],
  attributes: AttentionGradientAttributes,
): T {
  const [q, k, , gradient] = operands as [T, T, T, T];
  const { weights, toScores } = attentionSlopes(make, operands, attributes);
  const products = scaled(make, toScores, attributes.scale);
  switch (attributes.of[0]!) {
    case 'query':
      return make('dot', [products, k], {});
    case 'key':
      return make('dot', [transposed(make, products), q], {});
    case 'value':
      return make('dot', [transposed(make, weights), gradient], {});
    case 'mask':
      return toScores;
  }
}
