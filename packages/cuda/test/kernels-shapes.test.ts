/** Kernels of many shapes. */

import {
  dtypeInfo,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  type Phase,
} from '@tutti/core/backend';
import {
  byteTransposeCases,
  coverCases,
  firstExtremeCases,
  gatherCases,
  type KernelCase,
  kernelCase,
  longReductionCases,
  longSumCases,
  loopCases,
  mapKernel,
  movedCases,
  orderedCases,
  reductionCases,
  rowCases,
  scatterCases,
  softmaxCases,
  variable,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { compileKernel } from '../src/kernels/index.ts';
import { make } from './support/device.ts';
import { tiny } from './support/features.ts';
import { checkKernel, type MachineName, machines } from './support/kernels.ts';

/** As they are planned for every machine. */
const families = {
  'kernels that cover all elements': coverCases,
  'transposes of bytes': byteTransposeCases,
  softmax: softmaxCases,
  'the first of several extremes': firstExtremeCases,
  'long sums': longSumCases,
  'several loops': loopCases,
  scatters: scatterCases,
};

test.each(Object.entries(families))('%s', { timeout: 240_000 }, async (_, cases) => {
  const backend = await make({ cache: 'off' });
  for (const each of cases()) await checkKernel(backend, each);
});

/** Each is planned for one of the machines, by no rule that a test could follow. */
const scattered = {
  'row programs': rowCases,
  'stores in order': orderedCases,
  'moved elements': movedCases,
  gathers: gatherCases,
  reductions: reductionCases,
  'long reductions': longReductionCases,
};

const names = Object.keys(machines) as MachineName[];
const share = Number(process.env['SHARE'] ?? 8);
/** About one in so many cases of the long lists. */
const some = (cases: readonly KernelCase[]): readonly KernelCase[] =>
  cases.filter((_, i) => (Math.imul(i, 0x9e3779b1) >>> 8) % share === 0 || cases.length < 60);

const samples = Object.entries(scattered).map(([name, cases]) => {
  const all = cases();
  const sample = some(all);
  const title = sample.length < all.length ? `${sample.length} of ${all.length} ${name}` : name;
  return [title, sample] as const;
});

test.each(samples)('%s', { timeout: 240_000 }, async (_, sample) => {
  const backend = await make({ cache: 'off' });
  for (const [i, each] of sample.entries())
    await checkKernel(backend, each, [names[(Math.imul(i, 0x9e3779b1) >>> 30) % names.length]!]);
});

/** `out[i, k] = x[i, k]`, then `out[i, k] += sum_k x[i, k]` in another order of k: what a thread goes on with, another has stored. */
function reordered(rows: number, [outer, inner]: readonly [number, number]): KernelCase {
  const b = new ExpressionBuilder();
  const width = outer * inner;
  const [i, k] = [variable('i', rows), variable('k', width)];
  const [l, m] = [variable('l', outer), variable('m', inner)];
  const at = (row: Expression, extent: number, column: Expression): Expression =>
    b.alu('add', 'i32', b.alu('mul', 'i32', row, b.int(extent)), column);
  const first = at(b.index(i), width, b.index(k));
  const second = at(b.index(i), width, at(b.index(m), outer, b.index(l)));
  const x = b.load('f32', 0, first);
  const sum = b.alu('add', 'f32', b.load('f32', 1, second), b.accumulator('f32', 0));
  const map = (loops: readonly IndexVariable[], index: Expression, value: Expression): Phase => ({
    kind: 'map',
    loops,
    order: 'parallel',
    stores: [{ buffer: 1, index, value, mode: 'set' }],
  });
  const length = rows * width;
  return kernelCase(`${rows} rows of ${outer} times ${inner}`, {
    kind: 'kernel',
    name: 'reordered',
    buffers: [
      { dtype: 'float32', length, access: 'read' },
      { dtype: 'float32', length, access: 'readWrite' },
    ],
    scalars: [],
    space: [i],
    phases: [
      { kind: 'reduce', loops: [k], accumulators: [{ id: 0, op: 'sum', type: 'f32', value: x }] },
      map([k], first, x),
      map([l, m], second, sum),
    ],
  });
}

test.each([
  [70, [16, 16]],
  [3, [64, 32]],
  [1, [33, 70]],
] as const)('what a phase has stored, the next one sees: %i rows of %j', async (rows, extents) => {
  const backend = await make({ cache: 'off' });
  await checkKernel(backend, reordered(rows, extents));
});

test.each([
  ['float32', 64, 96],
  ['bfloat16', 48, 32],
  ['uint8', 32, 17],
  ['float32', 12, 40],
  ['float16', 30, 50],
] as const)('a transpose of %s, %i by %i', async (dtype, rows, columns) => {
  const b = new ExpressionBuilder();
  const [n, i, j] = [variable('n', 3), variable('i', columns), variable('j', rows)];
  const at = (row: Expression, extent: number, column: Expression): Expression =>
    b.alu('add', 'i32', b.alu('mul', 'i32', row, b.int(extent)), column);
  const from = at(at(b.index(n), rows, b.index(j)), columns, b.index(i));
  const to = at(at(b.index(n), columns, b.index(i)), rows, b.index(j));
  const { scalar } = dtypeInfo[dtype];
  const scale = b.alu('cast', scalar, b.load('f32', 1, b.index(j)));
  const length = 3 * rows * columns;
  const kernel = mapKernel(
    'transpose',
    [
      { dtype, length, access: 'read' },
      { dtype: 'float32', length: rows, access: 'read' },
      { dtype, length, access: 'write' },
    ],
    [n, i, j],
    [{ buffer: 2, index: to, value: b.alu('add', scalar, b.load(scalar, 0, from), scale), mode: 'set' }],
  );
  const backend = await make({ cache: 'off' });
  await checkKernel(backend, kernelCase('transpose', kernel));
});

test('a scatter has its base in a stage of its own', () => {
  for (const { kernel } of scatterCases())
    expect(compileKernel(kernel, tiny).stages.length).toBeGreaterThanOrEqual(2);
});
