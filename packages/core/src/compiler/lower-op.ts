/** Elementwise ops as kernel arithmetic, with the dtype rules that the scalar types of kernels do not know. */
import { type AluOp, type DType, type Expression, InternalError } from '../backend/index.ts';
import type { IndexBuilder } from './index-math.ts';
import { isOp, type Op, type OpName, scalarTypeOf } from './op.ts';

const aluOf: Partial<Record<OpName, AluOp>> = {
  neg: 'neg',
  abs: 'abs',
  sign: 'sign',
  floor: 'floor',
  ceil: 'ceil',
  trunc: 'trunc',
  round: 'round',
  sqrt: 'sqrt',
  rsqrt: 'rsqrt',
  exp: 'exp',
  log: 'log',
  log1p: 'log1p',
  expm1: 'expm1',
  sin: 'sin',
  cos: 'cos',
  tanh: 'tanh',
  erf: 'erf',
  not: 'not',
  add: 'add',
  sub: 'sub',
  mul: 'mul',
  div: 'div',
  idiv: 'idiv',
  rem: 'rem',
  pow: 'pow',
  maximum: 'max',
  minimum: 'min',
  and: 'and',
  or: 'or',
  xor: 'xor',
  shl: 'shl',
  shr: 'shr',
  lt: 'lt',
  le: 'le',
  eq: 'eq',
  ne: 'ne',
  where: 'where',
};

/** Ops whose result can leave the 8 bits of a uint8, which kernels compute in u32. */
const overflows = new Set<OpName>(['neg', 'not', 'add', 'sub', 'mul', 'shl']);

export function lowerElementwise(b: IndexBuilder, op: Op, args: readonly Expression[]): Expression {
  if (isOp(op, 'cast')) return castExpression(b, args[0]!, op.inputs[0]!.dtype, op.attributes.dtype);
  const type = scalarTypeOf(op.dtype);
  if (op.op === 'bitcast') return args[0]!.type === type ? args[0]! : b.alu('bitcast', type, args[0]!);
  if (op.op === 'where') return b.select(args[0]!, args[1]!, args[2]!);
  const alu = aluOf[op.op];
  if (!alu) throw new InternalError(`${op.op} is not elementwise`);
  if (op.dtype === 'uint8' && op.op === 'abs') return args[0]!;
  const result = b.alu(alu, type, ...args);
  return op.dtype === 'uint8' && overflows.has(op.op)
    ? b.alu('and', 'u32', result, b.const('u32', 255))
    : result;
}

/** float to integer truncates and saturates, integer to narrower integer wraps, anything to bool asks whether it is not 0. */
export function castExpression(b: IndexBuilder, x: Expression, from: DType, to: DType): Expression {
  const type = scalarTypeOf(to);
  const convert = (e: Expression, t: Expression['type']): Expression =>
    e.type === t ? e : b.alu('cast', t, e);
  if (to === 'uint8' && x.type === 'f32') {
    const low = b.alu('max', 'i32', convert(x, 'i32'), b.int(0));
    return convert(b.alu('min', 'i32', low, b.int(255)), 'u32');
  }
  const converted = convert(x, type);
  if (to === 'uint8' && from !== 'uint8' && from !== 'bool')
    return b.alu('and', 'u32', converted, b.const('u32', 255));
  if (to === 'float16' && from !== 'float16') return b.alu('roundF16', 'f32', converted);
  if (to === 'bfloat16' && from !== 'bfloat16') return b.alu('roundBF16', 'f32', converted);
  return converted;
}

const rotations = [
  [13, 15, 26, 6],
  [17, 29, 16, 24],
] as const;

/**
 * Word 0 of Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11): a
 * permutation of the counter (counter, 0) under the key, made of additions, rotations and exclusive ors alone, so that
 * every backend has the same bits.
 */
export function threefry(
  b: IndexBuilder,
  key: readonly [Expression, Expression],
  counter: Expression,
): Expression {
  const u32 = (value: number) => b.const('u32', value);
  const add = (x: Expression, y: Expression) => b.alu('add', 'u32', x, y);
  const parity = b.alu('xor', 'u32', b.alu('xor', 'u32', key[0], key[1]), u32(0x1bd11bda));
  const schedule = [key[0], key[1], parity];
  let x = add(counter, key[0]);
  let y = key[1];
  for (let group = 0; group < 5; group++) {
    for (const distance of rotations[group % 2]!) {
      x = add(x, y);
      const left = b.alu('shl', 'u32', y, u32(distance));
      const right = b.alu('shr', 'u32', y, u32(32 - distance));
      y = b.alu('xor', 'u32', b.alu('or', 'u32', left, right), x);
    }
    x = add(x, schedule[(group + 1) % 3]!);
    y = add(add(y, schedule[(group + 2) % 3]!), u32(group + 1));
  }
  return x;
}
