import {
  type AluOp,
  type DType,
  type Expression,
  ExpressionBuilder,
  type Kernel,
  type ScalarType,
} from '@tutti/core/backend';
import { type BufferContents, bufferContents, interpretKernel, writeElement } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { difference } from './support/difference.ts';
import { runKernels } from './support/run.ts';

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
    0, 1, 2, 3, 7, 31, 32, 33, 255, 65535, 65536, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffe84, 0xfffffffe,
    0xffffffff,
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

interface Sample {
  readonly each: Case;
  readonly kernel: Kernel;
  readonly contents: BufferContents[];
}

const sampleOf = (each: Case, constant?: number): Sample => {
  const { kernel, buffers } = kernelOf(each, constant);
  return { each, kernel, contents: buffers };
};

/** Says of every operation where it goes wrong first. */
async function check(samples: readonly Sample[]): Promise<void> {
  const results = await runKernels(samples);
  const failures = samples.flatMap(({ each, kernel, contents }, i) => {
    const want = contents.map((buffer) => buffer.slice());
    interpretKernel(kernel, want);
    const zeros = each.alu === 'max' || each.alu === 'min' ? 'alike' : 'signed';
    const wrong = difference(kernel, results[i]!, want, zeros);
    if (!wrong) return [];
    const at = Number(/\[(\d+)\]/.exec(wrong)![1]);
    return [`${each.alu} of ${each.from} to ${each.to} (${contents[0]![at]}, ${contents[1]![at]}): ${wrong}`];
  });
  expect(failures).toEqual([]);
}

test('operations on special values', () => check(all.map((each) => sampleOf(each))), 120_000);

test('operations on special values and a constant', async () => {
  const withConstants = all.filter(({ operands }) => operands === 2);
  await check(
    withConstants.flatMap((each) => constants[each.from].map((constant) => sampleOf(each, constant))),
  );
}, 240_000);

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
    const [got] = await runKernels([{ kernel, contents: [source, new Uint16Array(65536)] }]);
    expect(difference(kernel, got!, want, 'signed')).toBeUndefined();
  },
  60_000,
);

test('floats round to the nearest half, whatever they are', async () => {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: 1 << 15 };
  const bits = Uint32Array.from({ length: i.extent }, (_, k) => Math.imul(k, 131_101) >>> 0);
  const values = new Float32Array(bits.buffer).map((x) => (Math.abs(x) < 2 ** -126 ? 0 : x));
  const samples = (['float16', 'bfloat16'] as const).map((dtype) => {
    const kernel: Kernel = {
      kind: 'kernel',
      name: 'narrow',
      buffers: [
        { dtype: 'float32', length: i.extent, access: 'read' },
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
    return { kernel, contents: [values, new Uint16Array(i.extent)] as BufferContents[] };
  });
  const results = await runKernels(samples);
  for (const [k, { kernel, contents }] of samples.entries()) {
    interpretKernel(kernel, contents);
    expect(difference(kernel, results[k]!, contents, 'signed')).toBeUndefined();
  }
}, 60_000);
