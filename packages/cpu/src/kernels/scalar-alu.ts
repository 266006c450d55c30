/** ALU operations on one value. A bool is an i32 that is 0 or 1. */
import { type AluExpression, InternalError, type ScalarType } from '@tutti/core/backend';
import type { PlainOp, ValueType } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import { type MathName, remainder, vectorMath } from './math/index.ts';

export const valueTypeOf = (type: ScalarType): ValueType => (type === 'f32' ? 'f32' : 'i32');

/** Instructions of their own, by operation and operand type. */
const direct: Readonly<Record<ScalarType, Readonly<Record<string, PlainOp>>>> = {
  f32: {
    add: 'f32.add',
    sub: 'f32.sub',
    mul: 'f32.mul',
    div: 'f32.div',
    max: 'f32.max',
    min: 'f32.min',
    neg: 'f32.neg',
    abs: 'f32.abs',
    floor: 'f32.floor',
    ceil: 'f32.ceil',
    trunc: 'f32.trunc',
    round: 'f32.nearest',
    sqrt: 'f32.sqrt',
    lt: 'f32.lt',
    le: 'f32.le',
    eq: 'f32.eq',
    ne: 'f32.ne',
  },
  i32: {
    add: 'i32.add',
    sub: 'i32.sub',
    mul: 'i32.mul',
    and: 'i32.and',
    or: 'i32.or',
    xor: 'i32.xor',
    shl: 'i32.shl',
    shr: 'i32.shr_s',
    lt: 'i32.lt_s',
    le: 'i32.le_s',
    eq: 'i32.eq',
    ne: 'i32.ne',
  },
  u32: {
    add: 'i32.add',
    sub: 'i32.sub',
    mul: 'i32.mul',
    and: 'i32.and',
    or: 'i32.or',
    xor: 'i32.xor',
    shl: 'i32.shl',
    shr: 'i32.shr_u',
    lt: 'i32.lt_u',
    le: 'i32.le_u',
    eq: 'i32.eq',
    ne: 'i32.ne',
  },
  bool: {
    and: 'i32.and',
    or: 'i32.or',
    xor: 'i32.xor',
    max: 'i32.or',
    min: 'i32.and',
    lt: 'i32.lt_u',
    le: 'i32.le_u',
    eq: 'i32.eq',
    ne: 'i32.ne',
    not: 'i32.eqz',
  },
};

const vectorised = new Set(['exp', 'log', 'log1p', 'expm1', 'sin', 'cos', 'tanh', 'erf', 'pow']);

/** A function that exists for vectors, on one lane: the same instructions, and so the same bits. */
export function throughLane(
  code: Code,
  name: MathName,
  operands: readonly Emit[],
  from: ScalarType,
  to: ScalarType,
): Emit {
  const splat = from === 'f32' ? 'f32x4.splat' : 'i32x4.splat';
  const result = vectorMath(code, name, ...operands.map((operand) => code.op(splat, operand)));
  return () => {
    result();
    code.fn.lane(to === 'f32' ? 'f32x4.extract_lane' : 'i32x4.extract_lane', 0);
  };
}

/** Pushes the value of `e` from its operands. */
export function scalarAlu(code: Code, e: AluExpression, operands: readonly Emit[]): Emit {
  const from = e.args[e.args.length - 1]!.type;
  const name = direct[from][e.alu];
  if (name) return code.op(name, ...operands);
  if (vectorised.has(e.alu)) return throughLane(code, e.alu as MathName, operands, 'f32', 'f32');
  const [a, b, c] = operands as [Emit, Emit, Emit];
  switch (e.alu) {
    case 'where':
      return code.op('select', b, c, a);
    case 'cast':
      return cast(code, from, e.type, a);
    case 'bitcast':
      if (valueTypeOf(from) === valueTypeOf(e.type)) return a;
      return code.op(from === 'f32' ? 'i32.reinterpret_f32' : 'f32.reinterpret_i32', a);
    case 'roundF16':
      return throughLane(
        code,
        'fromFloat16',
        [throughLane(code, 'toFloat16', [a], 'f32', 'i32')],
        'i32',
        'f32',
      );
    case 'roundBF16':
      return throughLane(
        code,
        'fromBfloat16',
        [throughLane(code, 'toBfloat16', [a], 'f32', 'i32')],
        'i32',
        'f32',
      );
    case 'rsqrt':
      return code.op('f32.div', () => code.fn.f32(1), code.op('f32.sqrt', a));
    case 'neg':
      return code.op('i32.sub', code.i32(0), a);
    case 'not':
      return code.op('i32.xor', a, code.i32(-1));
    case 'sign':
      return sign(code, from, a);
    case 'abs':
      return from === 'u32' ? a : absolute(code, a);
    case 'max':
    case 'min':
      return extreme(code, e.alu, from, a, b);
    case 'idiv':
      return divide(code, e, from, 'div', a, b);
    case 'rem':
      return from === 'f32' ? code.call(remainder(code.module), a, b) : divide(code, e, from, 'rem', a, b);
    default:
      throw new InternalError(`no scalar code for ${e.alu} of ${from}`, { received: e });
  }
}

function cast(code: Code, from: ScalarType, to: ScalarType, a: Emit): Emit {
  if (from === to) return a;
  if (to === 'bool')
    return from === 'f32' ? code.op('f32.ne', a, () => code.fn.f32(0)) : code.op('i32.ne', a, code.i32(0));
  if (to === 'f32') return code.op(from === 'u32' ? 'f32.convert_i32_u' : 'f32.convert_i32_s', a);
  if (from === 'f32') return code.op(to === 'u32' ? 'i32.trunc_sat_f32_u' : 'i32.trunc_sat_f32_s', a);
  return a;
}

function sign(code: Code, type: ScalarType, a: Emit): Emit {
  if (type === 'u32') return code.op('i32.ne', a, code.i32(0));
  const valueType = valueTypeOf(type);
  return () => {
    const x = code.keep(a, valueType);
    if (type === 'f32') {
      const one = code.op('f32.copysign', () => code.fn.f32(1), x);
      const nonzero = code.op('f32.gt', code.op('f32.abs', x), () => code.fn.f32(0)); // false for NaN
      code.op('select', one, x, nonzero)();
    } else {
      code.op('i32.sub', code.op('i32.gt_s', x, code.i32(0)), code.op('i32.lt_s', x, code.i32(0)))();
    }
  };
}

function absolute(code: Code, a: Emit): Emit {
  return () => {
    const x = code.keep(a, 'i32');
    code.op('select', x, code.op('i32.sub', code.i32(0), x), code.op('i32.ge_s', x, code.i32(0)))();
  };
}

function extreme(code: Code, alu: 'max' | 'min', type: ScalarType, a: Emit, b: Emit): Emit {
  const unsigned = type === 'u32';
  const compare = alu === 'max' ? (unsigned ? 'i32.gt_u' : 'i32.gt_s') : unsigned ? 'i32.lt_u' : 'i32.lt_s';
  return () => {
    const x = code.keep(a, 'i32');
    const y = code.keep(b, 'i32');
    code.op('select', x, y, code.op(compare, x, y))();
  };
}

/**
 * Integer division where 0 as divisor gives 0, and -2^31 / -1 wraps. Only a divisor that is not a constant needs the
 * checks.
 */
function divide(code: Code, e: AluExpression, type: ScalarType, kind: 'div' | 'rem', a: Emit, b: Emit): Emit {
  const name: PlainOp = type === 'u32' ? `i32.${kind}_u` : `i32.${kind}_s`;
  const divisor = e.args[1]!;
  if (divisor.op === 'const') {
    const value = divisor.value | 0;
    if (value === 0) return code.i32(0);
    if (value !== -1 || type === 'u32') return code.op(name, a, b);
  }
  const index = code.module.helper(`${name} total`, { params: ['i32', 'i32'], results: ['i32'] }, (fn) => {
    const [x, y] = fn.params as [(typeof fn.params)[0], (typeof fn.params)[0]];
    fn.get(y).op('i32.eqz').if();
    fn.i32(0).op('return').end();
    if (type === 'i32' && kind === 'div') {
      fn.get(y).i32(-1).op('i32.eq').if();
      fn.i32(0).get(x).op('i32.sub').op('return').end();
    }
    fn.get(x).get(y).op(name);
  });
  return code.call(index, a, b);
}
