/**
 * The tolerance policy, one for all backends.
 *
 * A result is judged by a running error analysis. Leaves are exact. Every primitive passes the bounds of its operands on
 * (by its derivative, or by what its monotone function makes of both ends) and adds what a good float32 implementation of
 * it may lose:
 *
 * | class | allowed per operation |
 * |---|---|
 * | movement, integers, bool, comparisons, floor ceil trunc round sign, max min, argMax, rem | nothing: equal |
 * | add sub mul | 1 ulp; nothing where float32 holds the result (round to nearest, or to either neighbour) |
 * | div sqrt rsqrt | 2.5, 3, 4 ulp |
 * | exp | 3 ulp, and the effect of half an ulp of the argument |
 * | log log1p; expm1 tanh; erf | 4; 5; 6 ulp |
 * | sin cos | 4 ulp, and the effect of one ulp of the argument |
 * | pow | 4 + abs(y * log(x)) ulp |
 * | sum, dot, conv, scatter add of n terms | 2^-24 * (2 + min(n, 4 * sqrt(n))) of the sum of the terms' magnitudes |
 * | attention and its gradient | as the products, exp, sum and division that it is made of, in any order |
 * | product of n factors | n ulp |
 * | cast to a 16-bit float | nothing beyond its rounding, on either side of a tie that the operand's bound reaches |
 *
 * An ulp is the distance between float32 neighbours at the exact result. Because sums are judged against the sum of
 * magnitudes, cancellation is judged fairly: the bound follows the condition of the problem, not the size of the result.
 * A discrete result (a comparison, an index, a rounded integer) is free only where the bounds of its operands reach the
 * point at which it changes. Denormals may be flushed to zero, by arithmetic only. NaN answers NaN, an infinity the same
 * infinity, and zero the zero of the same sign wherever the bound is 0.
 */
import type { Primitive } from '@tutti/core/graph';
import { gather as gatherValues } from '../oracle/indexing.ts';
import { count } from '../oracle/indices.ts';
import { expand, flip, identity, permute, placed, slice, unfold } from '../oracle/movement.ts';
import { type OracleFunction, type OracleValue, operand } from '../oracle/value.ts';
import { attentionErrors } from './attention.ts';
import { attentionGradientErrors } from './attention-gradient.ts';
import { type ErrorRule, errorsOf } from './bounds.ts';
import {
  argErrors,
  convErrors,
  dotErrors,
  extremeErrors,
  prodErrors,
  scatterErrors,
  sumErrors,
} from './contractions.ts';
import { binaryErrors, bitcastErrors, castErrors, unaryErrors, whereErrors } from './elementwise.ts';

const exact: ErrorRule = (_operands, node) => new Float64Array(count(node.shape));

const asValues = (operands: readonly OracleValue[], position: number): OracleValue => ({
  ...operand(operands, position),
  values: errorsOf(operands, position),
});

/** Bounds move as values do. */
const moves =
  <P extends Primitive>(move: OracleFunction<P>): ErrorRule<P> =>
  (operands, node) =>
    move([asValues(operands, 0)], node).slice();

const gatherErrors: ErrorRule<'gather'> = (operands, node) => {
  const uncertain = errorsOf(operands, 1);
  const moved = gatherValues([asValues(operands, 0), operand(operands, 1)], node);
  return moved.map((error, i) => (uncertain[i]! > 0 ? Infinity : error));
};

const randomErrors: ErrorRule<'randomBits'> = (operands, node) =>
  new Float64Array(count(node.shape)).fill(errorsOf(operands, 0).some((error) => error > 0) ? Infinity : 0);

/** The policy for every primitive. Its type demands a rule for each. */
export const errorRules: { readonly [P in Primitive]: ErrorRule<P> } = {
  data: exact,
  const: exact,
  iota: exact,
  randomBits: randomErrors,

  ...unaryErrors,
  ...binaryErrors,
  where: whereErrors,
  cast: castErrors,
  bitcast: bitcastErrors,

  reshape: moves(identity),
  permute: moves(permute),
  expand: moves(expand),
  pad: (operands, node) => placed(asValues(operands, 0), node, 0),
  slice: moves(slice),
  flip: moves(flip),
  unfold: moves(unfold),

  reduceSum: sumErrors,
  reduceProd: prodErrors,
  reduceMax: extremeErrors(Math.max),
  reduceMin: extremeErrors(Math.min),
  argMax: argErrors(1),
  argMin: argErrors(-1),

  gather: gatherErrors,
  scatter: scatterErrors,

  dot: dotErrors,
  conv: convErrors,
  attention: attentionErrors,
  attentionGradient: attentionGradientErrors,

  detach: moves(identity),
  alias: moves(identity),
  barrier: moves(identity),
  custom: moves(identity),
};
