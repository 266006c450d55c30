/**
 * sin and cos. The built-ins promise an absolute error of 2^-11, and only from -pi to pi.
 *
 * The angle is reduced to r = x - n pi/2, |r| <= pi/4; Cephes' polynomials give sin r and cos r, and n picks between them. Up
 * to 4096, n times each of the first parts of pi/2 is exact. Beyond, as many bits of 2/pi as the exponent asks for are multiplied as
 * integers (Payne and Hanek), so that every finite angle is right.
 */
import { cosinePolynomial, halfPiParts, sinePolynomial, twoOverPiWords } from '@tutti/core/backend';
import { type Functions, floatLiteral, horner } from './function.ts';

export type TrigonometryName =
  | 'sin_f32'
  | 'cos_f32'
  | 'sine_of'
  | 'sine_polynomials'
  | 'reduce_angle'
  | 'reduce_large_angle'
  | 'multiply_high';

const halfPi = halfPiParts.map((part) => floatLiteral(-part));

/** Bits of 2/pi from 32 before the binary point on. */
const twoOverPi = ['0u', ...twoOverPiWords.map((word) => `0x${word.toString(16)}u`)].join(', ');

export const trigonometryFunctions: Functions<TrigonometryName> = {
  multiply_high: `fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}`,
  // (bits of r, n) for |x| >= 4096: 96 bits of 2/pi times the mantissa, modulo 4 quadrants.
  reduce_large_angle: `fn reduce_large_angle(x: f32) -> vec2<u32> {
  var digits = array<u32, 9>(${twoOverPi});
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let start = max(bits >> 23u, 139u) - 120u;
  let word = min(start >> 5u, 5u);
  let shift = start & 31u;
  let a = (digits[word] << shift) | ((digits[word + 1u] >> 1u) >> (31u - shift));
  let b = (digits[word + 1u] << shift) | ((digits[word + 2u] >> 1u) >> (31u - shift));
  let c = (digits[word + 2u] << shift) | ((digits[word + 3u] >> 1u) >> (31u - shift));
  let low_product = mantissa * b;
  let low = low_product + multiply_high(mantissa, c);
  let carry = select(0u, 1u, low < low_product);
  let high = mantissa * a + multiply_high(mantissa, b) + carry;
  let n = (high + 0x20000000u) >> 30u;
  // The rest is a signed 64-bit number of which 2^62 are a quadrant.
  let rest = high - (n << 30u);
  let negative = rest >= 0x80000000u;
  let top = select(rest, ~rest + select(0u, 1u, low == 0u), negative);
  let bottom = select(low, 0u - low, negative);
  let zeros = min(countLeadingZeros(top), 31u);
  let normalised = (top << zeros) | ((bottom >> 1u) >> (31u - zeros));
  let r = f32(normalised) * (${floatLiteral(Math.PI / 2)} * bitcast<f32>((97u - zeros) << 23u));
  return vec2<u32>(bitcast<u32>(select(r, -r, negative)), n);
}`,
  // Mesa would add the parts of pi/2 first, were they not kept apart.
  reduce_angle: `fn reduce_angle(x: f32) -> vec2<u32> {
  let n = nearest_integer(x, ${floatLiteral(2 / Math.PI)});
  let k = f32(n);
  let first = opaque(fma(k, ${halfPi[0]}, x));
  let second = opaque(fma(k, ${halfPi[1]}, first));
  let third = opaque(fma(k, ${halfPi[2]}, second));
  let r = fma(k, ${halfPi[3]}, third);
  return vec2<u32>(bitcast<u32>(r), u32(n));
}`,
  sine_polynomials: `fn sine_polynomials(r: f32, quadrant: u32) -> f32 {
  let z = r * r;
  let sine = fma(z * r, ${horner('z', sinePolynomial)}, r);
  let cosine = fma(z * z, ${horner('z', cosinePolynomial)}, fma(z, -0.5, 1.0));
  let value = select(sine, cosine, (quadrant & 1u) == 1u);
  return bitcast<f32>(bitcast<u32>(value) ^ ((quadrant & 2u) * 0x40000000u));
}`,
  // sin(|x| + turns pi/2)
  sine_of: `fn sine_of(x: f32, turns: u32) -> f32 {
  let a = abs(x);
  var reduced = reduce_angle(select(a, 4096.0, a > 4096.0));
  if (a >= 4096.0) {
    reduced = reduce_large_angle(a);
  }
  let value = sine_polynomials(bitcast<f32>(reduced.x), reduced.y + turns);
  return select(value, not_a_number(), (bitcast<u32>(a) >= 0x7f800000u));
}`,
  sin_f32: `fn sin_f32(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(sine_of(x, 0u)) ^ (bitcast<u32>(x) & 0x80000000u));
}`,
  cos_f32: `fn cos_f32(x: f32) -> f32 {
  return sine_of(x, 1u);
}`,
};
