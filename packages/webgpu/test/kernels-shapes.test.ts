import {
  type Accumulator,
  type DType,
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Kernel,
  type ReduceOp,
  type ScalarType,
} from '@tutti/core/backend';
import {
  type BufferContents,
  bufferContents,
  generator,
  interpretKernel,
  writeElement,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import type { ShaderFeatures } from '../src/program.ts';
import { make } from './support/device.ts';
import { difference, hardware, runProgram, software } from './support/kernels.ts';

const folded: ShaderFeatures = { ...software, maxWorkgroups: 20 };
const small: ShaderFeatures = { ...hardware, maxInvocations: 64 };
const machines = { software, hardware, folded, small };

function random(dtype: DType, length: number): BufferContents {
  const next = generator(length);
  const contents = bufferContents(dtype, length);
  const most = dtype === 'bool' ? 2 : 16;
  for (let i = 0; i < length; i++) writeElement(dtype, contents, i, Math.floor(next() * most));
  return contents;
}

async function check(kernel: Kernel, least = 1): Promise<void> {
  const backend = await make();
  const buffers = kernel.buffers.map(({ dtype, length }) => random(dtype, length));
  const want = buffers.map((buffer) => buffer.slice());
  interpretKernel(kernel, want);
  for (const [name, features] of Object.entries(machines)) {
    const program = compileKernel(kernel, features);
    for (const stage of program.stages) {
      expect(Math.max(...stage.workgroups)).toBeLessThanOrEqual(features.maxWorkgroups);
    }
    expect(program.stages.length).toBeGreaterThanOrEqual(least);
    const wrong = difference(kernel, await runProgram(backend, kernel, program, buffers), want);
    if (wrong) expect.fail(`${name}: ${wrong}\n${program.source()}`);
  }
}

const variable = (name: string, extent: number): IndexVariable => ({ name, extent });

/** Expressions of one kernel. */
function expressions() {
  const b = new ExpressionBuilder();
  const mul = (x: Expression, y: number): Expression => b.alu('mul', 'i32', x, b.int(y));
  const add = (x: Expression, y: Expression): Expression => b.alu('add', 'i32', x, y);
  return { b, mul, add };
}

test.each([1, 2, 5, 255, 256, 1000, 4096, 5000, 8191, 16384, 100_003])(
  '%i elements, each once',
  async (n) => {
    const { b } = expressions();
    const i = variable('i', n);
    const x = b.load('f32', 0, b.index(i));
    const value = b.alu('add', 'f32', b.alu('mul', 'f32', x, b.const('f32', 2)), b.const('f32', 1));
    await check({
      kind: 'kernel',
      name: 'affine',
      buffers: [
        { dtype: 'float32', length: n, access: 'read' },
        { dtype: 'float32', length: n, access: 'write' },
        { dtype: 'float16', length: n, access: 'write' },
      ],
      scalars: [],
      space: [i],
      phases: [
        {
          kind: 'map',
          loops: [],
          order: 'parallel',
          stores: [
            { buffer: 1, index: b.index(i), value, mode: 'set' },
            { buffer: 2, index: b.index(i), value, mode: 'set' },
          ],
        },
      ],
    });
  },
);

test.each([
  [3, 5, 7],
  [2, 64, 8],
  [1, 33, 50],
  [30, 4, 31],
])('a transpose of %i x %i x %i through bytes', async (p, q, r) => {
  const { b, mul, add } = expressions();
  const [i, j, k] = [variable('i', p), variable('j', r), variable('k', q)];
  const from = add(mul(add(mul(b.index(i), q), b.index(k)), r), b.index(j));
  const to = add(mul(add(mul(b.index(i), r), b.index(j)), q), b.index(k));
  const length = p * q * r;
  await check({
    kind: 'kernel',
    name: 'transpose',
    buffers: [
      { dtype: 'uint8', length, access: 'read' },
      { dtype: 'uint8', length, access: 'write' },
    ],
    scalars: [],
    space: [i, j, k],
    phases: [
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 1, index: to, value: b.load('u32', 0, from), mode: 'set' }],
      },
    ],
  });
});

/** All reductions of a matrix at once, along its rows or its columns, then a map over what was reduced. */
function reductions(points: number, length: number, along: 'rows' | 'columns', type: ScalarType): Kernel {
  const { b, mul, add } = expressions();
  const dtype = { f32: 'float32', i32: 'int32', u32: 'uint32', bool: 'bool' }[type] as DType;
  const [i, k, again] = [variable('i', points), variable('k', length), variable('k', length)];
  const at = (loop: IndexVariable) =>
    along === 'rows'
      ? add(mul(b.index(i), length), b.index(loop))
      : add(mul(b.index(loop), points), b.index(i));
  const value = b.load(type, 0, at(k));
  const ops: readonly ReduceOp[] =
    type === 'bool' ? ['max', 'min', 'argMax', 'argMin'] : ['sum', 'max', 'min', 'argMax', 'argMin'];
  const accumulators = ops.map(
    (op, id): Accumulator => ({
      id,
      op,
      type,
      value,
      ...(op.startsWith('arg') ? { position: b.index(k) } : {}),
    }),
  );
  const first = b.accumulator(type, 0);
  const position = b.accumulator('i32', ops.indexOf('argMin'));
  const combined =
    type === 'bool'
      ? b.alu('xor', 'bool', b.load(type, 0, at(again)), first)
      : b.alu('sub', type, first, b.load(type, 0, at(again)));
  return {
    kind: 'kernel',
    name: 'reductions',
    buffers: [
      { dtype, length: points * length, access: 'read' },
      { dtype, length: points * length, access: 'write' },
      { dtype: 'int32', length: points, access: 'write' },
      { dtype: 'uint8', length: points, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      { kind: 'reduce', loops: [k], accumulators },
      {
        kind: 'map',
        loops: [again],
        order: 'parallel',
        stores: [{ buffer: 1, index: at(again), value: combined, mode: 'set' }],
      },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [
          {
            buffer: 2,
            index: b.index(i),
            value: b.alu('sub', 'i32', position, b.accumulator('i32', ops.indexOf('argMax'))),
            mode: 'set',
          },
          {
            buffer: 3,
            index: b.index(i),
            value: b.alu('cast', 'u32', b.alu('cast', 'bool', position)),
            mode: 'set',
          },
        ],
      },
    ],
  };
}

const sizes = [
  [1, 5000],
  [1, 3],
  [3, 1000],
  [5, 64],
  [70, 129],
  [300, 20],
  [1500, 7],
] as const;
test.each(sizes.flatMap(([p, k]) => [[p, k, 'rows'] as const, [p, k, 'columns'] as const]))(
  '%i points of %i, along %s',
  async (points, length, along) => {
    for (const type of ['f32', 'i32', 'u32', 'bool'] as const)
      await check(reductions(points, length, along, type));
  },
);

test('several loops are shared', async () => {
  const { b, mul, add } = expressions();
  const [i, c, h, w] = [variable('i', 3), variable('c', 7), variable('h', 9), variable('w', 11)];
  const index = add(mul(add(mul(add(mul(b.index(c), 3), b.index(i)), 9), b.index(h)), 11), b.index(w));
  await check({
    kind: 'kernel',
    name: 'channels',
    buffers: [
      { dtype: 'float32', length: 3 * 7 * 9 * 11, access: 'read' },
      { dtype: 'float32', length: 3, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      {
        kind: 'reduce',
        loops: [c, h, w],
        accumulators: [{ id: 0, op: 'sum', type: 'f32', value: b.load('f32', 0, index) }],
      },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 1, index: b.index(i), value: b.accumulator('f32', 0), mode: 'set' }],
      },
    ],
  });
});

test.each(['float32', 'float16', 'uint8', 'bool'] as const)(
  'the base of a scatter into %s is a dispatch of its own, and updates go in in order',
  async (dtype) => {
    const { b, mul, add } = expressions();
    const { scalar } = dtypeInfo[dtype];
    const [i, v, k] = [variable('i', 9), variable('v', 50), variable('k', 40)];
    const at = (row: Expression) => add(mul(row, 9), b.index(i));
    const target = b.load('i32', 1, b.index(k));
    const value = b.load(scalar, 2, at(b.index(k)));
    await check(
      {
        kind: 'kernel',
        name: 'scatter',
        buffers: [
          { dtype, length: 450, access: 'readWrite' },
          { dtype: 'int32', length: 40, access: 'read' },
          { dtype, length: 360, access: 'read' },
        ],
        scalars: [],
        space: [i],
        phases: [
          {
            kind: 'map',
            loops: [v],
            order: 'parallel',
            stores: [{ buffer: 0, index: at(b.index(v)), value: b.const(scalar, 1), mode: 'set' }],
          },
          {
            kind: 'map',
            loops: [k],
            order: 'sequential',
            stores: [
              {
                buffer: 0,
                index: at(target),
                value,
                mode: dtype === 'bool' ? 'max' : 'add',
                guard: b.alu('lt', 'bool', target, b.int(12)),
              },
            ],
          },
        ],
      },
      2,
    );
  },
);

test('long sums keep their precision', async () => {
  const backend = await make();
  const [points, length] = [4, 1 << 16];
  const x = new Float32Array(points * length).fill(0.1);
  const { b, mul, add } = expressions();
  const [i, k] = [variable('i', points), variable('k', length)];
  const value = b.load('f32', 0, add(mul(b.index(i), length), b.index(k)));
  const sum: Kernel = {
    kind: 'kernel',
    name: 'sum',
    buffers: [
      { dtype: 'float32', length: points * length, access: 'read' },
      { dtype: 'float32', length: points, access: 'write' },
    ],
    scalars: [],
    space: [i],
    phases: [
      { kind: 'reduce', loops: [k], accumulators: [{ id: 0, op: 'sum', type: 'f32', value }] },
      {
        kind: 'map',
        loops: [],
        order: 'parallel',
        stores: [{ buffer: 1, index: b.index(i), value: b.accumulator('f32', 0), mode: 'set' }],
      },
    ],
  };
  for (const features of Object.values(machines)) {
    const [, out] = await runProgram(backend, sum, compileKernel(sum, features), [
      x,
      new Float32Array(points),
    ]);
    const exact = Math.fround(0.1) * length;
    for (const got of out!) expect(Math.abs(got - exact) / exact).toBeLessThan(1e-5);
  }
});
