/** Merging of dimensions, and the rules that every kernel keeps. */
import { describe, expect, it } from 'vitest';
import {
  defaultCapabilities,
  type Expression,
  type IndexVariable,
  type Kernel,
  type MapPhase,
  type Phase,
} from '../src/backend/index.ts';
import { IndexBuilder } from '../src/compiler/index-math.ts';
import { mergeDimensions, mergeSpace } from '../src/compiler/merge-dimensions.ts';
import { verifyKernel } from '../src/compiler/verify.ts';
import { interpretKernel } from '../src/testing/index.ts';
import { Random } from './random.ts';

interface Draft {
  readonly b: IndexBuilder;
  readonly kernel: Kernel;
}

/** out[flat] = x[some strides and offsets], over a random space. */
function randomCopy(seed: number): Draft {
  const random = new Random(seed);
  const b = new IndexBuilder();
  const space = Array.from(
    { length: random.int(1, 4) },
    (_, i): IndexVariable => ({ name: `i${i}`, extent: random.int(2, 4) }),
  );
  const at = space.map((variable) => b.index(variable));
  const extents = space.map((variable) => variable.extent);
  const contiguous = extents.map((_, i) => extents.slice(i + 1).reduce((a, c) => a * c, 1));
  const strides = random.chance(0.5)
    ? contiguous
    : contiguous.map((stride) => random.pick([stride, 0, stride * 2]));
  const size = extents.reduce((a, c) => a * c, 1);
  const from = b.flatten(at, strides);
  const guard = random.chance(0.4) ? b.lessThan(random.pick(at), 2) : undefined;
  const load = b.load('f32', 1, b.offsetIndex(from, random.int(0, 2)), guard);
  const [last] = at.slice(-1) as [Expression];
  const value = random.chance(0.3) ? b.select(b.lessThan(last, 1), b.const('f32', 7), load) : load;
  const store = { buffer: 0, index: b.flatten(at, contiguous), value, mode: 'set' as const };
  const kernel: Kernel = {
    kind: 'kernel',
    name: 'copy',
    buffers: [
      { dtype: 'float32', length: size, access: 'write' },
      { dtype: 'float32', length: 2 * size + 8, access: 'read' },
    ],
    scalars: [],
    space,
    phases: [{ kind: 'map', loops: [], order: 'parallel', stores: [store] }],
  };
  return { b, kernel };
}

function run(kernel: Kernel): Float32Array {
  const out = new Float32Array(kernel.buffers[0]!.length);
  interpretKernel(kernel, [out, Float32Array.from({ length: kernel.buffers[1]!.length }, (_, i) => i + 1)]);
  return out;
}

describe('merging of dimensions', () => {
  it('changes nothing that is computed', () => {
    let merged = 0;
    for (let seed = 0; seed < 300; seed++) {
      const { b, kernel } = randomCopy(seed);
      const result = mergeDimensions(b, kernel);
      verifyKernel(result, defaultCapabilities);
      if (result.space.length < kernel.space.length) merged++;
      expect(run(result), `seed ${seed}`).toEqual(run(kernel));
    }
    expect(merged).toBeGreaterThan(50);
  });

  it('leaves one dimension of a contiguous copy, and no division', () => {
    const b = new IndexBuilder();
    const space = [3, 4, 5].map((extent, i): IndexVariable => ({ name: `i${i}`, extent }));
    const flat = b.flatten(
      space.map((variable) => b.index(variable)),
      [20, 5, 1],
    );
    const result = mergeSpace(b, { space, value: b.load('f32', 3, flat) }, flat);
    expect(result.space.map((variable) => variable.extent)).toEqual([60]);
    expect(result.value).toBe(b.load('f32', 3, b.index(result.space[0]!)));
  });

  it('keeps dimensions apart that are stepped through differently', () => {
    const b = new IndexBuilder();
    const space = [3, 4].map((extent, i): IndexVariable => ({ name: `i${i}`, extent }));
    const [x, y] = space.map((variable) => b.index(variable)) as [Expression, Expression];
    const flat = b.flatten([x, y], [4, 1]);
    expect(mergeSpace(b, { space, value: b.load('f32', 3, b.flatten([y, x], [3, 1])) }, flat).space).toEqual(
      space,
    );
  });
});

const b = new IndexBuilder();
const i: IndexVariable = { name: 'i', extent: 4 };
const k: IndexVariable = { name: 'k', extent: 3 };
const index = b.index(i);
const loaded = b.load('f32', 1, index);
const map = (change: Partial<MapPhase> = {}, store: Partial<MapPhase['stores'][number]> = {}): Phase => ({
  kind: 'map',
  loops: [],
  order: 'parallel',
  stores: [{ buffer: 0, index, value: loaded, mode: 'set', ...store }],
  ...change,
});
const sum = (change: object = {}): Phase => ({
  kind: 'reduce',
  loops: [k],
  accumulators: [{ id: 0, op: 'sum', type: 'f32', value: loaded, ...change }],
});
const good: Kernel = {
  kind: 'kernel',
  name: 'test',
  buffers: [
    { dtype: 'float32', length: 4, access: 'write' },
    { dtype: 'float32', length: 4, access: 'read' },
  ],
  scalars: ['f32'],
  space: [i],
  phases: [map()],
};

describe('the rules of kernels', () => {
  it('hold for a good one', () => {
    verifyKernel(good, defaultCapabilities);
    verifyKernel(
      { ...good, phases: [sum(), map({}, { value: b.accumulator('f32', 0) })] },
      defaultCapabilities,
    );
  });

  const broken: Record<string, Partial<Kernel>> = {
    'no phases': { phases: [] },
    'an index variable is declared twice': { phases: [map({ loops: [i] })] },
    'extent 0': { space: [{ ...i, extent: 0 }] },
    'not in scope': { space: [] },
    'scalar 3': { phases: [map({}, { value: b.scalar('f32', 3) })] },
    'used before its phase has ended': { phases: [map({}, { value: b.accumulator('f32', 0) }), sum()] },
    'declared twice': { phases: [sum(), sum(), map()] },
    'load from buffer 9': { phases: [map({}, { value: b.load('f32', 9, index) })] },
    'load from write-only buffer': { phases: [map({}, { value: b.load('f32', 0, index) })] },
    'load of float32 as i32': {
      phases: [map({}, { value: b.alu('cast', 'f32', b.load('i32', 1, b.int(1))) })],
    },
    'store to buffer 1': { phases: [map({}, { buffer: 1 })] },
    'store of i32 to float32': { phases: [map({}, { value: index })] },
    'mode add in a parallel map': { phases: [map({}, { mode: 'add' })] },
    'add(f32, i32)': { phases: [map({}, { value: b.alu('add', 'f32', loaded, index) })] },
    'exp(i32)': { phases: [map({}, { value: b.alu('exp', 'f32', index) })] },
    'changes nothing': { phases: [map({}, { value: b.alu('cast', 'f32', loaded) })] },
    'different objects': {
      phases: [
        map(
          {},
          {
            value: b.alu(
              'add',
              'f32',
              { op: 'const', type: 'f32', value: 1 },
              { op: 'const', type: 'f32', value: 1 },
            ),
          },
        ),
      ],
    },
    'without stores': { phases: [map({ stores: [] })] },
    'without accumulators': { phases: [{ kind: 'reduce', loops: [k], accumulators: [] }, map()] },
    position: { phases: [sum({ op: 'argMax' }), map()] },
    'takes i32': { phases: [sum({ value: index }), map()] },
    '9 buffers': { buffers: Array.from({ length: 9 }, (_, n) => ({ ...good.buffers[n === 0 ? 0 : 1]! })) },
  };
  for (const [rule, change] of Object.entries(broken)) {
    it(`are seen to be broken: ${rule}`, () => {
      expect(() => verifyKernel({ ...good, ...change }, defaultCapabilities)).toThrow(rule);
    });
  }

  it('are those of the device too', () => {
    const twice = {
      ...good,
      phases: [map({ stores: [...(map() as MapPhase).stores, ...(map() as MapPhase).stores] })],
    };
    expect(() => verifyKernel(twice, { ...defaultCapabilities, multipleOutputs: false })).toThrow(
      'several stores',
    );
    const row = { ...good, phases: [sum(), map({ loops: [k] })] };
    expect(() => verifyKernel(row, { ...defaultCapabilities, rowPrograms: false })).toThrow('several phases');
    const scatter = { ...good, phases: [map({ order: 'sequential' })] };
    expect(() => verifyKernel(scatter, { ...defaultCapabilities, scatterStores: false })).toThrow(
      'computed indices',
    );
  });
});
