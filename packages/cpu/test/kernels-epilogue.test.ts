import {
  type BufferParam,
  type DType,
  type Epilogue,
  ExpressionBuilder,
  fromFloat16Bits,
  toFloat16Bits,
} from '@tutti/core/backend';
import { expect, test } from 'vitest';
import { emitEpilogue, epilogueCost } from '../src/kernels/index.ts';
import { ModuleBuilder } from '../src/wasm/index.ts';

const rows = 5;
const columns = 11;
const length = rows * columns;

function anchor(out: DType, epilogue?: Epilogue) {
  const buffers: BufferParam[] = [
    { dtype: 'float32', length: 1, access: 'read' },
    { dtype: 'float32', length: 1, access: 'read' },
    { dtype: out, length, access: 'write' },
    { dtype: 'float32', length: columns, access: 'read' },
  ];
  return {
    name: 'dot',
    buffers,
    scalars: ['f32'] as const,
    type: 'f32' as const,
    ...(epilogue ? { epilogue } : {}),
  };
}

/** relu(sum + bias[column]) * scalar */
function biasRelu(): Epilogue {
  const b = new ExpressionBuilder();
  const row = { name: 'row', extent: rows };
  const column = { name: 'column', extent: columns };
  const sum = b.alu('add', 'f32', b.accumulator('f32', 0), b.load('f32', 3, b.index(column)));
  const relu = b.alu('max', 'f32', sum, b.const('f32', 0));
  return { space: [row, column], value: b.alu('mul', 'f32', relu, b.scalar('f32', 0)) };
}

const at = { args: 64, out: 1024, bias: 2048, source: 3072 };

function prepare(subject: ReturnType<typeof anchor>) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const module = new ModuleBuilder({ shared: false });
  module.export('finish', emitEpilogue(module, subject));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  new Int32Array(memory.buffer, at.args).set([0, 0, at.out, at.bias, 0]);
  new Float32Array(memory.buffer, at.args + 20, 1)[0] = 2;
  new Float32Array(memory.buffer, at.bias, columns).set(Array.from({ length: columns }, (_, c) => c / 2 - 3));
  return {
    memory,
    finish: exports['finish'] as (args: number, source: number, begin: number, end: number) => void,
  };
}

const sums = Float32Array.from({ length }, (_, p) => ((p * 37) % 23) - 11);
const wanted = sums.map((sum, p) => Math.max(sum + (p % columns) / 2 - 3, 0) * 2);

test.each([
  [0, length],
  [0, 16],
  [16, 48],
  [7, 8],
  [13, 41],
  [20, 20],
])('an epilogue finishes the elements from %i to %i in place, and no others', (begin, end) => {
  const { memory, finish } = prepare(anchor('float32', biasRelu()));
  const out = new Float32Array(memory.buffer, at.out, length);
  out.set(sums);
  finish(at.args, at.out + 4 * begin, begin, end);
  expect([...out]).toEqual([...sums].map((sum, p) => (p >= begin && p < end ? wanted[p] : sum)));
});

test('an epilogue converts sums from scratch memory to a 16-bit result', () => {
  const { memory, finish } = prepare(anchor('float16', biasRelu()));
  const out = new Uint16Array(memory.buffer, at.out, length);
  for (const [begin, end] of [
    [0, 22],
    [22, 50],
    [50, length],
  ] as const) {
    new Float32Array(memory.buffer, at.source, end - begin).set(sums.subarray(begin, end));
    finish(at.args, at.source, begin, end);
  }
  expect([...out].map(fromFloat16Bits)).toEqual([...wanted]);
});

test('an anchor without an epilogue converts its sums', () => {
  const { memory, finish } = prepare(anchor('float16'));
  new Float32Array(memory.buffer, at.source, length).set(sums);
  finish(at.args, at.source, 0, length);
  expect([...new Uint16Array(memory.buffer, at.out, length)]).toEqual([...sums].map(toFloat16Bits));
  expect(epilogueCost(anchor('float16'))).toBeGreaterThan(0);
});
