/** Conversions between float32 and the two 16-bit storage formats, on the host. Round to nearest, ties to even. */

const floatBits = new Float32Array(1);
const uintBits = new Uint32Array(floatBits.buffer);

/** The bits of `value` as bfloat16 (8 exponent bits, 7 of fraction). */
export function toBfloat16Bits(value: number): number {
  floatBits[0] = value;
  const bits = uintBits[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // keep NaN a NaN when its low bits go
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBfloat16Bits(bits: number): number {
  uintBits[0] = bits << 16;
  return floatBits[0]!;
}

/** The bits of `value` as float16 (5 exponent bits, 10 of fraction); values from 65520 up become Inf. */
export function toFloat16Bits(value: number): number {
  floatBits[0] = value;
  const bits = uintBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520, half way between the largest float16 and the next step
  if (magnitude < 0x38800000) {
    // Subnormal: a multiple of 2^-24. Adding 0.5 aligns the float's last bit with 2^-24, so the adder rounds for us.
    floatBits[0] = Math.abs(value) + 0.5;
    return sign | (uintBits[0]! - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** `value` rounded to what float16 can hold. */
export const roundToFloat16 = (value: number): number => fromFloat16Bits(toFloat16Bits(value));

/** `value` rounded to what bfloat16 can hold. */
export const roundToBfloat16 = (value: number): number => fromBfloat16Bits(toBfloat16Bits(value));

/** The values of many float16, as a reader gets them: on integers, because a call for each takes far longer. */
export function widenFloat16(bits: ArrayLike<number>): Float32Array {
  const values = new Float32Array(bits.length);
  const words = new Uint32Array(values.buffer);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i]!;
    const magnitude = half & 0x7fff;
    const sign = (half & 0x8000) << 16;
    if (magnitude < 0x400) {
      values[i] = magnitude * 2 ** -24;
      words[i] = words[i]! | sign;
    } else {
      words[i] = sign | ((magnitude << 13) + (magnitude < 0x7c00 ? 0x38000000 : 0x70000000));
    }
  }
  return values;
}

/** The values of many bfloat16. */
export function widenBfloat16(bits: ArrayLike<number>): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}
