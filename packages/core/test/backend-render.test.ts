/** What renderers of kernels have in common. */
import { describe, expect, it } from 'vitest';
import {
  bare,
  type Expression,
  ExpressionBuilder,
  IndexAnalysis,
  type IndexVariable,
  type Kernel,
  Lines,
  Scope,
  Scopes,
  segmentsOf,
} from '../src/backend/index.ts';

const variable = (name: string, extent: number): IndexVariable => ({ name, extent });

describe('index analysis', () => {
  const b = new ExpressionBuilder();
  const [i, k] = [variable('i', 100), variable('k', 64)];
  const at = (scale: number, offset: number): Expression =>
    b.alu(
      'add',
      'i32',
      b.alu('add', 'i32', b.alu('mul', 'i32', b.index(i), b.int(scale)), b.index(k)),
      b.int(offset),
    );

  it('knows how groups of neighbouring elements are aligned', () => {
    const analysis = new IndexAnalysis();
    const aligned = (e: Expression): number[] =>
      [16, 8, 4, 2].filter((lanes) => analysis.isAligned(e, k, lanes, lanes));
    expect(aligned(at(64, 0))).toEqual([16, 8, 4, 2]);
    expect(aligned(at(24, 0))).toEqual([8, 4, 2]);
    expect(aligned(at(64, 6))).toEqual([2]);
    expect(aligned(at(63, 0))).toEqual([]);
    expect(aligned(b.alu('mul', 'i32', b.index(k), b.int(16)))).toEqual([]);
  });

  it('knows arithmetic that cannot wrap', () => {
    const analysis = new IndexAnalysis();
    const data = b.load('i32', 0, b.index(k));
    expect(analysis.isBounded(at(64, 3))).toBe(true);
    expect(analysis.isBounded(b.alu('mul', 'i32', b.index(i), b.int(2 ** 30)))).toBe(false);
    expect(analysis.isBounded(b.alu('add', 'i32', data, b.int(1)))).toBe(false);
  });
});

describe('segments', () => {
  const b = new ExpressionBuilder();
  const [i, v, k] = [variable('i', 9), variable('v', 50), variable('k', 40)];
  const place = (row: Expression): Expression =>
    b.alu('add', 'i32', b.alu('mul', 'i32', row, b.int(9)), b.index(i));
  const base: Kernel['phases'][number] = {
    kind: 'map',
    loops: [v],
    order: 'parallel',
    stores: [{ buffer: 0, index: place(b.index(v)), value: b.const('f32', 0), mode: 'set' }],
  };
  const update: Kernel['phases'][number] = {
    kind: 'map',
    loops: [k],
    order: 'sequential',
    stores: [
      { buffer: 0, index: place(b.load('i32', 1, b.index(k))), value: b.const('f32', 1), mode: 'add' },
    ],
  };
  const kernel: Kernel = {
    kind: 'kernel',
    name: 'scatter',
    buffers: [
      { dtype: 'float32', length: 450, access: 'readWrite' },
      { dtype: 'int32', length: 40, access: 'read' },
    ],
    scalars: [],
    space: [i],
    phases: [base, update],
  };

  it('have loops over elements as dimensions, in the order of memory', () => {
    const [first, second] = segmentsOf(kernel);
    expect(first!.space.map(({ name }) => name)).toEqual(['v', 'i']);
    expect(first!.phases[0]!.loops).toEqual([]);
    expect(second!.space).toBe(kernel.space);
    expect(second!.phases).toEqual([update]);
  });
});

describe('generated code', () => {
  it('is indented by block', () => {
    const lines = new Lines();
    lines.block('if (x)', () => lines.block('', () => lines.line('y();')));
    expect(lines.text()).toBe('  if (x) {\n    {\n      y();\n    }\n  }');
  });

  it('loses parentheses around all of it, and no others', () => {
    expect(['(a + b)', '(a) + (b)', '((a) + (b))', 'a'].map(bare)).toEqual([
      'a + b',
      '(a) + (b)',
      '(a) + (b)',
      'a',
    ]);
  });

  it('has names in the innermost scope that gives one, for each copy', () => {
    const scopes = new Scopes<Scope>();
    const [outer, inner] = [new Scope(0), new Scope(1, 2)];
    const i = variable('i', 4);
    const e: Expression = { op: 'const', type: 'i32', value: 1 };
    scopes.open(outer);
    outer.bind(i, 'i0');
    outer.names.set(e, ['v0']);
    scopes.open(inner);
    expect([scopes.variable(i, 1), scopes.nameOf(e, 1)]).toEqual(['i0', 'v0']);
    inner.bind(i, 'i1', 'i2');
    inner.names.set(e, ['v1', 'v2']);
    expect([scopes.variable(i, 1), scopes.nameOf(e, 1), scopes.isNamed(e)]).toEqual(['i2', 'v2', true]);
    scopes.close();
    expect(scopes.nameOf(e, 0)).toBe('v0');
    expect(() => scopes.variable(variable('k', 2), 0)).toThrow('index variable k has no value');
    scopes.finish(3, 'a3');
    expect(scopes.accumulator(3)).toBe('a3');
    expect(() => scopes.accumulator(4)).toThrow('accumulator 4 is read before its phase');
  });
});
