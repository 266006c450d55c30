/**
 * pow on f32x4, computed as 2^(y log2 x) in f64x2, two lanes at a time.
 *
 * In f32 an error of one unit in y log2 x is 2^-16 of the result when the result is large; f64 leaves 2^-30. It also spares
 * the cases: f32 denormals are normal numbers in f64, and rounding to f32 at the end makes overflow, underflow and denormal
 * results. C99's special values are put right at the end, on f32x4.
 */
import type { Code, Emit } from '../code.ts';

const sqrtHalfBits = 0x3fe6a09e667f3bcdn;
const roundingShift = 6755399441055744; // 1.5 * 2^52
const roundingShiftBits = 0x4338000000000000n;
/** log2((1 + s) / (1 - s)) = 2/ln2 (s + s^3/3 + s^5/5 ...); s^2 <= 0.0295, so 7 terms leave 2e-12. */
const logSeries = [0, 1, 2, 3, 4, 5, 6].map((k) => 2 / Math.LN2 / (2 * k + 1));
/** 2^f for |f| <= 1/2: ten terms leave 2e-11. */
const expSeries = [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880].map((f, k) => Math.LN2 ** k / f);

const bytesOf = (bits: bigint): number[] => [...new Uint8Array(new BigUint64Array([bits, bits]).buffer)];

/** |x| ** y for two lanes in f64: 0 and Inf included. */
function powerPair(code: Code, magnitude: Emit, exponent: Emit): Emit {
  const { fn } = code;
  const x = code.keep(code.op('f64x2.promote_low_f32x4', magnitude));
  const biased = code.keep(() => {
    x();
    fn.v128(bytesOf(sqrtHalfBits)).op('i64x2.sub').i32(52).op('i64x2.shr_s');
  });
  const mantissa = code.keep(() => {
    x();
    biased();
    fn.i32(52).op('i64x2.shl').op('i64x2.sub');
  });
  const k = () => {
    biased();
    fn.v128(bytesOf(roundingShiftBits)).op('i64x2.add').f64x2(roundingShift).op('f64x2.sub');
  };
  const one = code.f64x2(1);
  const s = code.keep(
    code.op('f64x2.div', code.op('f64x2.sub', mantissa, one), code.op('f64x2.add', mantissa, one)),
  );
  const series = code.polynomial64(code.keep(code.op('f64x2.mul', s, s)), logSeries);
  const finite = code.keep(code.madd64(s, series, k));
  const nonzero = code.choose(code.op('f64x2.lt', x, code.f64x2(Number.POSITIVE_INFINITY)), finite, x);
  const log2 = code.choose(
    code.op('f64x2.eq', x, code.f64x2(0)),
    code.f64x2(Number.NEGATIVE_INFINITY),
    nonzero,
  );
  const product = code.op('f64x2.mul', code.op('f64x2.promote_low_f32x4', exponent), log2);
  const t = code.keep(
    code.op('f64x2.pmin', code.op('f64x2.pmax', product, code.f64x2(-152)), code.f64x2(130)),
  );
  const shifted = code.keep(code.op('f64x2.add', t, code.f64x2(roundingShift)));
  const f = code.keep(code.op('f64x2.sub', t, code.op('f64x2.sub', shifted, code.f64x2(roundingShift))));
  const scale = () => {
    shifted();
    fn.v128(bytesOf(1023n)).op('i64x2.add').i32(52).op('i64x2.shl');
  };
  return code.op('f64x2.mul', code.polynomial64(f, expSeries), scale);
}

export function pow(code: Code, x: Emit, y: Emit): Emit {
  const { fn } = code;
  const magnitude = code.keep(code.op('f32x4.abs', x));
  const upper = (value: Emit) =>
    code.keep(() => {
      value();
      value();
      fn.shuffle32(2, 3, 2, 3);
    });
  const low = code.keep(powerPair(code, magnitude, y));
  const high = code.keep(powerPair(code, upper(magnitude), upper(y)));
  const positive = code.keep(() => {
    code.op('f32x4.demote_f64x2_zero', low)();
    code.op('f32x4.demote_f64x2_zero', high)();
    fn.shuffle32(0, 1, 4, 5);
  });
  const integer = code.keep(code.op('f32x4.eq', code.op('f32x4.floor', y), y));
  const half = code.keep(code.op('f32x4.mul', y, code.f32x4(0.5)));
  const odd = code.op('v128.andnot', integer, code.op('f32x4.eq', code.op('f32x4.floor', half), half));
  const sign = code.op('v128.and', code.op('v128.and', x, code.i32x4(-0x80000000)), odd);
  const signed = code.op('v128.xor', positive, sign);
  // A finite negative number to a non-integer power: all bits set is a NaN.
  const negative = code.op(
    'v128.and',
    code.op('f32x4.lt', x, code.f32x4(0)),
    code.op('f32x4.gt', x, code.f32x4(Number.NEGATIVE_INFINITY)),
  );
  const result = code.op('v128.or', signed, code.op('v128.andnot', negative, integer));
  const unit = code.f32x4(1);
  const endless = code.op('f32x4.eq', code.op('f32x4.abs', y), code.f32x4(Number.POSITIVE_INFINITY));
  const one = code.op(
    'v128.or',
    code.op('v128.or', code.op('f32x4.eq', y, code.f32x4(0)), code.op('f32x4.eq', x, unit)),
    code.op('v128.and', code.op('f32x4.eq', magnitude, unit), endless),
  );
  return code.choose(one, unit, result);
}
