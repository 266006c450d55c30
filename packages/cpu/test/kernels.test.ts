import {
  type AluOp,
  type DType,
  ExpressionBuilder,
  type Kernel,
  type ReduceOp,
  type ScalarType,
} from '@tutti/core/backend';
import {
  type BufferContents,
  bufferContents,
  generator,
  interpretKernel,
  readElement,
  softmaxKernel,
  writeElement,
} from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { compileWith } from '../src/kernels/compile.ts';
import { compileKernel } from '../src/kernels/index.ts';
import { loopStrategy, scalarStrategy, spaceStrategy } from '../src/kernels/strategy.ts';
import { runKernel } from './kernels/harness.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

const programs = {
  scalar: (kernel: Kernel) => compileWith(kernel, scalarStrategy),
  loops: (kernel: Kernel) => compileWith(kernel, (graph) => loopStrategy(graph)),
  space: (kernel: Kernel) => compileWith(kernel, (graph) => spaceStrategy(graph)),
  chosen: compileKernel,
};

/** out[i] = f(inputs[i]...) */
function elementwise(
  alu: AluOp,
  from: readonly DType[],
  to: DType,
  type: ScalarType,
  length: number,
): Kernel {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: length };
  const scalarOf = {
    float32: 'f32',
    float16: 'f32',
    bfloat16: 'f32',
    int32: 'i32',
    uint32: 'u32',
    uint8: 'u32',
    bool: 'bool',
  } as const;
  const args = from.map((dtype, k) => b.load(scalarOf[dtype], k, b.index(i)));
  return {
    kind: 'kernel',
    name: alu,
    buffers: [
      ...from.map((dtype) => ({ dtype, length, access: 'read' as const })),
      { dtype: to, length, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: from.length, index: b.index(i), value: b.alu(alu, type, ...args), mode: 'set' }],
      },
    ],
  };
}

/** One reduction over rows of the first buffer. */
function rows(op: ReduceOp, count: number, width: number, byColumn = false): Kernel {
  const b = new ExpressionBuilder();
  const i = { name: 'i', extent: count };
  const k = { name: 'k', extent: width };
  const [outer, inner, stride] = byColumn ? [k, i, count] : [i, k, width];
  const index = b.alu('add', 'i32', b.alu('mul', 'i32', b.index(outer), b.int(stride)), b.index(inner));
  const argument = op === 'argMax' || op === 'argMin';
  return {
    kind: 'kernel',
    name: op,
    buffers: [
      { dtype: 'float32', length: count * width, access: 'read' },
      { dtype: argument ? 'int32' : 'float32', length: count, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'reduce',
        loops: [k],
        accumulators: [
          {
            id: 0,
            op,
            type: 'f32',
            value: b.load('f32', 0, index),
            ...(argument ? { position: b.index(k) } : {}),
          },
        ],
      },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [
          { buffer: 1, index: b.index(i), value: b.accumulator(argument ? 'i32' : 'f32', 0), mode: 'set' },
        ],
      },
    ],
  };
}

describe.each(Object.entries(programs))('vectors over %s', (_name, compile) => {
  const run = (kernel: Kernel, ...inputs: BufferContents[]): BufferContents => {
    const out = kernel.buffers.at(-1)!;
    return runKernel(kernel, compile(kernel), [...inputs, bufferContents(out.dtype, out.length)]).at(-1)!;
  };

  test('every float16 widens and narrows to itself', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const kernel = elementwise('abs', ['float16'], 'float16', 'f32', 65536);
    const got = run(kernel, all);
    const notANumber = (bits: number) => (bits & 0x7fff) > 0x7c00;
    const wrong = [...all].filter((bits) =>
      notANumber(bits) ? !notANumber(got[bits]!) : got[bits] !== (bits & 0x7fff),
    );
    expect(wrong).toEqual([]);
  });

  test.each(['float16', 'bfloat16'] as const)(
    '%s rounds to nearest even, overflows to Inf, keeps NaN',
    (dtype) => {
      const random = generator(3);
      const patterns = Uint32Array.from({ length: 40003 }, () => random() * 2 ** 32);
      const values = new Float32Array(patterns.buffer);
      values.set([
        65504,
        65519.99,
        65520,
        -65520,
        2 ** -24,
        2 ** -25,
        2 ** -25 * 1.0001,
        0,
        -0,
        inf,
        -inf,
        nan,
        1.0009765625,
        1.00146484375,
      ]);
      const kernel = elementwise('neg', ['float32'], dtype, 'f32', values.length);
      const got = run(kernel, values);
      const want = bufferContents(dtype, values.length);
      for (const [i, x] of values.entries()) writeElement(dtype, want, i, -x);
      for (let i = 0; i < values.length; i++) {
        const [a, b] = [readElement(dtype, got, i), readElement(dtype, want, i)];
        if (!Object.is(a, b)) expect.fail(`${values[i]} became ${a}, not ${b}`);
      }
    },
  );

  test('f32 to integers truncates, saturates, and takes NaN to 0', () => {
    const x = Float32Array.of(nan, inf, -inf, 3e9, -3e9, 5e9, -1.9, 1.9, 2147483647, -2147483648, -0.5);
    expect([...run(elementwise('cast', ['float32'], 'int32', 'i32', 11), x)]).toEqual([
      0, 2147483647, -2147483648, 2147483647, -2147483648, 2147483647, -1, 1, 2147483647, -2147483648, 0,
    ]);
    expect([...run(elementwise('cast', ['float32'], 'uint32', 'u32', 11), x)]).toEqual([
      0, 4294967295, 0, 3000000000, 0, 4294967295, 0, 1, 2147483648, 0, 0,
    ]);
  });

  test('integer division truncates, and gives 0 for a divisor of 0', () => {
    const a = Int32Array.of(7, -7, 7, -7, 5, -0x80000000, -0x80000000, 0);
    const b = Int32Array.of(2, 2, -2, -2, 0, -1, 0, 0);
    expect([...run(elementwise('idiv', ['int32', 'int32'], 'int32', 'i32', 8), a, b)]).toEqual([
      3, -3, -3, 3, 0, -0x80000000, 0, 0,
    ]);
    expect([...run(elementwise('rem', ['int32', 'int32'], 'int32', 'i32', 8), a, b)]).toEqual([
      1, -1, 1, -1, 0, 0, 0, 0,
    ]);
  });

  test('NaN wins in max and min', () => {
    const a = Float32Array.of(nan, 1, nan, -0, 1);
    const b = Float32Array.of(1, nan, nan, 0, 2);
    expect([...run(elementwise('max', ['float32', 'float32'], 'float32', 'f32', 5), a, b)]).toEqual([
      nan,
      nan,
      nan,
      0,
      2,
    ]);
    expect([...run(elementwise('min', ['float32', 'float32'], 'float32', 'f32', 5), a, b)]).toEqual([
      nan,
      nan,
      nan,
      -0,
      1,
    ]);
  });

  test('the remainder of floats is exact whatever the quotient', () => {
    const a = Float32Array.of(5.5, -5.5, 3e38, 1e30, inf, 1, 1, -0, 1e-40, nan);
    const b = Float32Array.of(2, 2, 3, 1e-40, 1, inf, 0, 1, 7e-45, 1);
    const got = run(elementwise('rem', ['float32', 'float32'], 'float32', 'f32', 10), a, b);
    expect([...got]).toEqual([...a].map((x, i) => Math.fround(x % b[i]!)));
  });

  test.each([false, true])(
    'f32 sums have the same bits however the work is cut (by column: %s)',
    (byColumn) => {
      const random = generator(11);
      const kernel = rows('sum', 37, 1301, byColumn);
      const input = Float32Array.from({ length: 37 * 1301 }, () => random() - 0.5);
      const buffers = [input, new Float32Array(37)];
      const whole = runKernel(kernel, compile(kernel), buffers)[1]!;
      for (const pieces of [2, 5, 37]) {
        expect([...runKernel(kernel, compile(kernel), buffers, [], pieces)[1]!]).toEqual([...whole]);
      }
    },
  );

  test.each([false, true])('a long sum of f32 keeps its digits (by column: %s)', (byColumn) => {
    const kernel = rows('sum', 5, 200_000, byColumn);
    const input = new Float32Array(1_000_000).fill(0.1);
    const exact = Math.fround(0.1) * 200_000;
    for (const sum of run(kernel, input)) expect(Math.abs(sum - exact) / exact).toBeLessThan(1e-5);
  });
});

test.each([
  [96, 160],
  [90, 1000],
  [97, 101],
])('a transpose of a batch of %i x %i is right, in tiles where the extents divide', (height, width) => {
  const b = new ExpressionBuilder();
  const n = { name: 'n', extent: 3 };
  const i = { name: 'i', extent: height };
  const j = { name: 'j', extent: width };
  const flat = (batch: number, outer: typeof i, stride: number, inner: typeof i) =>
    [
      b.alu('mul', 'i32', b.index(n), b.int(batch)),
      b.alu('mul', 'i32', b.index(outer), b.int(stride)),
      b.index(inner),
    ].reduce((sum, term) => b.alu('add', 'i32', sum, term));
  const size = height * width;
  const crossed = b.load('f32', 0, flat(size, j, height, i));
  const value = b.alu('add', 'f32', crossed, b.load('f32', 1, flat(0, i, width, j)));
  const kernel: Kernel = {
    kind: 'kernel',
    name: 'transpose',
    buffers: [
      { dtype: 'float32', length: 3 * size, access: 'read' },
      { dtype: 'float32', length: size, access: 'read' },
      { dtype: 'float32', length: 3 * size, access: 'write' },
    ],
    scalars: [],
    space: [n, i, j],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 2, index: flat(size, i, width, j), value, mode: 'set' }],
      },
    ],
  };
  const buffers = [3 * size, size, 3 * size].map((length) =>
    Float32Array.from({ length }, (_, k) => (k * 7919) % 65537),
  );
  const want = buffers.map((buffer) => buffer.slice());
  interpretKernel(kernel, want);
  const program = compileKernel(kernel);
  expect(program.stages[0]!.units < 3 * size).toBe(height !== 97);
  expect(runKernel(kernel, program, buffers, [], 5)[2]).toEqual(want[2]);
});

test('a softmax computes each exp once, and keeps it in scratch memory', () => {
  expect(compileKernel(softmaxKernel(64, 1024)).scratchBytes).toBeGreaterThanOrEqual(4096);
  expect(compileKernel(softmaxKernel(64, 100_000)).scratchBytes).toBe(0);
});

test('a program says what it computes and how', () => {
  const source = compileKernel(softmaxKernel(64, 1024)).source();
  expect(source).toContain('acc0:f32 max= b0[');
  expect(source).toContain('vectors over loops');
});
