/**
 * exp, expm1 and tanh on f32x4.
 *
 * All three write x = n ln 2 + r with |r| <= ln 2 / 2 and use e^r - 1 = r + r^2 P(r). n comes from adding 1.5 * 2^23, which rounds to an integer and leaves it in the low bits: two cheap
 * instructions where `nearest` and `trunc_sat` cost a dozen on x64.
 */
import { expm1Polynomial, ln2ForExp } from '@tutti/core/backend';
import type { Code, Emit } from '../code.ts';

const log2e = Math.LOG2E;
const [ln2High, ln2Low] = ln2ForExp;
const roundingShift = 12582912; // 1.5 * 2^23

interface Reduced {
  /** 1.5 * 2^23 + n, whose low bits are n. */
  readonly shifted: Emit;
  readonly r: Emit;
  /** e^r - 1 */
  readonly tail: Emit;
}

function reduce(code: Code, x: Emit): Reduced {
  const shifted = code.keep(code.madd(x, code.f32x4(log2e), code.f32x4(roundingShift)));
  const n = code.keep(code.op('f32x4.sub', shifted, code.f32x4(roundingShift)));
  const high = code.keep(code.nmadd(n, code.f32x4(ln2High), x));
  const r = code.keep(code.nmadd(n, code.f32x4(ln2Low), high));
  const series = code.polynomial(r, expm1Polynomial);
  const square = code.op('f32x4.mul', r, r);
  return { shifted, r, tail: code.keep(code.madd(series, square, r)) };
}

/** `pmin` and `pmax` are one instruction each and let a NaN in their first operand through. */
function clamp(code: Code, x: Emit, low: number, high: number): Emit {
  return code.op('f32x4.pmin', code.op('f32x4.pmax', x, code.f32x4(low)), code.f32x4(high));
}

/** 2^n as float bits, for an integer vector n in -126..127. */
function powerOfTwo(code: Code, n: Emit): Emit {
  return () => {
    code.op('i32x4.add', n, code.i32x4(127))();
    code.fn.i32(23).op('i32x4.shl');
  };
}

/** e^x. The scale 2^n is applied in two halves, so that overflow and denormal results come out by themselves. */
export function exp(code: Code, x: Emit): Emit {
  const { shifted, tail } = reduce(code, code.keep(clamp(code, x, -104, 89)));
  const n = code.keep(code.op('i32x4.sub', shifted, code.f32x4(roundingShift)));
  const half = code.keep(() => {
    n();
    code.fn.i32(1).op('i32x4.shr_s');
  });
  const rest = code.op('i32x4.sub', n, half);
  const result = code.op('f32x4.add', tail, code.f32x4(1));
  return code.op('f32x4.mul', code.op('f32x4.mul', result, powerOfTwo(code, half)), powerOfTwo(code, rest));
}

/**
 * e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), where the last bracket is exact as long as it matters. Halving keeps
 * 2^(n-1) finite up to the overflow of the result.
 */
export function expm1(code: Code, x: Emit): Emit {
  const { shifted, tail } = reduce(code, code.keep(clamp(code, x, -20, 89)));
  const n = code.op('i32x4.sub', shifted, code.f32x4(roundingShift));
  const scale = code.keep(powerOfTwo(code, code.op('i32x4.sub', n, code.i32x4(1))));
  const offset = code.op('f32x4.sub', scale, code.f32x4(0.5));
  const result = code.keep(code.madd(scale, tail, offset));
  // The sign of x is the sign of the result; this restores -0.
  const sign = code.op('v128.and', x, code.i32x4(-0x80000000));
  return code.op('v128.or', code.op('f32x4.add', result, result), sign);
}

/** tanh |x| = -t / (t + 2) with t = e^(-2|x|) - 1, which loses nothing near 0 and cannot overflow. */
export function tanh(code: Code, x: Emit): Emit {
  const magnitude = code.op('f32x4.abs', x);
  const t = code.keep(expm1(code, code.keep(code.op('f32x4.mul', magnitude, code.f32x4(-2)))));
  const result = code.op('f32x4.div', t, code.op('f32x4.add', t, code.f32x4(2)));
  return code.choose(code.i32x4(-0x80000000), x, result);
}
