/** Attention, row by row: the formula of its contract. */
import type { AttentionAttributes, AttentionGradientAttributes } from '@tutti/core/graph';
import { count } from './indices.ts';
import { type OracleFunction, type OracleValue, operand } from './value.ts';

/** One query: where its rows begin, and the scores of its keys as the softmax sees them. */
export interface AttentionRow {
  /** First element of the result. */
  readonly out: number;
  readonly query: number;
  /** First element of the keys and of the values of the same batch. */
  readonly key: number;
  readonly value: number;
  /** First element of the mask. */
  readonly mask: number;
  readonly isHidden: (key: number) => boolean;
  readonly scores: Float64Array;
}

/** Visits every query. Operands are those of attention. */
export function forEachQuery(
  { scale, causal }: AttentionAttributes,
  operands: readonly OracleValue[],
  visit: (row: AttentionRow) => void,
): void {
  const [q, k, v] = [operand(operands, 0), operand(operands, 1), operand(operands, 2)];
  const mask = operands[3];
  const [queries, width] = q.shape.slice(-2) as [number, number];
  const [keys, valueWidth] = v.shape.slice(-2) as [number, number];
  for (let row = 0; row < count(q.shape.slice(0, -1)); row++) {
    const [batch, i] = [Math.floor(row / queries), row % queries];
    const isHidden = (j: number): boolean =>
      (causal && j > i) || (mask?.dtype === 'bool' && mask.values[row * keys + j] === 0);
    const scores = new Float64Array(keys);
    for (let j = 0; j < keys; j++) {
      let score = 0;
      for (let e = 0; e < width; e++)
        score += q.values[row * width + e]! * k.values[(batch * keys + j) * width + e]!;
      score = score * scale + (mask?.dtype === 'float32' ? mask.values[row * keys + j]! : 0);
      scores[j] = isHidden(j) ? Number.NEGATIVE_INFINITY : score;
    }
    visit({
      out: row * valueWidth,
      query: row * width,
      key: batch * keys * width,
      value: batch * keys * valueWidth,
      mask: row * keys,
      isHidden,
      scores,
    });
  }
}

/** Softmax of one row. */
export function weightsOf(scores: Float64Array): Float64Array {
  const top = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

export const attention: OracleFunction<'attention'> = (operands, node) => {
  const v = operand(operands, 2);
  const [keys, valueWidth] = v.shape.slice(-2) as [number, number];
  const result = new Float64Array(count(node.shape));
  forEachQuery(node.attributes, operands, ({ out, value, scores }) => {
    const weights = weightsOf(scores);
    for (let j = 0; j < keys; j++)
      for (let c = 0; c < valueWidth; c++)
        result[out + c] = result[out + c]! + weights[j]! * v.values[value + j * valueWidth + c]!;
  });
  return result;
};

type GradientName = AttentionGradientAttributes['of'][number];

/** The position of each operand of attention among those of its gradient. */
const gradientPositions: Readonly<Record<GradientName, number>> = { query: 0, key: 1, value: 2, mask: 4 };

/** Operands of attention, from those of its gradient. */
export const attentionOperands = ([q, k, v, , mask]: readonly OracleValue[]): OracleValue[] => [
  q!,
  k!,
  v!,
  ...(mask ? [mask] : []),
];

/** What `each` makes of the elements of each gradient, one after the other. */
export function gradientsOf(
  { of }: AttentionGradientAttributes,
  operands: readonly OracleValue[],
  each: (name: GradientName, out: Float64Array) => void,
): Float64Array {
  const parts = of.map((name) => {
    const out = new Float64Array(count(operand(operands, gradientPositions[name]).shape));
    each(name, out);
    return out;
  });
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

/** What a query and a key add to a gradient: a factor of both times `width` elements, from `from` on, of the operand at `position`. */
export interface GradientTerm {
  readonly at: number;
  readonly from: number;
  readonly position: number;
  readonly width: number;
}

export function gradientTerm(
  name: Exclude<GradientName, 'mask'>,
  row: AttentionRow,
  key: number,
  operands: readonly OracleValue[],
): GradientTerm {
  const [width, valueWidth] = [operand(operands, 0).shape.at(-1)!, operand(operands, 2).shape.at(-1)!];
  const keyRow = row.key + key * width;
  switch (name) {
    case 'query':
      return { at: row.query, from: keyRow, position: 1, width };
    case 'key':
      return { at: keyRow, from: row.query, position: 0, width };
    case 'value':
      return { at: row.value + key * valueWidth, from: row.out, position: 3, width: valueWidth };
  }
}

export interface ScoreGradients {
  /** p, the gradient of the weights. */
  readonly toWeights: Float64Array;
  /** sum(w p) */
  readonly mean: number;
  /** w (p - sum(w p)) */
  readonly slopes: Float64Array;
}

/** The gradient of a query's scores, from its weights w. */
export function scoreGradients(
  { out, value }: AttentionRow,
  weights: Float64Array,
  operands: readonly OracleValue[],
): ScoreGradients {
  const [v, g] = [operand(operands, 2), operand(operands, 3)];
  const width = v.shape.at(-1)!;
  const toWeights = weights.map((_, j) => {
    let p = 0;
    for (let c = 0; c < width; c++) p += g.values[out + c]! * v.values[value + j * width + c]!;
    return p;
  });
  const mean = weights.reduce((total, weight, j) => total + weight * toWeights[j]!, 0);
  return { toWeights, mean, slopes: weights.map((weight, j) => weight * (toWeights[j]! - mean)) };
}

export const attentionGradient: OracleFunction<'attentionGradient'> = (operands, { attributes }) =>
  gradientsOf(attributes, operands, (name, result) => {
    forEachQuery(attributes, attentionOperands(operands), (row) => {
      const weights = weightsOf(row.scores);
      const { slopes } = scoreGradients(row, weights, operands);
      for (const [j, slope] of slopes.entries()) {
        if (name === 'mask') {
          result[row.mask + j] = slope;
          continue;
        }
        const factor = name === 'value' ? weights[j]! : attributes.scale * slope;
        const { at, from, position, width } = gradientTerm(name, row, j, operands);
        const { values } = operand(operands, position);
        for (let n = 0; n < width; n++) result[at + n] = result[at + n]! + factor * values[from + n]!;
      }
    });
  });
