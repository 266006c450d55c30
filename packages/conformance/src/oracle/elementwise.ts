import type { DType } from '@tutti/core/backend';
import type { BinaryPrimitive, GraphNode, PrimitiveAttributes, UnaryPrimitive } from '@tutti/core/graph';
import { erf, isFloating, multiply, power, roundEven, wrap } from './numbers.ts';
import { roundTo } from './rounding.ts';
import { type OracleFunction, type OracleValue, operand } from './value.ts';

type Scalar1 = (x: number, dtype: DType) => number;
type Scalar2 = (a: number, b: number, dtype: DType) => number;

const map1 =
  (f: Scalar1): OracleFunction<UnaryPrimitive> =>
  (operands) => {
    const x = operand(operands, 0);
    return x.values.map((value) => f(value, x.dtype));
  };

const map2 =
  (f: Scalar2): OracleFunction =>
  (operands) => {
    const a = operand(operands, 0);
    const b = operand(operands, 1);
    return a.values.map((value, i) => f(value, b.values[i]!, a.dtype));
  };

/** Bitwise on integers, logical on bool: the same on 0 and 1, but for `not`. */
const invert: Scalar1 = (x, dtype) => (dtype === 'bool' ? Number(x === 0) : wrap(~x, dtype));

const quotient: Scalar2 = (a, b, dtype) => (b === 0 ? 0 : wrap(Math.trunc(a / b), dtype));

/** The remainder of the truncated quotient, with the sign of a; for floats C's fmod, which is exact. */
const remainder: Scalar2 = (a, b, dtype) => {
  if (isFloating(dtype)) return a % b;
  return b === 0 ? 0 : wrap(a % b, dtype);
};

const shiftRight: Scalar2 = (a, b, dtype) => (dtype === 'int32' ? a >> (b & 31) : a >>> (b & 31));

export const unary: { readonly [P in UnaryPrimitive]: OracleFunction<P> } = {
  neg: map1((x, dtype) => (isFloating(dtype) ? -x : wrap(-x, dtype))),
  abs: map1((x, dtype) => wrap(Math.abs(x), dtype)),
  sign: map1(Math.sign),
  floor: map1(Math.floor),
  ceil: map1(Math.ceil),
  trunc: map1(Math.trunc),
  round: map1(roundEven),
  sqrt: map1(Math.sqrt),
  rsqrt: map1((x) => 1 / Math.sqrt(x)),
  exp: map1(Math.exp),
  log: map1(Math.log),
  log1p: map1(Math.log1p),
  expm1: map1(Math.expm1),
  sin: map1(Math.sin),
  cos: map1(Math.cos),
  tanh: map1(Math.tanh),
  erf: map1(erf),
  not: map1(invert),
};

export const binary: { readonly [P in BinaryPrimitive]: OracleFunction<P> } = {
  add: map2((a, b, dtype) => wrap(a + b, dtype)),
  sub: map2((a, b, dtype) => wrap(a - b, dtype)),
  mul: map2(multiply),
  div: map2((a, b) => a / b),
  idiv: map2(quotient),
  rem: map2(remainder),
  pow: map2(power),
  maximum: map2((a, b) => Math.max(a, b)),
  minimum: map2((a, b) => Math.min(a, b)),
  and: map2((a, b, dtype) => wrap(a & b, dtype)),
  or: map2((a, b, dtype) => wrap(a | b, dtype)),
  xor: map2((a, b, dtype) => wrap(a ^ b, dtype)),
  shl: map2((a, b, dtype) => wrap(a << (b & 31), dtype)),
  shr: map2(shiftRight),
  lt: map2((a, b) => Number(a < b)),
  le: map2((a, b) => Number(a <= b)),
  eq: map2((a, b) => Number(a === b)),
  ne: map2((a, b) => Number(a !== b)),
};

export const where: OracleFunction<'where'> = (operands) => {
  const [condition, a, b] = [operand(operands, 0), operand(operands, 1), operand(operands, 2)];
  return a.values.map((value, i) => (condition.values[i] ? value : b.values[i]!));
};

const integerRange: Partial<Record<DType, readonly [number, number]>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint8: [0, 255],
};

/** One element converted: floats to integers truncate and saturate (NaN gives 0), integers wrap, anything but 0 is true. */
export function convert(x: number, from: DType, to: DType): number {
  if (to === 'bool') return Number(x !== 0);
  if (to === 'float32' || to === 'float16' || to === 'bfloat16') {
    return to === 'float32' && isFloating(from) ? x : roundTo(x, to);
  }
  if (!isFloating(from)) return wrap(x, to);
  const [low, high] = integerRange[to]!;
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high) + 0;
}

export const cast: OracleFunction<'cast'> = (operands, node) => {
  const x = operand(operands, 0);
  return x.values.map((value) => convert(value, x.dtype, node.attributes.dtype));
};

function bitsOf(x: OracleValue): Uint32Array {
  if (x.dtype === 'float32') return new Uint32Array(Float32Array.from(x.values).buffer);
  return Uint32Array.from(x.values, (value) => value >>> 0);
}

export const bitcast: OracleFunction<'bitcast'> = (operands, node: GraphNode<'bitcast'>) => {
  const { dtype }: PrimitiveAttributes['bitcast'] = node.attributes;
  const bits = bitsOf(operand(operands, 0));
  if (dtype === 'float32') return Float64Array.from(new Float32Array(bits.buffer));
  return Float64Array.from(bits, (word) => wrap(word, dtype));
};
