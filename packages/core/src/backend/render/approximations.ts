/**
 * Approximations of functions in float32 arithmetic: coefficients that are the same in every language.
 *
 * Polynomials are lowest power first. Errors are those of the formula with coefficients rounded to float32, computed exactly; what
 * rounding adds depends on how a backend evaluates it.
 */

/** `e^r - 1 = r + r^2 P(r)` for |r| <= ln 2 / 2, with a relative error below 2^-26.9. Cephes, expf.c. */
export const expm1Polynomial: readonly number[] = [
  5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.98756915e-4,
];

/**
 * `e^r = 1 + r + r^2 P(r)` for |r| <= ln 2 / 2, with a relative error below 2^-27.9: a term less than {@link expm1Polynomial} needs,
 * as nothing has to be right beside 1. A minimax fit of our own.
 */
export const expPolynomial: readonly number[] = [
  0.49999994, 0.16666521, 0.04166839, 0.00836871, 0.0013814613,
];

/** ln 2 as a sum, to 2^-37; n times the first part is exact for |n| <= 2^15. Cephes, expf.c. */
export const ln2ForExp: readonly [high: number, low: number] = [0.693359375, -0.00021219444];

/** ln 2 as a sum, to 2^-40; n times the first part is exact for |n| <= 2^7. FreeBSD, e_logf.c. */
export const ln2ForLog: readonly [high: number, low: number] = [0.69313812, 0.0000090580006];

/**
 * `log(1 + f) = f - f^2/2 + s (f^2/2 + z P(z))` with `s = f / (2 + f)` and `z = s^2`, for 1 + f in [sqrt(1/2), sqrt(2)], with a relative
 * error below 2^-35. FreeBSD, k_logf.h.
 */
export const logPolynomial: readonly [number, number, number, number] = [
  0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841,
];

/**
 * `log2(m) = 2 / (3 ln 2) s (3 + z + z^2 P(z))` with `s = (m - 1) / (m + 1)` and `z = s^2`, for m in [sqrt(1/2), sqrt(2)], with a
 * relative error below 2^-37. The series of the inverse hyperbolic tangent.
 */
export const log2Polynomial: readonly number[] = [3 / 5, 3 / 7, 3 / 9, 3 / 11, 3 / 13, 3 / 15];

/** `2 / (3 ln 2)`: a number of 12 bits, and what is left. */
export const log2Scale: readonly [head: number, rest: number] = [
  0.9619140625,
  2 / (3 * Math.LN2) - 0.9619140625,
];

/** `sin r = r + r^3 P(r^2)` for |r| <= pi/4, with a relative error below 2^-26.8. Cephes, sinf.c. */
export const sinePolynomial: readonly number[] = [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4];

/** `cos r = 1 - r^2/2 + r^4 P(r^2)` for |r| <= pi/4, with a relative error below 2^-32.4. Cephes, sinf.c. */
export const cosinePolynomial: readonly number[] = [
  4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5,
];

/** pi/2 as a sum, to 2^-63; products of the first three parts, of 12 bits at most, with integers up to 2^12 are exact. */
export const halfPiParts: readonly [number, number, number, number] = [
  1.5703125, 4.837512969970703e-4, 7.549533620476723e-8, 2.563344151594519e-12,
];

/**
 * The bits of 2/pi behind the binary point. The product with an angle of f32 counts quadrants; of the bits, 96 matter to it, as those before
 * them make whole turns (Payne and Hanek), and 256 are enough for every exponent.
 */
export const twoOverPiWords: readonly number[] = [
  0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561,
];

/** `erf x = x + x P(x^2)` for |x| <= {@link erfBoundary}, with a relative error below 2^-24.8. N. Juffa. */
export const erfNearPolynomial: readonly number[] = [
  1.28379166e-1, -3.76125336e-1, 1.12819925e-1, -2.67681349e-2, 4.99119423e-3, -5.96761703e-4,
];

/** `erf x = 1 - exp(x P(x) - x)` for {@link erfBoundary} <= x <= 4, with a relative error below 2^-25.5; erf 4 rounds to 1. N. Juffa. */
export const erfFarPolynomial: readonly number[] = [
  -1.28717512e-1, -6.34846687e-1, -1.06777877e-1, 2.42546219e-2, -3.88396438e-3, 3.83197126e-4, -1.7285347e-5,
];

export const erfBoundary = 0.921875;
