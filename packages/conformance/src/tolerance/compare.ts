import { type DType, dtypeInfo } from '@tutti/core/backend';
import { unitInLastPlace } from '../oracle/rounding.ts';
import type { OracleValue } from '../oracle/value.ts';

/** What came of comparing one result with what it should be. */
export interface Comparison {
  readonly ok: boolean;
  /** Largest |actual - expected| / |expected|, over finite expected values other than 0. */
  readonly maxRel: number;
  /** Largest |actual - expected| in units in the last place of the result's dtype (for integers: the difference). */
  readonly maxUlp: number;
  /** Largest share of its tolerance that any element used; at most 1 when all is well. */
  readonly used: number;
  /** Elements that the policy does not judge, because what they are computed from is not known well enough. */
  readonly unjudged: number;
  readonly elements: number;
  /** The first element that differs, for people. */
  readonly reason?: string;
}

const show = (x: number): string => (Object.is(x, -0) ? '-0' : String(x));

/** Whether `actual` may stand for `expected`, which is known up to `allowed`. NaN is only NaN, an infinity only itself. */
export function agrees(actual: number, expected: number, allowed: number, dtype: DType): boolean {
  if (allowed === Infinity) return true;
  if (Number.isNaN(expected)) return Number.isNaN(actual);
  if (actual === expected) {
    const signMatters = expected === 0 && allowed === 0 && dtypeInfo[dtype].kind === 'float';
    return !signMatters || Object.is(actual, expected);
  }
  return Math.abs(actual - expected) <= allowed;
}

function ulpsApart(actual: number, expected: number, dtype: DType): number {
  const difference = Math.abs(actual - expected);
  if (dtype !== 'float32' && dtype !== 'float16' && dtype !== 'bfloat16') return difference;
  return difference / unitInLastPlace(expected, dtype);
}

function sameShape(actual: Pick<OracleValue, 'shape' | 'dtype'>, expected: OracleValue): string | undefined {
  const [got, wanted] = [actual, expected].map(({ shape, dtype }) => `${dtype} [${shape.join(', ')}]`);
  return got === wanted ? undefined : `result is ${got}, expected ${wanted}`;
}

/**
 * Compares a result with the oracle's value and bounds. `alternatives` are values that are right too (those of a device
 * that flushes denormals): each element must agree with one of them all.
 */
export function compare(
  actual: { readonly shape: readonly number[]; readonly dtype: DType; readonly values: ArrayLike<number> },
  expected: OracleValue,
  alternatives: readonly OracleValue[] = [],
): Comparison {
  const mismatch = sameShape(actual, expected);
  const elements = expected.values.length;
  if (mismatch)
    return {
      ok: false,
      maxRel: Infinity,
      maxUlp: Infinity,
      used: Infinity,
      unjudged: 0,
      elements,
      reason: mismatch,
    };
  let [maxRel, maxUlp, used, unjudged] = [0, 0, 0, 0];
  let reason: string | undefined;
  for (let i = 0; i < elements; i++) {
    const [got, wanted, allowed] = [actual.values[i]!, expected.values[i]!, expected.errors?.[i] ?? 0];
    if (allowed === Infinity) unjudged++;
    const ok = agrees(got, wanted, allowed, actual.dtype);
    if (
      !ok &&
      alternatives.some((other) => agrees(got, other.values[i]!, other.errors?.[i] ?? 0, actual.dtype))
    )
      continue;
    if (!ok && reason === undefined) {
      reason = `element ${i} is ${show(got)}, expected ${show(wanted)}${allowed ? ` ± ${allowed.toExponential(2)}` : ''}`;
    }
    const difference = Math.abs(got - wanted);
    if (!(difference < Infinity) || difference === 0 || allowed === Infinity) continue;
    if (wanted !== 0) maxRel = Math.max(maxRel, difference / Math.abs(wanted));
    maxUlp = Math.max(maxUlp, ulpsApart(got, wanted, actual.dtype));
    used = Math.max(used, difference / allowed);
  }
  const found = { ok: reason === undefined, maxRel, maxUlp, used, unjudged, elements };
  return reason === undefined ? found : { ...found, reason };
}
