/**
 * sin and cos. The built-ins promise no more than an absolute error, and only near 0.
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

const halfPi = halfPiParts.map(floatLiteral);

/** Bits of 2/pi from 32 before the binary point on. */
const twoOverPi = ['0u', ...twoOverPiWords.map((word) => `0x${word.toString(16)}u`)].join(', ');

export const trigonometryFunctions: Functions<TrigonometryName> = {
  multiply_high: {
    only: `uint multiply_high(uint a, uint b) {
  uint low = (a & 0xffffu) * (b & 0xffffu);
  uint middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  uint other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}`,
  },
  // r and n for |x| >= 4096: 96 bits of 2/pi times the mantissa, modulo 4 quadrants.
  reduce_large_angle: {
    scalar: `float reduce_large_angle(float x, out int quadrant) {
  const uint digits[9] = uint[9](${twoOverPi});
  uint bits = floatBitsToUint(x) & 0x7fffffffu;
  uint mantissa = (bits & 0x7fffffu) | 0x800000u;
  uint start = max(bits >> 23u, 139u) - 120u;
  int word = min(int(start >> 5u), 5);
  uint shift = start & 31u;
  uint a = (digits[word] << shift) | ((digits[word + 1] >> 1u) >> (31u - shift));
  uint b = (digits[word + 1] << shift) | ((digits[word + 2] >> 1u) >> (31u - shift));
  uint c = (digits[word + 2] << shift) | ((digits[word + 3] >> 1u) >> (31u - shift));
  uint low_product = mantissa * b;
  uint low = low_product + multiply_high(mantissa, c);
  uint carry = low < low_product ? 1u : 0u;
  uint high = mantissa * a + multiply_high(mantissa, b) + carry;
  uint n = (high + 0x20000000u) >> 30u;
  // The rest is a signed 64-bit number of which 2^62 are a quadrant.
  uint rest = high - (n << 30u);
  bool negative = rest >= 0x80000000u;
  uint top = negative ? ~rest + (low == 0u ? 1u : 0u) : rest;
  uint bottom = negative ? 0u - low : low;
  uint zeros = min(leading_zeros(top), 31u);
  uint normalised = (top << zeros) | ((bottom >> 1u) >> (31u - zeros));
  float r = float(normalised) * (${floatLiteral(Math.PI / 2)} * uintBitsToFloat((97u - zeros) << 23u));
  quadrant = int(n);
  return negative ? -r : r;
}`,
    // A loop, because what is written four times is compiled four times.
    vector: `vec4 reduce_large_angle(vec4 x, out ivec4 quadrant) {
  vec4 r = vec4(0.0);
  quadrant = ivec4(0);
  for (int lane = 0; lane < 4; lane++) {
    int n;
    r = vec4(r.yzw, reduce_large_angle(x.x, n));
    quadrant = ivec4(quadrant.yzw, n);
    x = x.yzwx;
  }
  return r;
}`,
  },
  // Compilers would put the parts of pi/2 together again.
  reduce_angle: `F reduce_angle(F x, out I quadrant) {
  quadrant = nearest_integer(x, ${floatLiteral(2 / Math.PI)});
  F k = F(quadrant);
  F first = opaque(x - k * ${halfPi[0]});
  F second = opaque(first - k * ${halfPi[1]});
  F third = opaque(second - k * ${halfPi[2]});
  return third - k * ${halfPi[3]};
}`,
  sine_polynomials: `F sine_polynomials(F r, I quadrant) {
  F z = r * r;
  F sine = (z * r) * ${horner('z', sinePolynomial)} + r;
  F cosine = (z * z) * ${horner('z', cosinePolynomial)} + (1.0 - 0.5 * z);
  F value = select_f32(sine, cosine, eq_i32(quadrant & 1, I(1)));
  return intBitsToFloat(floatBitsToInt(value) ^ ((quadrant & 2) << 30));
}`,
  // sin(|x| + turns pi/2)
  sine_of: `F sine_of(F x, int turns) {
  F a = abs(x);
  B large = le_f32(F(4096.0), a);
  I quadrant;
  F r = reduce_angle(min(a, 4096.0), quadrant);
  if (any_of(large)) {
    I large_quadrant;
    F large_r = reduce_large_angle(a, large_quadrant);
    r = select_f32(r, large_r, large);
    quadrant = select_i32(quadrant, large_quadrant, large);
  }
  F value = sine_polynomials(r, quadrant + turns);
  return select_f32(value, F(not_a_number()), le_u32(U(0x7f800000u), floatBitsToUint(a)));
}`,
  sin_f32: `F sin_f32(F x) {
  return uintBitsToFloat(floatBitsToUint(sine_of(x, 0)) ^ (floatBitsToUint(x) & 0x80000000u));
}`,
  cos_f32: `F cos_f32(F x) {
  return sine_of(x, 1);
}`,
};
