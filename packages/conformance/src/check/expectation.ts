/** What a sample must give: the oracle's value of its graph with bounds, checked against the formula of the case. */
import { type Tensor, vjp } from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import type { Input, NdArray, Sample } from '../cases/case.ts';
import { asElement, materialise, randomSource } from '../cases/inputs.ts';
import { evaluateAll } from '../oracle/evaluate.ts';
import { unitInLastPlace } from '../oracle/rounding.ts';
import type { OracleValue } from '../oracle/value.ts';

/** A sample whose graph has been built. */
export interface BuiltSample {
  readonly sample: Sample;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

export const asList = <T>(of: T | readonly T[]): readonly T[] =>
  Array.isArray(of) ? (of as readonly T[]) : [of as T];

export function buildSample(sample: Sample): BuiltSample {
  const inputs = sample.inputs.map(materialise);
  return { sample, inputs, outputs: asList(sample.call(...inputs)) };
}

/** What each result must be, and what a device that flushes denormals may give in its place. */
export interface Expectation {
  readonly values: readonly OracleValue[];
  readonly alternatives: readonly (readonly OracleValue[])[];
}

const isDenormal = (x: number): boolean => x !== 0 && Math.abs(x) < 2 ** -126;

export function expectationOf(tensors: readonly Tensor[], inputs: readonly Input[]): Expectation {
  const values = evaluateAll(tensors, { errors: true });
  const flush = inputs.some((input) => input.dtype !== 'float16' && input.values.some(isDenormal));
  const flushed = flush ? evaluateAll(tensors, { errors: true, flushDenormals: true }) : undefined;
  return { values, alternatives: tensors.map((_, i) => (flushed ? [flushed[i]!] : [])) };
}

/** Room for constants that the graph holds in float32 and the formula in double, relative to the size of the result. */
const constantRoom = 1e-6;

function closeEnough(got: number, wanted: number, error: number, scale: number, dtype: DType): boolean {
  if (Number.isNaN(wanted) || Number.isNaN(got))
    return Number.isNaN(wanted) === Number.isNaN(got) || error === Infinity;
  if (got === wanted || error === Infinity) return true;
  if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'bfloat16')
    return Math.abs(got - wanted) <= error;
  const room = dtype === 'float32' ? 0 : unitInLastPlace(wanted, dtype);
  return Math.abs(got - wanted) <= error + constantRoom * Math.max(Math.abs(wanted), scale) + room;
}

/** The magnitude that results of this sample have: what a constant's rounding is relative to. */
function scaleOf(values: ArrayLike<number>): number {
  const finite = Array.from(values).filter(Number.isFinite).map(Math.abs);
  return finite.length === 0 ? 0 : Math.min(1, Math.max(...finite));
}

function referenceMismatch(
  got: OracleValue,
  formula: NdArray,
  dtype: DType,
  ordinal: string,
): string | undefined {
  const shapes = [got.shape, formula.shape].map((shape) => `[${shape.join(', ')}]`);
  if (shapes[0] !== shapes[1]) return `${ordinal}shape is ${shapes[0]}, by the formula ${shapes[1]}`;
  if (got.dtype !== dtype) return `${ordinal}dtype is ${got.dtype}, by the formula ${dtype}`;
  const scale = scaleOf(formula.values);
  for (let i = 0; i < got.values.length; i++) {
    const exact = formula.values[i]!;
    const wanted = dtype === 'float32' ? overflowed(exact) : asElement(exact, dtype);
    if (closeEnough(got.values[i]!, wanted, got.errors?.[i] ?? 0, scale, dtype)) continue;
    return `${ordinal}element ${i} is ${got.values[i]} in the graph, ${wanted} by the formula`;
  }
  return undefined;
}

/** A double beyond float32's range is infinite there. */
const overflowed = (x: number): number =>
  Math.abs(x) >= 3.4028235677973366e38 ? Math.sign(x) * Infinity : x;

/** Why the graph does not mean what the formula says, or undefined. */
export function checkReference(sample: Sample, expectation: Expectation, dtype: DType): string | undefined {
  if (!sample.reference) return undefined;
  const formulas = asList(sample.reference(...sample.inputs));
  if (formulas.length !== expectation.values.length)
    return `${expectation.values.length} results, by the formula ${formulas.length}`;
  for (const [i, formula] of formulas.entries()) {
    const ordinal = formulas.length > 1 ? `result ${i}: ` : '';
    const mismatch = referenceMismatch(expectation.values[i]!, formula, sample.result ?? dtype, ordinal);
    if (mismatch) return mismatch;
  }
  return undefined;
}

/** Why too little of a sample can be judged, or undefined. */
export function checkJudged(sample: Sample, values: readonly OracleValue[]): string | undefined {
  const share = sample.unjudged ?? 0.02;
  for (const { errors } of values) {
    const free = errors?.filter((error) => error === Infinity).length ?? 0;
    if (free > share * (errors?.length ?? 0)) return `${free} of ${errors?.length} elements cannot be judged`;
  }
  return undefined;
}

/** Deterministic weights of a shape's elements, of either sign and never small. */
export function weights(length: number, seed: number): Float32Array {
  const random = randomSource(seed * 31 + 17);
  return Float32Array.from({ length }, () => {
    const x = random() * 2 - 1;
    return Math.fround(x + Math.sign(x) * 0.25);
  });
}

/** The gradients of a weighted sum of a sample's results with respect to those of its operands that ask for one. */
export interface BuiltGradient {
  readonly inputs: readonly Tensor[];
  /** Positions of the operands. */
  readonly positions: readonly number[];
  readonly outputs: readonly Tensor[];
  readonly seeds: readonly Tensor[];
  readonly gradients: readonly Tensor[];
}

/**
 * Builds the backward graph of a sample by `vjp`. `cotangent` makes the gradient of each float result.
 */
export function buildGradient(
  sample: Sample,
  inputs: readonly Tensor[],
  cotangent: (output: Tensor, i: number) => Tensor,
): BuiltGradient {
  const positions = sample.inputs.flatMap((input, i) => (input.differentiable ? [i] : []));
  const args = positions.map((i) => inputs[i]!);
  const [value, pull] = vjp(
    (...watched: Tensor[]) => {
      const all = inputs.map((input, i) => (positions.includes(i) ? watched[positions.indexOf(i)]! : input));
      return [...asList(sample.call(...all))].filter((x) => isFloat(x.dtype));
    },
    ...args,
  );
  const seeds = value.map(cotangent);
  return { inputs, positions, outputs: value, seeds, gradients: pull(seeds) as Tensor[] };
}
