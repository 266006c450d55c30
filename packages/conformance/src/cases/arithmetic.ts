/** Arithmetic of two operands. Integer references go through BigInt: no double can hide a lost carry. */
import { add, div, floorDivide, maximum, minimum, mul, pow, remainder, sub } from '@tutti/core';
import { type DType, isFloat } from '@tutti/core/backend';
import { binaryCase, broadcastMap, floatResult, type Scalar2, sample, viewSamples } from './build.ts';
import type { OpCase, Sample } from './case.ts';
import { distinct, everything, numbers, offZero, positive, randomInput } from './inputs.ts';

/** An exact integer as the dtype holds it. */
export function narrow(value: bigint, dtype: DType): number {
  if (dtype === 'int32') return Number(BigInt.asIntN(32, value));
  return Number(BigInt.asUintN(dtype === 'uint8' ? 8 : 32, value));
}

/** Doubles for floats, BigInt for integers. */
const arithmetic =
  (onFloats: (a: number, b: number) => number, onIntegers: (a: bigint, b: bigint) => bigint): Scalar2 =>
  (a, b, dtype) =>
    isFloat(dtype) ? onFloats(a, b) : narrow(onIntegers(BigInt(a), BigInt(b)), dtype);

/** Python's %, from C's fmod. */
function floatRemainder(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

function integerRemainder(a: bigint, b: bigint): bigint {
  if (b === 0n) return 0n;
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

/** Python's //, from C's fmod: the quotient of what the remainder leaves. */
function floatFloorDivide(a: number, b: number): number {
  if (b === 0) return a / b;
  const rest = a % b;
  const quotient = (a - rest) / b;
  return Math.round(rest !== 0 && rest < 0 !== b < 0 ? quotient - 1 : quotient);
}

function integerFloorDivide(a: bigint, b: bigint): bigint {
  return b === 0n ? 0n : (a - integerRemainder(a, b)) / b;
}

function floatPower(a: number, b: number): number {
  return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b;
}

function integerPower(a: number, b: number, dtype: DType): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 ? -1 : 1) : 0;
  let [result, square] = [1n, BigInt(a)];
  for (let rest = b; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = BigInt(narrow(result * square, dtype));
    square = BigInt(narrow(square * square, dtype));
  }
  return Number(result);
}

interface Promotion {
  readonly a: DType;
  readonly b: DType;
  readonly result: DType;
}

/** NumPy's and PyTorch's table where they agree; written out, not asked from the library. */
const promotions: readonly Promotion[] = [
  { a: 'float32', b: 'int32', result: 'float32' },
  { a: 'float32', b: 'bool', result: 'float32' },
  { a: 'float32', b: 'uint8', result: 'float32' },
  { a: 'float32', b: 'float16', result: 'float32' },
  { a: 'float16', b: 'bfloat16', result: 'float32' },
  { a: 'float16', b: 'int32', result: 'float16' },
  { a: 'bfloat16', b: 'uint32', result: 'bfloat16' },
  { a: 'int32', b: 'uint8', result: 'int32' },
  { a: 'uint32', b: 'uint8', result: 'uint32' },
  { a: 'int32', b: 'bool', result: 'int32' },
  { a: 'uint8', b: 'bool', result: 'uint8' },
];

function promotionSamples(dtype: DType): Sample[] {
  return promotions
    .filter((row) => row.a === dtype)
    .flatMap(({ a, b, result }, i) => {
      const inputs = [randomInput([3, 1], a, undefined, i), randomInput([1, 4], b, undefined, i + 20)];
      return [
        sample(`${a} + ${b}`, inputs, (x, y) => add(x!, y!), {
          result,
          smooth: false,
          reference: (x, y) =>
            broadcastMap(x!, y!, (p, q) => (isFloat(result) ? p + q : narrow(BigInt(p + q), result))),
        }),
        sample(`${b} * ${a}`, [...inputs].reverse(), (x, y) => mul(x!, y!), {
          result,
          smooth: false,
          reference: (x, y) =>
            broadcastMap(x!, y!, (p, q) => (isFloat(result) ? p * q : narrow(BigInt(p * q), result))),
        }),
      ];
    });
}

const promotion: OpCase = {
  name: 'add promotion',
  op: 'add',
  dtypes: ['float32', 'float16', 'bfloat16', 'int32', 'uint32', 'uint8'],
  differentiable: false,
  samples: promotionSamples,
  flopsPerElement: () => 1,
};

const boolSamples = (): Sample[] => {
  const inputs = [randomInput([2, 3], 'bool', undefined, 1), randomInput([3], 'bool', undefined, 2)];
  return [
    ...viewSamples(
      sample('add', inputs, (a, b) => add(a!, b!), {
        reference: (a, b) => broadcastMap(a!, b!, (x, y) => x | y),
      }),
      ['contiguous', 'expanded'],
    ),
    sample('mul', inputs, (a, b) => mul(a!, b!), {
      reference: (a, b) => broadcastMap(a!, b!, (x, y) => x & y),
    }),
  ];
};

const onBool: OpCase = {
  name: 'add mul bool',
  op: 'add',
  dtypes: ['bool'],
  differentiable: false,
  samples: boolSamples,
  flopsPerElement: () => 1,
};

export const arithmeticCases: readonly OpCase[] = [
  binaryCase({
    op: 'add',
    call: add,
    dtypes: numbers,
    differentiable: true,
    reference: arithmetic(
      (a, b) => a + b,
      (a, b) => a + b,
    ),
  }),
  binaryCase({
    op: 'sub',
    call: sub,
    dtypes: numbers,
    differentiable: true,
    reference: arithmetic(
      (a, b) => a - b,
      (a, b) => a - b,
    ),
  }),
  binaryCase({
    op: 'mul',
    call: mul,
    dtypes: numbers,
    differentiable: true,
    reference: arithmetic(
      (a, b) => a * b,
      (a, b) => a * b,
    ),
  }),
  binaryCase({
    op: 'div',
    call: div,
    dtypes: numbers,
    domainB: positive,
    result: floatResult,
    differentiable: true,
    reference: (a, b) => a / b,
  }),
  binaryCase({
    op: 'pow',
    call: pow,
    dtypes: numbers,
    domainA: positive,
    domainB: offZero,
    differentiable: true,
    flops: 20,
    reference: (a, b, dtype) => (isFloat(dtype) ? floatPower(a, b) : integerPower(a, b, dtype)),
  }),
  binaryCase({
    op: 'maximum',
    call: maximum,
    dtypes: everything,
    domainA: distinct,
    domainB: { low: -3.01, high: 3.02, distinct: true },
    differentiable: true,
    reference: (a, b) => Math.max(a, b),
  }),
  binaryCase({
    op: 'minimum',
    call: minimum,
    dtypes: everything,
    domainA: distinct,
    domainB: { low: -3.01, high: 3.02, distinct: true },
    differentiable: true,
    reference: (a, b) => Math.min(a, b),
  }),
  binaryCase({
    op: 'remainder',
    call: remainder,
    dtypes: numbers,
    domainB: offZero,
    differentiable: true,
    smooth: false,
    flops: 4,
    reference: arithmetic(floatRemainder, integerRemainder),
  }),
  binaryCase({
    op: 'floorDivide',
    call: floorDivide,
    dtypes: numbers,
    domainB: offZero,
    flops: 4,
    reference: arithmetic(floatFloorDivide, integerFloorDivide),
  }),
  promotion,
  onBool,
];
