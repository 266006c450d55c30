/**
 * How far attention may be off. A score is a sum of products; a weight exp(score - top) / total is off by a factor of
 * exp(error of the score + error of the top) and by what exp, the sum and the division lose; the result is a sum of products of
 * those. In whatever order it is done: the weights may be rescaled whenever a larger score turns up.
 */
import { type AttentionRow, forEachQuery, weightsOf } from '../oracle/attention.ts';
import { overflowThreshold } from '../oracle/rounding.ts';
import { type OracleValue, operand } from '../oracle/value.ts';
import { anySign, type ErrorRule, errorsOf, sumGrowth } from './bounds.ts';

const epsilon = 2 ** -23;

/** Bounds of the scores of one query. */
function scoreErrors(row: AttentionRow, operands: readonly OracleValue[], scale: number): Float64Array {
  const [q, k] = [operand(operands, 0), operand(operands, 1)];
  const [errorsQ, errorsK] = [errorsOf(operands, 0), errorsOf(operands, 1)];
  const errorsMask = operands[3]?.dtype === 'float32' ? errorsOf(operands, 3) : undefined;
  const width = q.shape.at(-1)!;
  return row.scores.map((score, j) => {
    if (score === Number.NEGATIVE_INFINITY) return 0;
    let [magnitude, propagated] = [0, 0];
    for (let e = 0; e < width; e++) {
      const [at, from] = [row.query + e, row.key + j * width + e];
      const [x, y] = [Math.abs(q.values[at]!), Math.abs(k.values[from]!)];
      const [dx, dy] = [errorsQ[at]!, errorsK[from]!];
      magnitude += x * y;
      if (dx > 0 || dy > 0) propagated += x * dy + y * dx + dx * dy;
    }
    const product = magnitude * sumGrowth(width) + propagated + width * 2 ** -126;
    const added = errorsMask ? errorsMask[row.mask + j]! : 0;
    return Math.abs(scale) * product + added + (Math.abs(score) + Math.abs(scale) * magnitude) * epsilon;
  });
}

export interface WeightErrors {
  /** Keys that the query sees. */
  readonly open: number;
  /** A score beyond the range of float32 is infinite there: then nothing is known, nor where NaN comes in. */
  readonly wild: boolean;
  /** Of the scores. */
  readonly errors: Float64Array;
  readonly weights: Float64Array;
  /** Of the weights, in parts of each. */
  readonly relative: Float64Array;
}

/** Bounds of the weights of one query. Operands are those of attention. */
export function weightErrors(
  row: AttentionRow,
  operands: readonly OracleValue[],
  scale: number,
): WeightErrors {
  const { scores } = row;
  const errors = scoreErrors(row, operands, scale);
  const open = [...scores.keys()].filter((j) => scores[j] !== Number.NEGATIVE_INFINITY);
  const limit = overflowThreshold('float32');
  const wild = open.some((j) => !(Math.abs(scores[j]!) + errors[j]! < limit));
  const top = Math.max(...open.map((j) => scores[j]!));
  const topError = Math.max(0, ...open.map((j) => errors[j]!));
  const growth = sumGrowth(scores.length);
  const relative = scores.map(
    (score, j) => Math.expm1(errors[j]! + topError) + (8 + top - score) * epsilon + 2 * growth,
  );
  return { open: open.length, wild, errors, weights: weightsOf(scores), relative };
}

export const attentionErrors: ErrorRule<'attention'> = (operands, node, values) => {
  const v = operand(operands, 2);
  const errorsV = errorsOf(operands, 2);
  const [keys, valueWidth] = v.shape.slice(-2) as [number, number];
  const out = new Float64Array(values.length);
  if (keys === 0) return out;
  const growth = sumGrowth(keys);
  forEachQuery(node.attributes, operands, (row) => {
    const { open, wild, weights, relative, errors } = weightErrors(row, operands, node.attributes.scale);
    for (let c = 0; c < valueWidth; c++) {
      const value = values[row.out + c]!;
      let bound = anySign;
      for (let j = 0; j < keys; j++) {
        const at = row.value + j * valueWidth + c;
        const [weight, x, dx] = [weights[j]!, Math.abs(v.values[at]!), errorsV[at]!];
        if (weight === 0 && errors[j] === 0 && Number.isFinite(x)) continue; // hidden
        const factor = relative[j]!;
        bound += weight * (1 + factor) * (x * (factor + growth) + dx) + (x + 1) * 2 ** -126;
      }
      out[row.out + c] = open === 0 ? 0 : wild || !Number.isFinite(value) ? Infinity : bound;
    }
  });
  return out;
};
