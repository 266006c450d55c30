/**
 * Rounding to the float formats by arithmetic on the value, where core works on bits: neither can hide the other's mistake.
 */
interface Format {
  /** Bits of the significand, the hidden one included. */
  readonly precision: number;
  readonly minExponent: number;
  readonly maxExponent: number;
}

export type FloatFormat = 'float32' | 'float16' | 'bfloat16';

const formats: Readonly<Record<FloatFormat, Format>> = {
  float32: { precision: 24, minExponent: -126, maxExponent: 127 },
  float16: { precision: 11, minExponent: -14, maxExponent: 15 },
  bfloat16: { precision: 8, minExponent: -126, maxExponent: 127 },
};

/** The exponent e with 2^e <= |x| < 2^(e+1), for finite x other than 0. */
function exponentOf(x: number): number {
  const magnitude = Math.abs(x);
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--;
  else if (2 ** (exponent + 1) <= magnitude) exponent++;
  return exponent;
}

/** The distance between neighbours of `format` around x (for 0 and denormals: the smallest denormal). */
export function unitInLastPlace(x: number, format: FloatFormat): number {
  const { precision, minExponent, maxExponent } = formats[format];
  if (!Number.isFinite(x)) return 0;
  const exponent = x === 0 ? minExponent : exponentOf(x);
  return 2 ** (Math.min(Math.max(exponent, minExponent), maxExponent) - precision + 1);
}

/** The smallest normal number of a format. */
export const smallestNormal = (format: FloatFormat): number => 2 ** formats[format].minExponent;

/** From this magnitude on, values round to infinity. */
export function overflowThreshold(format: FloatFormat): number {
  const { precision, maxExponent } = formats[format];
  return (2 - 2 ** -precision) * 2 ** maxExponent;
}

/** `x` rounded to the nearest value of `format`, ties to even; overflow to Infinity, NaN stays NaN. */
export function roundTo(x: number, format: FloatFormat): number {
  if (x === 0 || !Number.isFinite(x)) return x;
  if (Math.abs(x) >= overflowThreshold(format)) return x > 0 ? Infinity : -Infinity;
  const unit = unitInLastPlace(x, format);
  const steps = Math.abs(x) / unit; // exact: a division by a power of two
  const below = Math.floor(steps);
  const fraction = steps - below;
  const rounded = fraction > 0.5 || (fraction === 0.5 && below % 2 === 1) ? below + 1 : below;
  return Math.sign(x) * rounded * unit || (x < 0 ? -0 : 0);
}

/** The value of 16 bits of a float16 or bfloat16. */
export function fromBits(bits: number, format: 'float16' | 'bfloat16'): number {
  const { precision, minExponent, maxExponent } = formats[format];
  const fractionSteps = 2 ** (precision - 1);
  const sign = bits & 0x8000 ? -1 : 1;
  const biased = Math.floor((bits & 0x7fff) / fractionSteps);
  const fraction = (bits & 0x7fff) % fractionSteps;
  if (biased === 0) return sign * (fraction / fractionSteps) * 2 ** minExponent;
  if (biased > maxExponent * 2) return fraction ? Number.NaN : sign * Infinity;
  return sign * (1 + fraction / fractionSteps) * 2 ** (biased - maxExponent);
}
