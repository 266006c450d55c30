/** ALU operations on four lanes. A bool is a mask: all bits of its lane, or none. */
import { type AluExpression, type Expression, InternalError, type ScalarType } from '@tutti/core/backend';
import type { PlainOp } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import { type MathName, vectorMath } from './math/index.ts';
import { rangeOf } from './range.ts';
import { scalarAlu, valueTypeOf } from './scalar-alu.ts';

const integer = {
  add: 'i32x4.add',
  sub: 'i32x4.sub',
  mul: 'i32x4.mul',
  neg: 'i32x4.neg',
  and: 'v128.and',
  or: 'v128.or',
  xor: 'v128.xor',
  not: 'v128.not',
  eq: 'i32x4.eq',
  ne: 'i32x4.ne',
} as const;

/** Instructions of their own, by operation and operand type. */
const direct: Readonly<Record<ScalarType, Readonly<Record<string, PlainOp>>>> = {
  f32: {
    add: 'f32x4.add',
    sub: 'f32x4.sub',
    mul: 'f32x4.mul',
    div: 'f32x4.div',
    neg: 'f32x4.neg',
    abs: 'f32x4.abs',
    floor: 'f32x4.floor',
    ceil: 'f32x4.ceil',
    trunc: 'f32x4.trunc',
    round: 'f32x4.nearest',
    sqrt: 'f32x4.sqrt',
    lt: 'f32x4.lt',
    le: 'f32x4.le',
    eq: 'f32x4.eq',
    ne: 'f32x4.ne',
  },
  i32: {
    ...integer,
    abs: 'i32x4.abs',
    max: 'i32x4.max_s',
    min: 'i32x4.min_s',
    lt: 'i32x4.lt_s',
    le: 'i32x4.le_s',
  },
  u32: {
    ...integer,
    max: 'i32x4.max_u',
    min: 'i32x4.min_u',
    lt: 'i32x4.lt_u',
    le: 'i32x4.le_u',
  },
  bool: {
    and: 'v128.and',
    or: 'v128.or',
    xor: 'v128.xor',
    not: 'v128.not',
    max: 'v128.or',
    min: 'v128.and',
    eq: 'i32x4.eq',
    ne: 'v128.xor',
  },
};

const functions = new Set(['exp', 'log', 'log1p', 'expm1', 'sin', 'cos', 'tanh', 'erf', 'pow']);

/** Pushes four lanes of `e`. A shift whose amount does not vary gets it as a scalar; other operands are vectors. */
export function vectorAlu(
  code: Code,
  e: AluExpression,
  operands: readonly Emit[],
  scalarAmount: boolean,
): Emit {
  const from = e.args[e.args.length - 1]!.type;
  if (from === 'f32' && (e.alu === 'max' || e.alu === 'min')) return extreme(code, e, operands);
  const name = direct[from][e.alu];
  if (name) return code.op(name, ...operands);
  const [a, b, c] = operands as [Emit, Emit, Emit];
  switch (e.alu) {
    case 'where':
      return code.op('v128.bitselect', b, c, a);
    case 'cast':
      return cast(code, from, e.type, a);
    case 'bitcast':
      return a;
    case 'roundF16':
      return vectorMath(code, 'fromFloat16', vectorMath(code, 'toFloat16', a));
    case 'roundBF16':
      return vectorMath(code, 'fromBfloat16', vectorMath(code, 'toBfloat16', a));
    case 'rsqrt':
      return code.op('f32x4.div', code.f32x4(1), code.op('f32x4.sqrt', a));
    case 'sign':
      return sign(code, from, a);
    case 'abs': // of u32
      return a;
    case 'lt': // of bools: not a, and b
      return code.op('v128.andnot', b, a);
    case 'le':
      return code.op('v128.or', code.op('v128.not', a), b);
    case 'shl':
      if (scalarAmount) return code.op('i32x4.shl', a, b);
      break;
    case 'shr':
      if (scalarAmount) return code.op(from === 'i32' ? 'i32x4.shr_s' : 'i32x4.shr_u', a, b);
      break;
    case 'idiv':
    case 'rem': {
      const quick = from !== 'f32' && divideByConstant(code, e, from, a);
      if (quick) return quick;
      break;
    }
    default:
      if (functions.has(e.alu)) return vectorMath(code, e.alu as MathName, ...operands);
      throw new InternalError(`no vector code for ${e.alu} of ${from}`, { received: e });
  }
  return laneByLane(code, e, operands);
}

/**
 * `f32x4.max` is eight instructions on x64; `pmax(x, c)` is one, and equal for a constant c that is neither NaN nor 0: it is `x < c ?
 * c : x`, which keeps a NaN in x. For c = +0 adding 0 turns the -0 that may stay into the +0 that is wanted.
 */
function extreme(code: Code, e: AluExpression, operands: readonly Emit[]): Emit {
  const isMax = e.alu === 'max';
  const constantAt = e.args.findIndex((arg) => arg.op === 'const' && !Number.isNaN(arg.value));
  const constant = e.args[constantAt];
  const exact = constant?.op === 'const' && !Object.is(constant.value, isMax ? Number.NaN : -0);
  if (!exact) return code.op(isMax ? 'f32x4.max' : 'f32x4.min', ...operands);
  const picked = code.op(
    isMax ? 'f32x4.pmax' : 'f32x4.pmin',
    operands[1 - constantAt]!,
    operands[constantAt]!,
  );
  return isMax && Object.is(constant.value, 0) ? code.op('f32x4.add', picked, code.f32x4(0)) : picked;
}

function cast(code: Code, from: ScalarType, to: ScalarType, a: Emit): Emit {
  if (from === to) return a;
  if (from === 'bool') return code.op('v128.and', a, to === 'f32' ? code.f32x4(1) : code.i32x4(1));
  if (to === 'bool')
    return from === 'f32' ? code.op('f32x4.ne', a, code.f32x4(0)) : code.op('i32x4.ne', a, code.i32x4(0));
  if (to === 'f32') return code.op(from === 'u32' ? 'f32x4.convert_i32x4_u' : 'f32x4.convert_i32x4_s', a);
  if (from === 'f32') return code.op(to === 'u32' ? 'i32x4.trunc_sat_f32x4_u' : 'i32x4.trunc_sat_f32x4_s', a);
  return a;
}

function sign(code: Code, type: ScalarType, a: Emit): Emit {
  return () => {
    const x = code.keep(a);
    if (type === 'u32') return code.op('v128.and', code.op('i32x4.ne', x, code.i32x4(0)), code.i32x4(1))();
    if (type === 'i32') {
      return code.op(
        'i32x4.sub',
        code.op('i32x4.lt_s', x, code.i32x4(0)),
        code.op('i32x4.gt_s', x, code.i32x4(0)),
      )();
    }
    const signed = code.op('v128.or', code.f32x4(1), code.op('v128.and', x, code.i32x4(-0x80000000)));
    code.choose(code.op('f32x4.gt', code.op('f32x4.abs', x), code.f32x4(0)), signed, x)(); // NaN and zeros stay
  };
}

/** Integers from which an f32 quotient is still exact after `floor`: it cannot round up to the next integer. */
const exactInFloat = 2 ** 22;
/** The bits of 2^23 as f32. A small integer added to it lies in the lowest bits. */
const twoTo23Bits = 0x4b000000;

/** Whether `divideByConstant` can use the short way. */
export function dividesFast(e: AluExpression): boolean {
  const [dividend, divisor] = e.args as [Expression, Expression];
  if (divisor.op !== 'const' || divisor.value <= 0) return false;
  if (e.type === 'u32') return (divisor.value & (divisor.value - 1)) === 0;
  const range = rangeOf(dividend);
  return range !== undefined && range.least >= 0 && range.most < exactInFloat;
}

/** Division by a constant that is not 0 or -1. */
function divideByConstant(code: Code, e: AluExpression, type: ScalarType, a: Emit): Emit | undefined {
  const divisor: Expression = e.args[1]!;
  if (divisor.op !== 'const') return undefined;
  const value = type === 'u32' ? divisor.value >>> 0 : divisor.value | 0;
  if (value === 0 || value === -1) return undefined;
  const fast = dividesFast(e);
  const powerOfTwo = fast && (value & (value - 1)) === 0;
  return () => {
    const x = code.keep(a);
    if (powerOfTwo && e.alu === 'rem') {
      code.op('v128.and', x, code.i32x4((value - 1) | 0))();
      return;
    }
    const quotient = powerOfTwo
      ? code.op('i32x4.shr_u', x, code.i32(Math.log2(value)))
      : fast
        ? quotientInFloat(code, x, value)
        : quotientInDouble(code, x, value, type === 'u32');
    if (e.alu === 'idiv') quotient();
    else code.op('i32x4.sub', x, code.op('i32x4.mul', quotient, code.i32x4(value | 0)))();
  };
}

function quotientInFloat(code: Code, x: Emit, divisor: number): Emit {
  const quotient = code.op('f32x4.div', code.op('f32x4.convert_i32x4_s', x), code.f32x4(divisor));
  const shifted = code.op('f32x4.add', code.op('f32x4.floor', quotient), code.f32x4(2 ** 23));
  return code.op('i32x4.sub', shifted, code.i32x4(twoTo23Bits));
}

/** Exact for all integers: their quotient is at least 2^-32 (relative) away from the next integer, unless it is one. */
function quotientInDouble(code: Code, x: Emit, divisor: number, unsigned: boolean): Emit {
  const { fn } = code;
  const half = (pair: Emit): void => {
    pair();
    fn.op(unsigned ? 'f64x2.convert_low_i32x4_u' : 'f64x2.convert_low_i32x4_s');
    fn.f64(divisor).op('f64x2.splat').op('f64x2.div');
    fn.op(unsigned ? 'i32x4.trunc_sat_f64x2_u_zero' : 'i32x4.trunc_sat_f64x2_s_zero');
  };
  return () => {
    half(x);
    half(() => {
      x();
      x();
      fn.shuffle32(2, 3, 2, 3);
    });
    fn.shuffle32(0, 1, 4, 5);
  };
}

/** Pushes one lane of a vector as a scalar of its type. */
export function extractLane(code: Code, vector: Emit, type: ScalarType, lane: number): Emit {
  return () => {
    vector();
    code.fn.lane(type === 'f32' ? 'f32x4.extract_lane' : 'i32x4.extract_lane', lane);
    if (type === 'bool') code.fn.i32(1).op('i32.and');
  };
}

/** Pushes a scalar in all lanes; a bool becomes a mask. */
export function splat(code: Code, value: Emit, type: ScalarType): Emit {
  if (type === 'f32') return code.op('f32x4.splat', value);
  return code.op('i32x4.splat', type === 'bool' ? code.op('i32.sub', code.i32(0), value) : value);
}

/** For the few operations that have no vector form. */
function laneByLane(code: Code, e: AluExpression, operands: readonly Emit[]): Emit {
  return () => {
    const vectors = operands.map((operand) => code.keep(operand));
    const lane = (i: number) =>
      scalarAlu(
        code,
        e,
        vectors.map((vector, k) => extractLane(code, vector, e.args[k]!.type, i)),
      );
    splat(code, lane(0), e.type)();
    for (let i = 1; i < 4; i++) {
      const value = code.keep(lane(i), valueTypeOf(e.type));
      if (e.type === 'bool') code.op('i32.sub', code.i32(0), value)();
      else value();
      code.fn.lane(e.type === 'f32' ? 'f32x4.replace_lane' : 'i32x4.replace_lane', i);
    }
  };
}
