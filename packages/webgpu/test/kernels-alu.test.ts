import {
  type AluOp,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type Kernel,
  type ScalarType,
} from '@tutti/core/backend';
import { type BufferContents, bufferContents, interpretKernel, writeElement } from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { make } from './support/device.ts';
import { difference, hardware, runKernel, software } from './support/kernels.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** No denormals: a device may take them for zero. */
const values: Readonly<Record<ScalarType, readonly number[]>> = {
  f32: [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3,
    7,
    -7,
    0.49999997,
    8388607.5,
    8388609,
    -8388608.5,
    1e10,
    65504,
    65520,
    65519.996,
    6e-5,
    5.9604645e-8,
    2.9802322e-8,
    8.940697e-8,
    -1e-7,
    1.17549435e-38,
    3.4028235e38,
    -3.4028235e38,
    2147483648,
    -2147483648,
    2147483520,
    4294967296,
    4294967040,
    4294967300,
    -4294967296,
    100,
    88.73,
    -104,
    1e-20,
    16777217,
    3.3895314e38,
    inf,
    -inf,
    nan,
  ].map(Math.fround),
  i32: [
    0, 1, -1, 2, 3, -3, 7, -7, 31, 32, 33, 255, 65535, 65536, 1000000, 2147483647, -2147483648, -2147483647,
  ],
  u32: [
    0, 1, 2, 3, 7, 31, 32, 33, 255, 65535, 65536, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
  ],
  bool: [0, 1],
};

/** Constants are an operand of their own: some have forms of their own. */
const constants: Readonly<Record<ScalarType, readonly number[]>> = {
  f32: [0, -0, 1, -2, 49, 2 ** 30, inf, -inf, nan],
  i32: [0, 1, -1, 8, 7, -7, 33, -2147483648],
  u32: [0, 1, 8, 7, 33, 0xffffffff],
  bool: [0, 1],
};

const storage: Readonly<Record<ScalarType, DType>> = {
  f32: 'float32',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
};

const exactFloat = [
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'trunc',
  'round',
  'sqrt',
  'roundF16',
  'roundBF16',
] as const;
const arithmetic = ['add', 'sub', 'mul', 'max', 'min'] as const;
const comparisons = ['lt', 'le', 'eq', 'ne'] as const;
const bitwise = ['and', 'or', 'xor'] as const;
const integer = [...arithmetic, ...bitwise, 'idiv', 'rem', 'shl', 'shr'] as const;

interface Case {
  readonly alu: AluOp;
  readonly from: ScalarType;
  readonly to: ScalarType;
  readonly operands: 1 | 2;
}

const cases = (alus: readonly AluOp[], from: ScalarType, operands: 1 | 2, to: ScalarType = from): Case[] =>
  alus.map((alu) => ({ alu, from, to, operands }));

const types: readonly ScalarType[] = ['f32', 'i32', 'u32', 'bool'];
const casts = types.flatMap((from) =>
  types.filter((to) => to !== from).flatMap((to) => cases(['cast'], from, 1, to)),
);
const all: readonly Case[] = [
  ...cases(exactFloat, 'f32', 1),
  ...cases(['neg', 'abs', 'sign', 'not'], 'i32', 1),
  ...cases(['neg', 'abs', 'sign', 'not'], 'u32', 1),
  ...cases(['not'], 'bool', 1),
  ...cases([...arithmetic, 'div', 'rem'], 'f32', 2),
  ...cases(integer, 'i32', 2),
  ...cases(integer, 'u32', 2),
  ...cases([...bitwise, 'max', 'min'], 'bool', 2),
  ...types.flatMap((type) => cases(comparisons, type, 2, 'bool')),
  ...casts,
  ...(['i32', 'u32'] as const).flatMap((type) => [
    ...cases(['bitcast'], type, 1, 'f32'),
    ...cases(['bitcast'], 'f32', 1, type),
  ]),
];

function filled(dtype: DType, elements: readonly number[]): BufferContents {
  const contents = bufferContents(dtype, elements.length);
  for (const [i, element] of elements.entries()) writeElement(dtype, contents, i, element);
  return contents;
}

/** All pairs of values, the second operand from a buffer, as a constant, or the first once more. */
function kernelOf(
  { alu, from, to, operands }: Case,
  constant?: number | 'itself',
): { kernel: Kernel; buffers: BufferContents[] } {
  const b = new ExpressionBuilder();
  const lefts = values[from];
  const rights = operands === 1 || constant !== undefined ? [0] : values[from];
  const i = { name: 'i', extent: lefts.length * rights.length };
  const left = b.load(from, 0, b.index(i));
  const right =
    constant === 'itself'
      ? left
      : constant === undefined
        ? b.load(from, 1, b.index(i))
        : b.const(from, constant);
  const value: Expression = operands === 1 ? b.alu(alu, to, left) : b.alu(alu, to, left, right);
  const dtype = storage[to];
  return {
    kernel: {
      kind: 'kernel',
      name: alu,
      buffers: [
        { dtype: storage[from], length: i.extent, access: 'read' },
        { dtype: storage[from], length: i.extent, access: 'read' },
        { dtype, length: i.extent, access: 'write' },
      ],
      scalars: [],
      space: [i],
      phases: [
        {
          kind: 'map',
          loops: [],
          order: 'parallel',
          stores: [{ buffer: 2, index: b.index(i), value, mode: 'set' }],
        },
      ],
    },
    buffers: [
      filled(
        storage[from],
        rights.flatMap(() => lefts),
      ),
      filled(
        storage[from],
        rights.flatMap((value) => lefts.map(() => value)),
      ),
      bufferContents(dtype, i.extent),
    ],
  };
}

async function check(each: Case, constant?: number | 'itself'): Promise<void> {
  const { kernel, buffers } = kernelOf(each, constant);
  const want = buffers.map((buffer) => buffer.slice());
  interpretKernel(kernel, want);
  const got = await runKernel(await make(), kernel, software, buffers);
  const zeros = each.alu === 'max' || each.alu === 'min' ? 'alike' : 'signed';
  const wrong = difference(kernel, got, want, zeros);
  const at = wrong && Number(/\[(\d+)\]/.exec(wrong)![1]);
  if (at !== undefined)
    expect.fail(`${each.alu}(${buffers[0]![at as number]}, ${buffers[1]![at as number]}): ${wrong}`);
}

describe('operations on special values', () => {
  test.each(all)('$alu of $from to $to', (each) => check(each));

  const withConstants = all.filter(({ operands }) => operands === 2);
  test.each(withConstants)('$alu of $from with a constant', async (each) => {
    for (const constant of constants[each.from]) await check(each, constant);
  });

  test.each(withConstants)('$alu of $from with itself', (each) => check(each, 'itself'));
});

describe('narrow dtypes', () => {
  test.each(['float16', 'bfloat16'] as const)(
    'every %s survives load and store, and NaN stays NaN',
    async (dtype) => {
      const b = new ExpressionBuilder();
      const i = { name: 'i', extent: 65536 };
      const kernel: Kernel = {
        kind: 'kernel',
        name: 'copy',
        buffers: [
          { dtype, length: i.extent, access: 'read' },
          { dtype, length: i.extent, access: 'write' },
        ],
        scalars: [],
        space: [i],
        phases: [
          {
            kind: 'map',
            loops: [],
            order: 'parallel',
            stores: [{ buffer: 1, index: b.index(i), value: b.load('f32', 0, b.index(i)), mode: 'set' }],
          },
        ],
      };
      const source = new Uint16Array(65536).map((_, k) => k);
      const want = [source, new Uint16Array(65536)];
      interpretKernel(kernel, want);
      const got = await runKernel(await make(), kernel, software, [source, new Uint16Array(65536)]);
      expect(difference(kernel, got, want, 'signed')).toBeUndefined();
    },
  );

  const stored = ['float16', 'bfloat16', 'uint8', 'bool'] as const;
  const lengths = [1, 2, 3, 5, 31, 64, 1021];
  /** Ways in which many invocations store into the same words. */
  const ways = ['in order', 'reversed', 'transposed', 'offset', 'per row', 'of rows'] as const;
  test.each(stored.flatMap((dtype) => ways.map((way) => [dtype, way] as const)))(
    '%s stored %s',
    async (dtype, way) => {
      const backend = await make();
      for (const length of lengths) {
        const kernel = storing(dtype, way, length);
        const buffers = kernel.buffers.map((param, k) =>
          filled(
            param.dtype,
            Array.from({ length: param.length }, (_, n) => (k === 0 ? n % 7 : 1 + (n % 3))),
          ),
        );
        const want = buffers.map((buffer) => buffer.slice());
        interpretKernel(kernel, want);
        for (const features of [software, hardware]) {
          const got = await runKernel(backend, kernel, features, buffers);
          expect(difference(kernel, got, want), `${length} elements`).toBeUndefined();
        }
      }
    },
  );
});

function storing(dtype: DType, way: string, length: number): Kernel {
  const b = new ExpressionBuilder();
  const { scalar } = dtypeInfo[dtype];
  const [i, k] = [
    { name: 'i', extent: length },
    { name: 'k', extent: 5 },
  ];
  const [row, column] = [b.index(i), b.index(k)];
  const at = (outer: Expression, inner: Expression, extent: number) =>
    b.alu('add', 'i32', b.alu('mul', 'i32', outer, b.int(extent)), inner);
  const value = (index: Expression) => b.alu('cast', scalar, b.load('i32', 0, index));
  const two = way === 'transposed' || way === 'of rows';
  const size = two ? length * 5 : length + 6;
  const base = {
    kind: 'kernel',
    name: way,
    buffers: [
      { dtype: 'int32', length: length * 5, access: 'read' },
      { dtype, length: size, access: 'write' },
    ],
    scalars: [],
  } as const;
  const map = (index: Expression, stored: Expression, loops: Kernel['space'] = []): Kernel['phases'] => [
    { kind: 'map', loops, order: 'parallel', stores: [{ buffer: 1, index, value: stored, mode: 'set' }] },
  ];
  switch (way) {
    case 'in order':
      return { ...base, space: [i], phases: map(row, value(row)) };
    case 'reversed':
      return { ...base, space: [i], phases: map(b.alu('sub', 'i32', b.int(length - 1), row), value(row)) };
    case 'transposed':
      return { ...base, space: [i, k], phases: map(at(column, row, length), value(at(row, column, 5))) };
    case 'offset':
      return { ...base, space: [i], phases: map(b.alu('add', 'i32', row, b.int(3)), value(row)) };
    default: {
      const sum = b.accumulator('i32', 0);
      const reduce: Kernel['phases'][number] = {
        kind: 'reduce',
        loops: [k],
        accumulators: [{ id: 0, op: 'sum', type: 'i32', value: b.load('i32', 0, at(row, column, 5)) }],
      };
      const small = b.alu('and', 'i32', sum, b.int(15));
      if (way === 'per row')
        return { ...base, space: [i], phases: [reduce, ...map(row, b.alu('cast', scalar, small))] };
      const inner = { name: 'k', extent: 5 };
      const index = at(row, b.index(inner), 5);
      const added = b.alu('and', 'i32', b.alu('add', 'i32', sum, b.load('i32', 0, index)), b.int(15));
      return { ...base, space: [i], phases: [reduce, ...map(index, b.alu('cast', scalar, added), [inner])] };
    }
  }
}
