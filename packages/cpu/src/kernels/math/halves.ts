/**
 * float16 and bfloat16 in the low 16 bits of i32 lanes, to and from f32x4. Round to nearest, ties to even; the same bits as
 * the host's conversions.
 */
import type { Code, Emit } from '../code.ts';

const shift = (code: Code, name: 'i32x4.shl' | 'i32x4.shr_u', x: Emit, by: number): Emit => {
  return () => {
    x();
    code.fn.i32(by).op(name);
  };
};

/** Exponent and fraction move up; times 2^112 rebiases, and makes denormals normal in passing. */
export function fromFloat16(code: Code, bits: Emit): Emit {
  const magnitude = code.keep(code.op('v128.and', bits, code.i32x4(0x7fff)));
  const finite = code.op('f32x4.mul', shift(code, 'i32x4.shl', magnitude, 13), code.f32x4(2 ** 112));
  const special = code.op('i32x4.gt_s', magnitude, code.i32x4(0x7bff));
  const infinite = code.op('v128.and', special, code.i32x4(0x7f800000));
  const sign = shift(code, 'i32x4.shl', code.op('v128.and', bits, code.i32x4(0x8000)), 16);
  return code.op('v128.or', code.op('v128.or', finite, infinite), sign);
}

export function toFloat16(code: Code, x: Emit): Emit {
  const magnitude = code.keep(code.op('v128.and', x, code.i32x4(0x7fffffff)));
  const lowest = code.op('v128.and', shift(code, 'i32x4.shr_u', magnitude, 13), code.i32x4(1));
  // Rounding half up, plus the lowest kept bit, less the rebias of the exponent.
  const rounded = code.op(
    'i32x4.add',
    code.op('i32x4.add', magnitude, lowest),
    code.i32x4(0xfff - 0x38000000),
  );
  const normal = shift(code, 'i32x4.shr_u', rounded, 13);
  // Adding 0.5 aligns the float's last bit with 2^-24, the step of the denormals.
  const denormal = code.op(
    'i32x4.sub',
    code.op('f32x4.add', magnitude, code.f32x4(0.5)),
    code.i32x4(0x3f000000),
  );
  const finite = code.choose(code.op('i32x4.lt_s', magnitude, code.i32x4(0x38800000)), denormal, normal);
  const limited = code.choose(
    code.op('i32x4.ge_s', magnitude, code.i32x4(0x477ff000)),
    code.i32x4(0x7c00),
    finite,
  );
  const notANumber = code.op('i32x4.gt_s', magnitude, code.i32x4(0x7f800000));
  const result = code.choose(notANumber, code.i32x4(0x7e00), limited);
  return code.op(
    'v128.or',
    result,
    code.op('v128.and', shift(code, 'i32x4.shr_u', x, 16), code.i32x4(0x8000)),
  );
}

export function fromBfloat16(code: Code, bits: Emit): Emit {
  return shift(code, 'i32x4.shl', bits, 16);
}

export function toBfloat16(code: Code, x: Emit): Emit {
  const lowest = code.op('v128.and', shift(code, 'i32x4.shr_u', x, 16), code.i32x4(1));
  const rounded = shift(
    code,
    'i32x4.shr_u',
    code.op('i32x4.add', code.op('i32x4.add', x, lowest), code.i32x4(0x7fff)),
    16,
  );
  const quiet = code.op('v128.or', shift(code, 'i32x4.shr_u', x, 16), code.i32x4(0x40));
  return code.choose(code.op('f32x4.eq', x, x), rounded, quiet);
}
