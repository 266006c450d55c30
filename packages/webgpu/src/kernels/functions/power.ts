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
  head: `fn head(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u);
}`,
  // log2 of a positive number, as a number of few bits and the rest.
  log2_parts: `fn log2_parts(x: f32) -> vec2<f32> {
  let split = log_split(x);
  let m = bitcast<f32>(split.x);
  let f = m - 1.0;
  let d = m + 1.0;
  let s = f / d;
  let s_head = head(s);
  let d_head = head(d);
  let s_rest = fma(-s_head, m - (d_head - 1.0), fma(-s_head, d_head, f)) / d;
  let z = s * s;
  let r = fma(s_rest, s_head + s, z * z * ${horner('z', log2Polynomial)});
  let square = s_head * s_head;
  let t_head = head((square + 3.0) + r);
  let t_rest = r - ((t_head - 3.0) - square);
  let u = s_head * t_head;
  let v = fma(s_rest, t_head, t_rest * s);
  let p_head = head(u + v);
  let p_rest = v - (p_head - u);
  let high = ${floatLiteral(scaleHead)} * p_head;
  let low = fma(${floatLiteral(scaleRest)}, p_head, ${floatLiteral(scaleHead + scaleRest)} * p_rest);
  let k = f32(split.y);
  let first = head((high + low) + k);
  return vec2<f32>(first, low - ((first - k) - high));
}`,
  pow_magnitude: `fn pow_magnitude(x: f32, y: f32) -> f32 {
  let log = log2_parts(x);
  let c = clamp(y, -4294967296.0, 4294967296.0);
  let c_head = head(c);
  let high = c_head * log.x;
  let low = fma(c, log.y, (c - c_head) * log.x);
  let n = nearest_integer(clamp(high + low, -127.0, 128.0), 1.0);
  let rest = clamp((high - f32(n)) + low, -1.0, 1.0);
  let e = exp_near_zero(${floatLiteral(Math.LN2)} * rest);
  let bits = bitcast<i32>(times_power_of_two(e, n));
  return select(bitcast<f32>(min(bits, 0x7f800000)), 0.0, bits < 0x800000);
}`,
  pow_f32: `fn pow_f32(x: f32, y: f32) -> f32 {
  let x_bits = bitcast<u32>(x);
  let y_bits = bitcast<u32>(y);
  let ax = x_bits & 0x7fffffffu;
  let ay = y_bits & 0x7fffffffu;
  let extreme = (ax == 0u) | (ax == 0x7f800000u) | (ay == 0x7f800000u);
  let grows = (ax > 0x3f800000u) == (y_bits < 0x80000000u);
  let limit = select(0.0, infinity(), grows);
  let magnitude = select(pow_magnitude(abs(x), y), limit, extreme);
  let exponent = i32(ay >> 23u);
  let fraction_bits = u32(clamp(150 - exponent, 0, 24));
  let mantissa = (ay & 0x7fffffu) | 0x800000u;
  let integer = (mantissa & ((1u << fraction_bits) - 1u)) == 0u;
  let odd = integer & (exponent <= 150) & (((mantissa >> fraction_bits) & 1u) == 1u);
  let negative = x_bits >= 0x80000000u;
  let invalid = (negative & !integer & !extreme) | unordered(x, y);
  let signed = select(magnitude, -magnitude, negative & odd);
  let one = (ay == 0u) | (x_bits == 0x3f800000u) | ((ax == 0x3f800000u) & (ay == 0x7f800000u));
  return select(select(signed, not_a_number(), invalid), 1.0, one);
}`,
};
