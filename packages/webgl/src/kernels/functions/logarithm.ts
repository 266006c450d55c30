/**
 * log and log1p, after FreeBSD's e_logf.c and s_log1pf.c. The built-in `log` may be off by many units of the last place.
 *
 * x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)).
 */
import { floatDigits, ln2ForLog, logPolynomial } from '@tutti/core/backend';
import type { Functions } from './function.ts';

export type LogarithmName = 'log_f32' | 'log1p_f32' | 'log_split' | 'log_sum';

const c = logPolynomial.map(floatDigits);
const [ln2High, ln2Low] = ln2ForLog;

export const logarithmFunctions: Functions<LogarithmName> = {
  // 1 + f and k of a positive number. An integer below 2^23 converts exactly, which makes denormals normal.
  log_split: `F log_split(F x, out I k) {
  U bits = floatBitsToUint(x);
  B tiny = lt_u32(bits, U(0x800000u));
  U biased = select_u32(bits, floatBitsToUint(F(bits)), tiny) + 0x4afb0du;
  k = I(biased >> 23u) - select_i32(I(127), I(276), tiny);
  return uintBitsToFloat((biased & 0x7fffffu) + 0x3f3504f3u);
}`,
  // log(1 + f) + k ln 2 + correction; k times the first part of ln 2 is exact.
  log_sum: `F log_sum(F f, F k, F correction) {
  F s = f / (f + 2.0);
  F z = s * s;
  F w = z * z;
  F r = z * (w * ${c[2]} + ${c[0]}) + w * (w * ${c[3]} + ${c[1]});
  F half_square = 0.5 * f * f;
  F tail = s * (half_square + r) + (k * ${ln2Low} + correction);
  return k * ${ln2High} + (opaque(tail - half_square) + f);
}`,
  log_f32: `F log_f32(F x) {
  U bits = floatBitsToUint(x);
  I k;
  F m = log_split(x, k);
  F ordinary = log_sum(m - 1.0, F(k), F(0.0));
  F finite = select_f32(ordinary, F(-infinity()), eq_u32(bits & 0x7fffffffu, U(0u)));
  B invalid = either(lt_u32(U(0x80000000u), bits), is_nan(x));
  return select_f32(select_f32(finite, x, eq_u32(bits, U(0x7f800000u))), F(not_a_number()), invalid);
}`,
  // What 1 + x loses to rounding comes back as a correction; where k = 0, f is x itself.
  log1p_f32: `F log1p_f32(F x) {
  U bits = floatBitsToUint(x);
  F u = opaque(1.0 + x);
  I k;
  F m = log_split(u, k);
  B near = eq_i32(k, I(0));
  F lost = select_f32(x - (u - 1.0), 1.0 - (u - x), le_i32(I(2), k));
  F f = select_f32(m - 1.0, x, near);
  F ordinary = log_sum(f, F(k), select_f32(lost / u, F(0.0), near));
  F finite = select_f32(ordinary, F(-infinity()), eq_u32(bits, U(0xbf800000u)));
  B invalid = either(lt_u32(U(0xbf800000u), bits), is_nan(x));
  B same = either(eq_u32(bits & 0x7fffffffu, U(0u)), eq_u32(bits, U(0x7f800000u)));
  return select_f32(select_f32(finite, F(not_a_number()), invalid), x, same);
}`,
};
