/**
 * pow by C99's rules. The built-in is exp2(y log2 x), which is NaN for every negative x and wrong by hundreds of units where
 * the result is large.
 *
 * y log2 |x| needs some 32 bits, as an error of 2^-24 in it is one of a unit in the result. So log2 |x| is a sum of two floats,
 * of which the first has so few bits (`head`) that products with it are exact, after FreeBSD's e_powf.c:
 * log2 m = 2/(3 ln 2) (3 s + s^3 + 3/5 s^5 + ...) with s = (m - 1) / (m + 1).
 */
import { log2Polynomial, log2Scale } from '@tutti/core/backend';
import { type Functions, floatLiteral, horner } from './function.ts';

export type PowerName = 'pow_f32' | 'pow_magnitude' | 'log2_parts' | 'head';

const [scaleHead, scaleRest] = log2Scale;

export const powerFunctions: Functions<PowerName> = {
  // The first 12 bits of the mantissa.
  head: `F head(F x) {
  return uintBitsToFloat(floatBitsToUint(x) & 0xfffff000u);
}`,
  // log2 of a positive number, as a number of few bits and the rest.
  log2_parts: `F log2_parts(F x, out F rest) {
  I n;
  F m = log_split(x, n);
  F f = m - 1.0;
  F d = m + 1.0;
  F s = f / d;
  F s_head = head(s);
  F d_head = head(d);
  F s_rest = ((f - s_head * d_head) - s_head * (m - (d_head - 1.0))) / d;
  F z = s * s;
  F r = s_rest * (s_head + s) + z * z * ${horner('z', log2Polynomial)};
  F square = s_head * s_head;
  F t_head = head((square + 3.0) + r);
  F t_rest = r - ((t_head - 3.0) - square);
  F u = s_head * t_head;
  F v = s_rest * t_head + t_rest * s;
  F p_head = head(u + v);
  F p_rest = v - (p_head - u);
  F high = ${floatLiteral(scaleHead)} * p_head;
  F low = ${floatLiteral(scaleRest)} * p_head + ${floatLiteral(scaleHead + scaleRest)} * p_rest;
  F k = F(n);
  F first = head((high + low) + k);
  rest = low - ((first - k) - high);
  return first;
}`,
  pow_magnitude: `F pow_magnitude(F x, F y) {
  F log_rest;
  F log_head = log2_parts(x, log_rest);
  F c = clamp(y, -4294967296.0, 4294967296.0);
  F c_head = head(c);
  F high = c_head * log_head;
  F low = c * log_rest + (c - c_head) * log_head;
  I n = nearest_integer(clamp(high + low, -127.0, 128.0), 1.0);
  F rest = clamp((high - F(n)) + low, -1.0, 1.0);
  F e = exp_near_zero(${floatLiteral(Math.LN2)} * rest);
  I bits = floatBitsToInt(times_power_of_two(e, n));
  return select_f32(intBitsToFloat(min(bits, 0x7f800000)), F(0.0), lt_i32(bits, I(0x800000)));
}`,
  pow_f32: `F pow_f32(F x, F y) {
  U x_bits = floatBitsToUint(x);
  U y_bits = floatBitsToUint(y);
  U ax = x_bits & 0x7fffffffu;
  U ay = y_bits & 0x7fffffffu;
  B extreme = either(eq_u32(ax, U(0u)), either(eq_u32(ax, U(0x7f800000u)), eq_u32(ay, U(0x7f800000u))));
  B shrinks = differ(lt_u32(U(0x3f800000u), ax), lt_u32(y_bits, U(0x80000000u)));
  F limit = select_f32(F(infinity()), F(0.0), shrinks);
  F magnitude = select_f32(pow_magnitude(abs(x), y), limit, extreme);
  I exponent = I(ay >> 23u);
  U fraction_bits = U(clamp(150 - exponent, 0, 24));
  U mantissa = (ay & 0x7fffffu) | 0x800000u;
  B integer = eq_u32(mantissa & ((U(1u) << fraction_bits) - 1u), U(0u));
  B last_bit = eq_u32((mantissa >> fraction_bits) & 1u, U(1u));
  B odd = both(both(integer, last_bit), le_i32(exponent, I(150)));
  B negative = le_u32(U(0x80000000u), x_bits);
  B invalid = either(both(negative, negated(either(integer, extreme))), unordered(x, y));
  F with_sign = select_f32(magnitude, -magnitude, both(negative, odd));
  B always = either(eq_u32(ay, U(0u)), eq_u32(x_bits, U(0x3f800000u)));
  B one = either(always, both(eq_u32(ax, U(0x3f800000u)), eq_u32(ay, U(0x7f800000u))));
  return select_f32(select_f32(with_sign, F(not_a_number()), invalid), F(1.0), one);
}`,
};
