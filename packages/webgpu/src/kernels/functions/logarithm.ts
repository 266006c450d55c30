/**
 * log and log1p, after FreeBSD's e_logf.c and s_log1pf.c. The built-in `log` may be off by 3 ULP, and by 2^-21 near 1.
 *
 * x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)).
 */
import { floatDigits, ln2ForLog, logPolynomial } from '@tutti/core/backend';
import type { Functions } from './function.ts';

export type LogarithmName = 'log_f32' | 'log1p_f32' | 'log_split' | 'log_sum';

const c = logPolynomial.map(floatDigits);
const [ln2High, ln2Low] = ln2ForLog;

export const logarithmFunctions: Functions<LogarithmName> = {
  // (bits of 1 + f, k) of a positive number. An integer below 2^23 converts exactly, which makes denormals normal.
  log_split: `fn log_split(x: f32) -> vec2<i32> {
  let bits = bitcast<u32>(x);
  let tiny = bits < 0x800000u;
  let biased = select(bits, bitcast<u32>(f32(bits)), tiny) + 0x4afb0du;
  let k = i32(biased >> 23u) - select(127, 276, tiny);
  return vec2<i32>(i32((biased & 0x7fffffu) + 0x3f3504f3u), k);
}`,
  // log(1 + f) + k ln 2 + correction; k times the first part of ln 2 is exact.
  log_sum: `fn log_sum(f: f32, k: f32, correction: f32) -> f32 {
  let s = f / (f + 2.0);
  let z = s * s;
  let w = z * z;
  let r = fma(z, fma(w, ${c[2]}, ${c[0]}), w * fma(w, ${c[3]}, ${c[1]}));
  let half_square = 0.5 * f * f;
  let tail = fma(s, half_square + r, fma(k, ${ln2Low}, correction));
  return fma(k, ${ln2High}, (tail - half_square) + f);
}`,
  log_f32: `fn log_f32(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let split = log_split(x);
  let ordinary = log_sum(bitcast<f32>(split.x) - 1.0, f32(split.y), 0.0);
  let invalid = (bits > 0x80000000u) | is_nan(x);
  let finite = select(ordinary, -infinity(), (bits & 0x7fffffffu) == 0u);
  return select(select(finite, x, bits == 0x7f800000u), not_a_number(), invalid);
}`,
  // What 1 + x loses to rounding comes back as a correction; where k = 0, f is x itself.
  log1p_f32: `fn log1p_f32(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let u = opaque(1.0 + x);
  let split = log_split(u);
  let near = split.y == 0;
  let lost = select(x - (u - 1.0), 1.0 - (u - x), split.y >= 2);
  let f = select(bitcast<f32>(split.x) - 1.0, x, near);
  let ordinary = log_sum(f, f32(split.y), select(lost / u, 0.0, near));
  let finite = select(ordinary, -infinity(), bits == 0xbf800000u);
  let same = ((bits & 0x7fffffffu) == 0u) | (bits == 0x7f800000u);
  return select(select(finite, not_a_number(), (bits > 0xbf800000u) | is_nan(x)), x, same);
}`,
};
