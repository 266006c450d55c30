/**
 * log and log1p on f32x4, after FreeBSD's e_logf.c and s_log1pf.c.
 *
 * x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)).
 */
import { ln2ForLog, logPolynomial } from '@tutti/core/backend';
import type { Code, Emit } from '../code.ts';

const [ln2High, ln2Low] = ln2ForLog;
const [lg1, lg2, lg3, lg4] = logPolynomial;
const sqrtHalfBits = 0x3f3504f3;
const oneBits = 0x3f800000;

const shift = (code: Code, name: 'i32x4.shr_s' | 'i32x4.shl', x: Emit, by: number): Emit => {
  return () => {
    x();
    code.fn.i32(by).op(name);
  };
};

/** The k and 1 + f of a positive normal number. */
function split(code: Code, x: Emit): { k: Emit; mantissa: Emit } {
  const biased = code.keep(code.op('i32x4.add', x, code.i32x4(oneBits - sqrtHalfBits)));
  const k = code.op('i32x4.sub', shift(code, 'i32x4.shr_s', biased, 23), code.i32x4(127));
  const mantissa = code.op(
    'i32x4.add',
    code.op('v128.and', biased, code.i32x4(0x7fffff)),
    code.i32x4(sqrtHalfBits),
  );
  return { k, mantissa };
}

/** log(1 + f) + k ln 2 + correction. */
function assemble(code: Code, f: Emit, k: Emit, correction?: Emit): Emit {
  const s = code.keep(code.op('f32x4.div', f, code.op('f32x4.add', f, code.f32x4(2))));
  const z = code.keep(code.op('f32x4.mul', s, s));
  const w = code.keep(code.op('f32x4.mul', z, z));
  const odd = code.op('f32x4.mul', w, code.polynomial(w, [lg2, lg4]));
  const r = code.keep(code.madd(z, code.polynomial(w, [lg1, lg3]), odd));
  const halfSquare = code.keep(code.op('f32x4.mul', code.op('f32x4.mul', f, f), code.f32x4(0.5)));
  const low = correction
    ? code.madd(k, code.f32x4(ln2Low), correction)
    : code.op('f32x4.mul', k, code.f32x4(ln2Low));
  const tail = code.madd(s, code.op('f32x4.add', halfSquare, r), low);
  const sum = code.op('f32x4.add', code.op('f32x4.sub', tail, halfSquare), f);
  return code.madd(k, code.f32x4(ln2High), sum);
}

/** `result` where 0 < u < Inf; -Inf at 0, NaN below, and Inf and NaN themselves. */
function withLimits(code: Code, u: Emit, result: Emit): Emit {
  const invalid = code.op('v128.or', u, code.op('f32x4.lt', u, code.f32x4(0)));
  const special = code.choose(
    code.op('f32x4.eq', u, code.f32x4(0)),
    code.f32x4(Number.NEGATIVE_INFINITY),
    invalid,
  );
  const ordinary = code.op(
    'v128.and',
    code.op('f32x4.gt', u, code.f32x4(0)),
    code.op('f32x4.lt', u, code.f32x4(Number.POSITIVE_INFINITY)),
  );
  return code.choose(ordinary, result, special);
}

export function log(code: Code, x: Emit): Emit {
  const denormal = code.keep(code.op('f32x4.lt', x, code.f32x4(2 ** -126)));
  const scale = code.choose(denormal, code.f32x4(2 ** 25), code.f32x4(1));
  const { k, mantissa } = split(code, code.keep(code.op('f32x4.mul', x, scale)));
  const exponent = code.op('i32x4.sub', k, code.op('v128.and', denormal, code.i32x4(25)));
  const kFloat = code.keep(code.op('f32x4.convert_i32x4_s', exponent));
  const f = code.keep(code.op('f32x4.sub', mantissa, code.f32x4(1)));
  return withLimits(code, x, assemble(code, f, kFloat));
}

/** log(1 + x). What 1 + x loses to rounding comes back as a correction; where k = 0, f is x itself. */
export function log1p(code: Code, x: Emit): Emit {
  const u = code.keep(code.op('f32x4.add', x, code.f32x4(1)));
  const { k, mantissa } = split(code, u);
  const kInteger = code.keep(k);
  const near = code.keep(code.op('i32x4.eq', kInteger, code.i32x4(0)));
  const small = code.op('f32x4.sub', x, code.op('f32x4.sub', u, code.f32x4(1)));
  const large = code.op('f32x4.sub', code.f32x4(1), code.op('f32x4.sub', u, x));
  const lost = code.choose(code.op('i32x4.ge_s', kInteger, code.i32x4(2)), large, small);
  const correction = code.keep(code.op('v128.andnot', code.op('f32x4.div', lost, u), near));
  const f = code.keep(code.choose(near, x, code.op('f32x4.sub', mantissa, code.f32x4(1))));
  const kFloat = code.keep(code.op('f32x4.convert_i32x4_s', kInteger));
  const result = withLimits(code, u, assemble(code, f, kFloat, correction));
  return code.choose(code.op('f32x4.eq', x, code.f32x4(0)), x, result); // -0
}
