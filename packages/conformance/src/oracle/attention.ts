/** Attention, row by row: the formula of its contract. */
import type { GraphNode } from '@tutti/core/graph';
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

/** Visits every query. */
export function forEachQuery(
  node: GraphNode<'attention'>,
  operands: readonly OracleValue[],
  visit: (row: AttentionRow) => void,
): void {
  const [q, k, v] = [operand(operands, 0), operand(operands, 1), operand(operands, 2)];
  const mask = operands[3];
  const [queries, width] = q.shape.slice(-2) as [number, number];
  const [keys, valueWidth] = v.shape.slice(-2) as [number, number];
  const { scale, causal } = node.attributes;
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
  forEachQuery(node, operands, ({ out, value, scores }) => {
    const weights = weightsOf(scores);
    for (let j = 0; j < keys; j++)
      for (let c = 0; c < valueWidth; c++)
        result[out + c] = result[out + c]! + weights[j]! * v.values[value + j * valueWidth + c]!;
  });
  return result;
};
