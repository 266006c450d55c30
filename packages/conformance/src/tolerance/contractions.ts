import type { GraphNode } from '@tutti/core/graph';
import { type Contraction, forEachConvTerm, forEachDotTerm } from '../oracle/anchors.ts';
import { forEachIndex, position } from '../oracle/indices.ts';
import { isFloating } from '../oracle/numbers.ts';
import { reducedPosition } from '../oracle/reduce.ts';
import { overflowThreshold } from '../oracle/rounding.ts';
import { type OracleValue, operand } from '../oracle/value.ts';
import { anySign, type ErrorRule, errorsOf, sumGrowth } from './bounds.ts';

/** What a sum is judged by: cancellation leaves these as they were, so the bound is fair to it. */
class Sums {
  readonly terms: Float64Array;
  /** Sum of the terms' magnitudes, infinite ones left out. */
  readonly magnitude: Float64Array;
  readonly propagated: Float64Array;

  constructor(length: number) {
    this.terms = new Float64Array(length);
    this.magnitude = new Float64Array(length);
    this.propagated = new Float64Array(length);
  }

  add(at: number, term: number, error: number): void {
    this.terms[at] = this.terms[at]! + 1;
    if (Number.isFinite(term)) this.magnitude[at] = this.magnitude[at]! + Math.abs(term);
    if (error !== 0) this.propagated[at] = this.propagated[at]! + error;
  }

  /**
   * Rounding relative to the magnitudes, and what underflow can cost each term. Where partial sums can overflow in one
   * order and not in another, nothing is judged. `none` is for a sum of no terms.
   */
  bounds(values: Float64Array, none = 0): Float64Array {
    const limit = overflowThreshold('float32');
    return values.map((value, i) => {
      const magnitude = this.magnitude[i]!;
      const propagated = this.propagated[i]!;
      if (this.terms[i] === 0) return none;
      if (magnitude >= limit && !(Math.abs(value) >= limit)) return Infinity;
      if (!Number.isFinite(value)) return Number.isFinite(propagated) && magnitude < limit ? 0 : Infinity;
      return propagated + magnitude * sumGrowth(this.terms[i]!) + this.terms[i]! * 2 ** -126 + anySign;
    });
  }
}

const exactUnless = (operands: readonly OracleValue[], values: Float64Array): Float64Array =>
  values.map(() => (operands.some((x) => x.errors?.some((e) => e > 0)) ? Infinity : 0));

const contractionErrors =
  (forEachTerm: Contraction): ErrorRule =>
  (operands, node, values) => {
    if (!isFloating(node.dtype)) return exactUnless(operands, values);
    const [a, b] = [operand(operands, 0).values, operand(operands, 1).values];
    const [errorsA, errorsB] = [errorsOf(operands, 0), errorsOf(operands, 1)];
    const sums = new Sums(values.length);
    forEachTerm(node, operands, (out, left, right) => {
      const [x, y, errorX, errorY] = [a[left]!, b[right]!, errorsA[left]!, errorsB[right]!];
      const certain = errorX === 0 && errorY === 0;
      sums.add(out, x * y, certain ? 0 : Math.abs(x) * errorY + Math.abs(y) * errorX + errorX * errorY);
    });
    return sums.bounds(values, anySign); // padding may come in as 0 times a negative number
  };

export const dotErrors: ErrorRule = contractionErrors(forEachDotTerm);
export const convErrors: ErrorRule = contractionErrors(forEachConvTerm);

export const sumErrors: ErrorRule<'reduceSum'> = (operands, node, values) => {
  const x = operand(operands, 0);
  if (!isFloating(x.dtype)) return exactUnless(operands, values);
  const errors = errorsOf(operands, 0);
  const sums = new Sums(values.length);
  forEachIndex(x.shape, (index, flat) =>
    sums.add(reducedPosition(index, node), x.values[flat]!, errors[flat]!),
  );
  return sums.bounds(values);
};

/** The relative errors of the factors add up; an order in which partial products leave the range is not judged. */
export const prodErrors: ErrorRule<'reduceProd'> = (operands, node, values) => {
  const x = operand(operands, 0);
  if (!isFloating(x.dtype)) return exactUnless(operands, values);
  const errors = errorsOf(operands, 0);
  const relative = new Float64Array(values.length);
  const largest = new Float64Array(values.length).fill(1);
  const smallest = new Float64Array(values.length).fill(1);
  forEachIndex(x.shape, (index, flat) => {
    const at = reducedPosition(index, node);
    const factor = Math.abs(x.values[flat]!);
    const error = errors[flat]!;
    relative[at] = relative[at]! + 2 ** -23 + (error === 0 ? 0 : error / Math.max(0, factor - error));
    if (factor > 1 && factor < Infinity) largest[at] = largest[at]! * factor;
    if (factor < 1 && factor > 0) smallest[at] = smallest[at]! * factor;
  });
  return values.map((value, i) => {
    if (largest[i]! >= overflowThreshold('float32') || smallest[i]! < 2 ** -126) {
      return Math.abs(value) >= overflowThreshold('float32') && smallest[i]! >= 2 ** -126 ? 0 : Infinity;
    }
    if (value === 0 || !Number.isFinite(value)) return Number.isFinite(relative[i]!) ? 0 : Infinity;
    return Math.abs(value) * relative[i]! + anySign;
  });
};

/** An extreme lies between the extremes of what its candidates may be. */
export const extremeErrors = (
  better: (a: number, b: number) => number,
): ErrorRule<'reduceMax' | 'reduceMin'> => {
  return (operands, node, values) => {
    const x = operand(operands, 0);
    const errors = errorsOf(operands, 0);
    const highest = new Float64Array(values.length).fill(better(-1, 1) === 1 ? -Infinity : Infinity);
    const lowest = highest.slice();
    const sawZero = new Uint8Array(values.length);
    forEachIndex(x.shape, (index, flat) => {
      const at = reducedPosition(index, node);
      const value = x.values[flat]!;
      highest[at] = better(highest[at]!, value + errors[flat]!);
      lowest[at] = better(lowest[at]!, value - errors[flat]!);
      if (value === 0) sawZero[at] = sawZero[at]! | (Object.is(value, -0) ? 2 : 1);
    });
    return values.map((value, i) => {
      if (!Number.isFinite(value) && highest[i] === lowest[i]) return 0;
      if (Number.isNaN(value)) return Number.isNaN(highest[i]!) && Number.isNaN(lowest[i]!) ? 0 : Infinity;
      const error = Math.max(highest[i]! - value, value - lowest[i]!);
      return error === 0 && value === 0 && sawZero[i] === 3 ? anySign : error;
    });
  };
};

/** A position is exact, unless a rival lies within what is known of the values. */
export const argErrors = (sign: 1 | -1): ErrorRule<'argMax' | 'argMin'> => {
  return (operands, node, values) => {
    const x = operand(operands, 0);
    const errors = errorsOf(operands, 0);
    const out = new Float64Array(values.length);
    if (errors.every((error) => error === 0)) return out;
    const { axis } = (node as GraphNode<'argMax'>).attributes;
    forEachIndex(x.shape, (index, flat) => {
      const at = reducedPosition(index, node);
      const winner = [...index];
      winner[axis] = values[at]!;
      const best = position(winner, x.shape);
      if (best === flat) return;
      const lead = sign * (x.values[best]! - x.values[flat]!);
      if (errors[best]! + errors[flat]! > 0 && !(lead > errors[best]! + errors[flat]!)) out[at] = Infinity;
    });
    return out;
  };
};

/** Adds at one place round as a sum does; what is put or maxed there keeps its own bound. */
export const scatterErrors: ErrorRule<'scatter'> = (operands, node, values) => {
  const [base, chosen, updates] = [operand(operands, 0), operand(operands, 1), operand(operands, 2)];
  const { axis, mode } = node.attributes;
  if (errorsOf(operands, 1).some((error) => error > 0)) return values.map(() => Infinity);
  if (!isFloating(base.dtype) && mode === 'add') return exactUnless(operands, values);
  const out = errorsOf(operands, 0).slice();
  const errors = errorsOf(operands, 2);
  const sums = new Sums(values.length);
  for (const [i, value] of base.values.entries()) sums.add(i, value, out[i]!);
  forEachIndex(chosen.shape, (index, flat) => {
    const at = chosen.values[flat]!;
    if (at < 0 || at >= base.shape[axis]!) return;
    const target = position(
      index.map((i, a) => (a === axis ? at : i)),
      base.shape,
    );
    if (mode === 'set') out[target] = errors[flat]!;
    else if (mode === 'max') out[target] = Math.max(out[target]!, errors[flat]!);
    sums.add(target, updates.values[flat]!, errors[flat]!);
  });
  if (mode !== 'add') return out;
  const summed = sums.bounds(values);
  return out.map((own, i) => (sums.terms[i] === 1 ? own : summed[i]!));
};
