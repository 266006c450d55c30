/**
 * How far a gradient of attention may be off. Weights as in attention itself, or by way of the logarithm of their sum, which is rounded
 * once more; then the sums of products that gradients are made of, in any order.
 */
import {
  type AttentionRow,
  attentionOperands,
  forEachQuery,
  gradientsOf,
  gradientTerm,
  scoreGradients,
} from '../oracle/attention.ts';
import { overflowThreshold } from '../oracle/rounding.ts';
import { type OracleValue, operand } from '../oracle/value.ts';
import { weightErrors } from './attention.ts';
import { anySign, type ErrorRule, errorsOf, sumGrowth } from './bounds.ts';

const epsilon = 2 ** -23;
const smallest = 2 ** -126;

/** In place of a bound: NaN for certain. */
const nan = -1;

/** The weights of one query and the gradients of its scores, with their bounds. */
interface RowErrors {
  readonly weights: Float64Array;
  readonly weightBounds: Float64Array;
  readonly slopes: Float64Array;
  readonly slopeBounds: Float64Array;
}

/** 'unknown' where something leaves the range of float32, 'none' for a query without keys. */
function rowErrors(
  row: AttentionRow,
  operands: readonly OracleValue[],
  scale: number,
): RowErrors | 'unknown' | 'none' {
  const keys = row.scores.length;
  const seen = weightErrors(row, attentionOperands(operands), scale);
  if (seen.open === 0) return 'none';
  const { wild, weights, relative, errors } = seen;
  const { slopes, mean, toWeights } = scoreGradients(row, weights, operands);
  const products = productErrors(row, operands);
  const limit = overflowThreshold('float32');
  if (wild || toWeights.some((p, j) => !(Math.abs(p) + products[j]! < limit))) return 'unknown';
  const open = [...weights.keys()].filter((j) => weights[j]! > 0 || errors[j]! > 0);
  // The logarithm of the sum of all powers is the score less that of the weight.
  const heaviest = open.reduce((best, j) => (weights[j]! > weights[best]! ? j : best), open[0]!);
  const logarithm = Math.abs(row.scores[heaviest]! - Math.log(weights[heaviest]!));
  const parts = relative.map((part) => part + (logarithm + 8) * epsilon);
  const growth = sumGrowth(keys);
  const meanBound = open.reduce((bound, j) => {
    const p = Math.abs(toWeights[j]!);
    return bound + weights[j]! * (1 + parts[j]!) * (p * (parts[j]! + growth + epsilon) + products[j]!);
  }, anySign);
  const isOpen = new Set(open);
  const bounds = (of: (j: number) => number): Float64Array =>
    weights.map((_, j) => (isOpen.has(j) ? of(j) : anySign));
  return {
    weights,
    weightBounds: bounds((j) => weights[j]! * parts[j]! + smallest),
    slopes,
    slopeBounds: bounds((j) => {
      const [p, part] = [toWeights[j]!, parts[j]!];
      const rounded = 2 * epsilon * (Math.abs(p) + Math.abs(mean));
      const difference = part * Math.abs(p - mean) + products[j]! + meanBound + rounded;
      return weights[j]! * (1 + part) * difference + (1 + Math.abs(p - mean)) * smallest;
    }),
  };
}

/** Bounds of the products of a query's gradient with all values. */
function productErrors({ out, value, scores }: AttentionRow, operands: readonly OracleValue[]): Float64Array {
  const [v, g] = [operand(operands, 2), operand(operands, 3)];
  const [errorsV, errorsG] = [errorsOf(operands, 2), errorsOf(operands, 3)];
  const width = v.shape.at(-1)!;
  return scores.map((_, j) => {
    let bound = anySign;
    for (let c = 0; c < width; c++) {
      const [from, at] = [out + c, value + j * width + c];
      const [x, y] = [Math.abs(g.values[from]!), Math.abs(v.values[at]!)];
      const [dx, dy] = [errorsG[from]!, errorsV[at]!];
      bound += x * y * sumGrowth(width) + smallest + (dx > 0 || dy > 0 ? x * dy + y * dx + dx * dy : 0);
    }
    return bound;
  });
}

export const attentionGradientErrors: ErrorRule<'attentionGradient'> = (operands, { attributes }, values) => {
  const errors = operands.map((_, position) => errorsOf(operands, position));
  const size = Math.abs(attributes.scale);
  const queries = operand(operands, 0).shape.at(-2)!;
  const bounds = gradientsOf(attributes, operands, (name, out) => {
    out.fill(anySign);
    forEachQuery(attributes, attentionOperands(operands), (row) => {
      const known = rowErrors(row, operands, attributes.scale);
      const growth = sumGrowth(name === 'query' ? row.scores.length : queries) + 2 * epsilon;
      for (let j = 0; j < row.scores.length; j++) {
        const [factor, bound] = factorOf(known, name === 'value', j);
        if (name === 'mask') {
          out[row.mask + j] = bound;
          continue;
        }
        const { at, from, position, width } = gradientTerm(name, row, j, operands);
        for (let n = 0; n < width; n++) {
          const so = out[at + n]!;
          const [x, dx] = [Math.abs(operands[position]!.values[from + n]!), errors[position]![from + n]!];
          const term = Math.abs(factor) * (x * growth + dx) + bound * (x + dx);
          const scaled = name === 'value' ? term : size * term;
          out[at + n] = so === nan || bound === nan ? nan : so + scaled + smallest;
        }
      }
    });
  });
  // What is not finite for any other reason may be Inf or NaN.
  return bounds.map((bound, i) => {
    if (bound === nan) return 0;
    return Number.isFinite(values[i]!) && !Number.isNaN(bound) ? bound : Infinity;
  });
};

/** What an element of an operand is multiplied by, but for the scale, and how far it may be off. */
function factorOf(row: ReturnType<typeof rowErrors>, isWeight: boolean, key: number): [number, number] {
  if (row === 'none') return [0, nan];
  if (row === 'unknown') return [0, Infinity];
  return isWeight ? [row.weights[key]!, row.weightBounds[key]!] : [row.slopes[key]!, row.slopeBounds[key]!];
}
