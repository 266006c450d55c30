/** Scalar arithmetic by dtype: integers wrap, floats are doubles, and the functions that JavaScript lacks. */
import type { DType } from '@tutti/core/backend';

/** `value`, any integer that a double holds exactly, as the dtype stores it: modulo 2^32 or 2^8. */
export function wrap(value: number, dtype: DType): number {
  switch (dtype) {
    case 'int32':
      return value | 0;
    case 'uint32':
      return value >>> 0;
    case 'uint8':
      return value & 255;
    case 'bool':
      return value ? 1 : 0;
    default:
      return value;
  }
}

/** The product as the dtype stores it. Products of 32-bit integers do not fit a double, so they never pass through one. */
export const multiply = (a: number, b: number, dtype: DType): number =>
  isFloating(dtype) ? a * b : wrap(Math.imul(a, b), dtype);

export const isFloating = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16';

/** To the nearest integer, ties to even; the sign of zero stays. */
export function roundEven(x: number): number {
  if (!Number.isFinite(x) || Math.abs(x) >= 2 ** 52) return x;
  const below = Math.floor(x);
  const fraction = x - below;
  if (fraction < 0.5) return below === 0 && Object.is(Math.sign(x), -0) ? -0 : below;
  const up = fraction > 0.5 || below % 2 !== 0;
  const rounded = up ? below + 1 : below;
  return rounded === 0 && x < 0 ? -0 : rounded;
}

/** C99's pow: 1 to any power and any base to 0 are 1, even for NaN; (-1)^±Inf is 1. */
export function power(x: number, y: number): number {
  if (x === 1 || y === 0) return 1;
  if (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) return 1;
  return x ** y;
}

const twoOverRootPi = 2 / Math.sqrt(Math.PI);

/**
 * erf(x) = 2/sqrt(pi) * integral of exp(-t^2) from 0 to x. Below 3 by the series with positive terms only
 * (Abramowitz & Stegun 7.1.6), above by the continued fraction of erfc (7.1.14); relative error about 1e-15.
 */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude > 0)) return x;
  if (magnitude < 3) return twoOverRootPi * Math.exp(-x * x) * erfSeries(x);
  const value = magnitude > 6 ? 1 : 1 - erfcFraction(magnitude);
  return x < 0 ? -value : value;
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-18; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum;
}

function erfcFraction(x: number): number {
  let tail = 0;
  for (let n = 80; n >= 1; n--) tail = n / 2 / (x + tail);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + tail);
}
