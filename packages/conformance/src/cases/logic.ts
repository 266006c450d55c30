/** Comparison, logic, bits and selection. */

import type { Shape } from '@tutti/core';
import {
  bitwiseAnd,
  bitwiseNot,
  bitwiseOr,
  bitwiseXor,
  eq,
  ge,
  gt,
  le,
  leftShift,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  lt,
  ne,
  rightShift,
  where,
} from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import { count, forEachIndex } from '../oracle/indices.ts';
import { narrow } from './arithmetic.ts';
import {
  binaryCase,
  boolResult,
  broadcastShape,
  readBroadcast,
  sample,
  shapeLabel,
  unaryCase,
  viewSamples,
} from './build.ts';
import type { NdArray, OpCase, Sample } from './case.ts';
import { constantInput, everything, integers, randomInput, specialPairs } from './inputs.ts';

const comparison = (op: string, call: typeof eq, reference: (a: number, b: number) => boolean): OpCase =>
  binaryCase({
    op,
    call,
    dtypes: everything,
    result: boolResult,
    reference: (a, b) => Number(reference(a, b)),
  });

const bits: readonly DType[] = [...integers, 'bool'];

const bitwise = (
  op: string,
  call: typeof bitwiseAnd,
  reference: (a: bigint, b: bigint) => bigint,
  dtypes = bits,
): OpCase =>
  binaryCase({
    op,
    call,
    dtypes,
    reference: (a, b, dtype) => narrow(reference(BigInt(a), BigInt(b)), dtype),
  });

function selected(condition: NdArray, a: NdArray, b: NdArray): NdArray {
  const shape = broadcastShape(broadcastShape(condition.shape, a.shape), b.shape);
  const values = new Float64Array(count(shape));
  forEachIndex(shape, (index, flat) => {
    values[flat] = readBroadcast(condition, index) ? readBroadcast(a, index) : readBroadcast(b, index);
  });
  return { shape, values };
}

function whereSamples(dtype: DType): Sample[] {
  const call: Sample['call'] = (condition, a, b) => where(condition!, a!, b!);
  const reference = (condition?: NdArray, a?: NdArray, b?: NdArray): NdArray => selected(condition!, a!, b!);
  const make = (c: Shape, a: Shape, b: Shape, seed: number): Sample =>
    sample(
      shapeLabel(c, a, b),
      [
        randomInput(c, 'bool', undefined, seed),
        randomInput(a, dtype, undefined, seed + 1),
        randomInput(b, dtype, undefined, seed + 2),
      ],
      call,
      { reference },
    );
  const [left, right] = specialPairs(dtype);
  const condition = randomInput(left.shape, 'bool', undefined, 4);
  const half = dtype === 'bool' ? 1 : 3;
  return [
    ...[
      make([], [], [], 1),
      make([5], [5], [5], 2),
      make([3, 1], [1, 4], [], 3),
      make([0], [0], [1], 4),
      make([7, 33], [33], [7, 1], 5),
    ],
    ...viewSamples(make([4, 6], [4, 6], [4, 6], 6)),
    sample('special values', [condition, left, right].map(constantInput), call, { reference }),
    sample(
      'numbers',
      [randomInput([6], 'bool', undefined, 9), randomInput([6], dtype, undefined, 9)],
      (c, a) => where(c!, a!, half),
      {
        reference: (c, a) => selected(c!, a!, { shape: [], values: [half] }),
        ...(dtype === 'bool' ? { result: 'int32' as const } : {}),
      },
    ),
  ];
}

export const logicCases: readonly OpCase[] = [
  comparison('eq', eq, (a, b) => a === b),
  comparison('ne', ne, (a, b) => a !== b),
  comparison('lt', lt, (a, b) => a < b),
  comparison('le', le, (a, b) => a <= b),
  comparison('gt', gt, (a, b) => a > b),
  comparison('ge', ge, (a, b) => a >= b),
  comparison('logicalAnd', logicalAnd, (a, b) => a !== 0 && b !== 0),
  comparison('logicalOr', logicalOr, (a, b) => a !== 0 || b !== 0),
  comparison('logicalXor', logicalXor, (a, b) => (a !== 0) !== (b !== 0)),
  unaryCase({
    op: 'logicalNot',
    call: logicalNot,
    dtypes: everything,
    result: boolResult,
    reference: (x) => Number(x === 0),
  }),
  bitwise('bitwiseAnd', bitwiseAnd, (a, b) => a & b),
  bitwise('bitwiseOr', bitwiseOr, (a, b) => a | b),
  bitwise('bitwiseXor', bitwiseXor, (a, b) => a ^ b),
  unaryCase({
    op: 'bitwiseNot',
    call: bitwiseNot,
    dtypes: bits,
    reference: (x, dtype) => (dtype === 'bool' ? 1 - x : narrow(~BigInt(x), dtype)),
  }),
  bitwise('leftShift', leftShift, (a, b) => a << (b & 31n), integers),
  bitwise('rightShift', rightShift, (a, b) => a >> (b & 31n), integers),
  {
    name: 'where',
    op: 'where',
    dtypes: everything,
    differentiable: true,
    samples: whereSamples,
    flopsPerElement: () => 1,
  },
];
