/**
 * sin and cos on f32x4.
 *
 * The angle is reduced to r = x - n pi/2, |r| <= pi/4, in f64x2 with pi/2 in two parts (exact products up to n = 2^28),
 * then Cephes' polynomials for sin and cos run on f32x4 and n picks between them. A vector that holds an angle beyond
 * 2^28 takes a slow road, lane by lane, with as many bits of 2/pi as the exponent asks for (Payne and Hanek), so that
 * every finite angle is right.
 */
import { cosinePolynomial, sinePolynomial, twoOverPiWords } from '@tutti/core/backend';
import type { Code, Emit } from '../code.ts';

const twoOverPi = 2 / Math.PI;
const halfPiHigh = 1.5707963109016418; // 25 bits
const halfPiLow = 1.5893254773528196e-8;
const roundingShift = 6755399441055744; // 1.5 * 2^52
const largest = 2 ** 28;

/** sin(r + quadrant pi/2); bits of `quadrant` above the lowest two do not matter. */
function sineOfQuadrant(code: Code, r: Emit, quadrant: Emit): Emit {
  const square = code.keep(code.op('f32x4.mul', r, r));
  const sine = code.madd(code.op('f32x4.mul', square, r), code.polynomial(square, sinePolynomial), r);
  const oneMinusHalf = code.nmadd(square, code.f32x4(0.5), code.f32x4(1));
  const cosine = code.madd(
    code.op('f32x4.mul', square, square),
    code.polynomial(square, cosinePolynomial),
    oneMinusHalf,
  );
  const odd = code.op('i32x4.eq', code.op('v128.and', quadrant, code.i32x4(1)), code.i32x4(1));
  const magnitude = code.choose(odd, cosine, sine);
  const sign = () => {
    code.op('v128.and', quadrant, code.i32x4(2))();
    code.fn.i32(30).op('i32x4.shl');
  };
  return code.op('v128.xor', magnitude, sign);
}

/** r in f64 and 1.5 * 2^52 + n for two angles. */
function reducePair(code: Code, x: Emit): { r: Emit; shifted: Emit } {
  const wide = code.keep(code.op('f64x2.promote_low_f32x4', x));
  const shifted = code.keep(code.madd64(wide, code.f64x2(twoOverPi), code.f64x2(roundingShift)));
  const n = code.keep(code.op('f64x2.sub', shifted, code.f64x2(roundingShift)));
  const high = code.nmadd64(n, code.f64x2(halfPiHigh), wide);
  return { r: code.keep(code.nmadd64(n, code.f64x2(halfPiLow), high)), shifted };
}

function fast(code: Code, x: Emit, quarterTurns: number): Emit {
  const low = reducePair(code, x);
  const high = reducePair(code, () => {
    x();
    x();
    code.fn.shuffle32(2, 3, 2, 3);
  });
  const r = code.keep(() => {
    code.op('f32x4.demote_f64x2_zero', low.r)();
    code.op('f32x4.demote_f64x2_zero', high.r)();
    code.fn.shuffle32(0, 1, 4, 5);
  });
  const n = () => {
    low.shifted();
    high.shifted();
    code.fn.shuffle32(0, 2, 4, 6);
  };
  return sineOfQuadrant(code, r, code.keep(code.op('i32x4.add', n, code.i32x4(quarterTurns))));
}

/**
 * The bytes of 2/pi behind the binary point, after three zeros: the 96 bits that an angle of a given exponent needs start
 * at byte (exponent bits / 8) & 15.
 */
const twoOverPiBytes = (): number[] => {
  const bytes = new DataView(new ArrayBuffer(32));
  for (const [i, word] of twoOverPiWords.slice(0, 6).entries()) bytes.setUint32(3 + 4 * i, word);
  return [...new Uint8Array(bytes.buffer)];
};

/** [f32 angle >= 128] -> [f32 r, i32 n]: the fraction of |x| * 2/pi as a 64-bit fixed-point number (after ARM's sinf). */
function reduceLarge(code: Code): number {
  return code.module.helper('reduceLargeAngle', { params: ['f32'], results: ['f32', 'i32'] }, (fn) => {
    const [x] = fn.params;
    const bits = fn.local('i32');
    const window = fn.local('v128');
    const mantissa = fn.local('i64');
    const fraction = fn.local('i64');
    const n = fn.local('i64');
    fn.get(x!).op('i32.reinterpret_f32').set(bits);
    // Three big-endian words from byte (bits >> 26) & 15 on.
    const picks = [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 64, 64, 64, 64];
    fn.get(bits)
      .i32(26)
      .op('i32.shr_u')
      .i32(15)
      .op('i32.and')
      .op('i8x16.splat')
      .i8x16(...picks)
      .op('i8x16.add')
      .set(window);
    const digits = twoOverPiBytes();
    fn.i8x16(...digits.slice(0, 16))
      .get(window)
      .op('i8x16.swizzle');
    fn.i8x16(...digits.slice(16))
      .get(window)
      .i8x16(16)
      .op('i8x16.sub')
      .op('i8x16.swizzle');
    fn.op('v128.or').set(window);
    fn.get(bits).i32(0x7fffff).op('i32.and').i32(0x800000).op('i32.or');
    fn.get(bits)
      .i32(23)
      .op('i32.shr_u')
      .i32(7)
      .op('i32.and')
      .op('i32.shl')
      .op('i64.extend_i32_u')
      .set(mantissa);
    const product = (word: number) =>
      fn.get(mantissa).get(window).lane('i32x4.extract_lane', word).op('i64.extend_i32_u').op('i64.mul');
    product(2).i64(32n).op('i64.shr_u');
    product(0).i64(32n).op('i64.shl').op('i64.or');
    product(1).op('i64.add').set(fraction);
    fn.get(fraction)
      .i64(1n << 61n)
      .op('i64.add')
      .i64(62n)
      .op('i64.shr_u')
      .set(n);
    fn.get(fraction).get(n).i64(62n).op('i64.shl').op('i64.sub').op('f64.convert_i64_s');
    fn.f64(Math.PI / 2 ** 63)
      .op('f64.mul')
      .op('f32.demote_f64');
    fn.get(n).op('i32.wrap_i64');
  });
}

/** Lanes beyond 2^28 of `x` replaced in `result`; Inf and NaN become NaN. */
function slow(code: Code, x: Emit, result: Emit, quarterTurns: number): Emit {
  const { fn } = code;
  const reduce = reduceLarge(code);
  const out = fn.local('v128');
  const lane = fn.local('f32');
  const n = fn.local('i32');
  const r = fn.local('v128');
  result();
  fn.set(out);
  for (let i = 0; i < 4; i++) {
    x();
    fn.lane('f32x4.extract_lane', i).tee(lane).op('f32.abs').f32(largest).op('f32.gt').if();
    fn.get(lane).op('f32.abs').call(reduce).set(n);
    fn.op('f32x4.splat').set(r);
    // sin is odd and cos is even: for sin the angle's sign goes to the result, for cos nowhere.
    const value = code.keep(
      sineOfQuadrant(
        code,
        code.get(r),
        code.keep(() => fn.get(n).op('i32x4.splat').i32x4(quarterTurns).op('i32x4.add')),
      ),
    );
    fn.get(out);
    value();
    fn.lane('f32x4.extract_lane', 0);
    if (quarterTurns === 0) fn.f32(1).get(lane).op('f32.copysign').op('f32.mul');
    fn.get(lane).get(lane).op('f32.sub').op('f32.add'); // 0, or NaN for Inf
    fn.lane('f32x4.replace_lane', i).set(out);
    fn.end();
  }
  return code.get(out);
}

function sineOf(code: Code, x: Emit, quarterTurns: number): Emit {
  const { fn } = code;
  const result = fn.local('v128');
  fast(code, x, quarterTurns)();
  fn.set(result);
  code.op('f32x4.gt', code.op('f32x4.abs', x), code.f32x4(largest))();
  fn.op('v128.any_true').if();
  slow(code, x, code.get(result), quarterTurns)();
  fn.set(result).end();
  return code.get(result);
}

export function sin(code: Code, x: Emit): Emit {
  const result = sineOf(code, x, 0);
  return code.choose(code.op('f32x4.eq', x, code.f32x4(0)), x, result); // -0
}

export function cos(code: Code, x: Emit): Emit {
  return sineOf(code, x, 1);
}
