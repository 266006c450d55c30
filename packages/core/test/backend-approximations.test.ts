/** The errors that `render/approximations.ts` states, in float64. */
import {
  cosinePolynomial,
  erfBoundary,
  erfFarPolynomial,
  erfNearPolynomial,
  expm1Polynomial,
  expPolynomial,
  halfPiParts,
  ln2ForExp,
  ln2ForLog,
  log2Polynomial,
  log2Scale,
  logPolynomial,
  sinePolynomial,
  twoOverPiWords,
} from '@tutti/core/backend';
import { describe, expect, it } from 'vitest';

const at = (coefficients: readonly number[], x: number): number =>
  coefficients.reduceRight((sum, c) => sum * x + Math.fround(c), 0);

/** erf by its power series, of which float64 keeps enough up to 4. */
function erf(x: number): number {
  let [power, sum] = [x, x];
  for (let n = 1; n < 120; n++) {
    power *= (-x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

interface Approximation {
  readonly from: number;
  readonly to: number;
  readonly log2Error: number;
  readonly approximate: (x: number) => number;
  readonly exact: (x: number) => number;
}

const halfLn2 = Math.LN2 / 2;
const quarterPi = Math.PI / 4;
const octave = { from: Math.SQRT1_2, to: Math.SQRT2 };

const approximations: Readonly<Record<string, Approximation>> = {
  expm1: {
    from: -halfLn2,
    to: halfLn2,
    log2Error: -26.9,
    approximate: (r) => r + r * r * at(expm1Polynomial, r),
    exact: Math.expm1,
  },
  exp: {
    from: -halfLn2,
    to: halfLn2,
    log2Error: -27.9,
    approximate: (r) => 1 + r + r * r * at(expPolynomial, r),
    exact: Math.exp,
  },
  log: {
    ...octave,
    log2Error: -35,
    approximate: (m) => {
      const f = m - 1;
      const s = f / (2 + f);
      const halfSquare = (f * f) / 2;
      return f - halfSquare + s * (halfSquare + s * s * at(logPolynomial, s * s));
    },
    exact: (m) => Math.log1p(m - 1),
  },
  log2: {
    ...octave,
    log2Error: -37,
    approximate: (m) => {
      const s = (m - 1) / (m + 1);
      const z = s * s;
      return (log2Scale[0] + log2Scale[1]) * s * (3 + z + z * z * log2At(z));
    },
    exact: (m) => Math.log1p(m - 1) / Math.LN2,
  },
  sine: {
    from: -quarterPi,
    to: quarterPi,
    log2Error: -26.8,
    approximate: (r) => r + r ** 3 * at(sinePolynomial, r * r),
    exact: Math.sin,
  },
  cosine: {
    from: -quarterPi,
    to: quarterPi,
    log2Error: -32.4,
    approximate: (r) => 1 - (r * r) / 2 + r ** 4 * at(cosinePolynomial, r * r),
    exact: Math.cos,
  },
  'erf near 0': {
    from: -erfBoundary,
    to: erfBoundary,
    log2Error: -24.8,
    approximate: (x) => x + x * at(erfNearPolynomial, x * x),
    exact: erf,
  },
  'erf beyond': {
    from: erfBoundary,
    to: 4,
    log2Error: -25.5,
    approximate: (x) => 1 - Math.exp(x * at(erfFarPolynomial, x) - x),
    exact: erf,
  },
};

const log2At = (z: number): number => at(log2Polynomial, z);

describe('approximations', () => {
  it.each(Object.entries(approximations))('%s is as good as stated', (_, approximation) => {
    const { from, to, log2Error, approximate, exact } = approximation;
    const steps = 9999; // odd, so that 0 is left out
    let worst = 0;
    for (let i = 0; i <= steps; i++) {
      const x = from + ((to - from) * i) / steps;
      worst = Math.max(worst, Math.abs(approximate(x) / exact(x) - 1));
    }
    expect(Math.log2(worst)).toBeLessThan(log2Error);
    expect(Math.log2(worst)).toBeGreaterThan(log2Error - 0.5);
  });
});

/** Bits of the fraction of a float32 from the first one to the last one. */
function bitsOf(value: number): number {
  let integer = Math.fround(value);
  while (!Number.isInteger(integer)) integer *= 2;
  while (integer % 2 === 0) integer /= 2;
  return Math.floor(Math.log2(integer)) + 1;
}

describe('constants in parts', () => {
  const sum = (parts: readonly number[]): number => parts.reduce((a, b) => a + Math.fround(b), 0);

  it('ln 2', () => {
    expect(Math.abs(sum(ln2ForExp) - Math.LN2)).toBeLessThan(2 ** -37);
    expect(bitsOf(ln2ForExp[0])).toBeLessThanOrEqual(24 - 15);
    expect(Math.abs(sum(ln2ForLog) - Math.LN2)).toBeLessThan(2 ** -40);
    expect(bitsOf(ln2ForLog[0])).toBeLessThanOrEqual(24 - 7);
  });

  it('pi / 2', () => {
    const exact = halfPiInBits(100n);
    const bits = halfPiParts.reduce((all, part) => all + BigInt(Math.fround(part) * 2 ** 100), 0n);
    const error = Number(exact - bits) / 2 ** 100;
    expect(Math.abs(error)).toBeLessThan(2 ** -63);
    for (const part of halfPiParts.slice(0, 3)) expect(bitsOf(part)).toBeLessThanOrEqual(12);
  });

  it('2 / (3 ln 2)', () => {
    expect(log2Scale[0] + log2Scale[1]).toBe(2 / (3 * Math.LN2));
    expect(bitsOf(log2Scale[0])).toBeLessThanOrEqual(12);
  });

  it('the bits of 2 / pi', () => {
    const guard = 64n;
    const digits = ((1n << (2n * (256n + guard))) / halfPiInBits(256n + guard)) >> guard;
    const words = twoOverPiWords.reduce((all, word) => (all << 32n) | BigInt(word), 0n);
    expect(words.toString(16)).toBe(digits.toString(16));
  });
});

/** `floor(pi / 2 * 2^bits)`, or one less, by Machin's formula. */
function halfPiInBits(bits: bigint): bigint {
  const one = 1n << (bits + 32n);
  const arctangentOf = (inverse: bigint): bigint => {
    let power = one / inverse;
    let all = power;
    for (let n = 1n; power !== 0n; n++) {
      power /= -inverse * inverse;
      all += power / (2n * n + 1n);
    }
    return all;
  };
  return (2n * (4n * arctangentOf(5n) - arctangentOf(239n))) >> 32n;
}
