/**
 * Building blocks of the tolerance policy: how far the float32 result of one operation may lie from the exact one, given
 * how far its operands may. See `rules.ts` for the policy itself.
 */
import type { GraphNode, Primitive } from '@tutti/core/graph';
import { smallestNormal, unitInLastPlace } from '../oracle/rounding.ts';
import { type OracleValue, operand } from '../oracle/value.ts';

/** Error bounds of a primitive's result, from its operands (with theirs) and its exact values. */
export type ErrorRule<P extends Primitive = Primitive> = (
  operands: readonly OracleValue[],
  node: GraphNode<P>,
  values: Float64Array,
) => Float64Array;

export const errorsOf = (operands: readonly OracleValue[], position: number): Float64Array => {
  const value = operand(operands, position);
  return value.errors ?? new Float64Array(value.values.length);
};

/** The smallest bound that is not "equal, sign of zero included". */
export const anySign: number = 2 ** -149;

/**
 * The rounding of one result by `ulps` units in the last place. A device may flush results below the smallest normal
 * number to zero. Zero, infinities and NaN are not rounded.
 */
export function rounding(value: number, ulps: number): number {
  if (value === 0 || !Number.isFinite(value)) return 0;
  if (Math.abs(value) < smallestNormal('float32')) return smallestNormal('float32');
  return ulps * unitInLastPlace(value, 'float32');
}

/** As `rounding`, and 0 for a result that float32 holds exactly: what IEEE guarantees of + - and *. */
export function correctRounding(value: number, propagated: number): number {
  const exact =
    propagated === 0 && Math.fround(value) === value && Math.abs(value) >= smallestNormal('float32');
  return exact ? 0 : rounding(value, 1);
}

/** |a - b|, where equal infinities and two NaN are no distance apart, and a number and NaN infinitely far. */
export function distance(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Infinity : difference;
}

/** How far f moves when x moves by up to `error`, for a monotone f. Infinity where f leaves its domain. */
export function spread(f: (x: number) => number, x: number, error: number): number {
  if (error === 0) return 0;
  const middle = f(x);
  const far = Math.max(distance(f(x + error), middle), distance(f(x - error), middle));
  return middle === 0 ? Math.max(far, anySign) : far;
}

/**
 * Growth of rounding errors in a sum of n terms, relative to the sum of their magnitudes. Sequential addition can reach
 * n * 2^-24; errors of random sign reach about sqrt(n) * 2^-24 (Higham and Mary, 2019), of which this allows four times.
 */
export const sumGrowth = (terms: number): number => 2 ** -24 * (2 + Math.min(terms, 4 * Math.sqrt(terms)));
