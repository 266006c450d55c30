import type { DotAnchor } from '@tutti/core/backend';
import { describe, expect, it } from 'vitest';
import { routine } from '../src/routines/index.ts';
import { check, generator, threeBuffers } from './routines-harness.ts';

type Layout = 'rows' | 'columns' | 'strided' | 'same row' | 'same column';
const layouts: readonly Layout[] = ['rows', 'columns', 'strided', 'same row', 'same column'];

/** Strides of a (batch..., rows, columns) matrix in a layout, and the length of its buffer. */
function operand(batch: readonly number[], rows: number, columns: number, layout: Layout, shared: boolean) {
  const strides = {
    rows: [columns, 1],
    columns: [1, rows],
    strided: [columns * 3 + 1, 3],
    'same row': [0, 1],
    'same column': [1, 0],
  }[layout] as [number, number];
  let size = (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1;
  size = Math.max(size, 1);
  const offset = layout === 'strided' ? 5 : 0;
  const batchStrides = new Array<number>(batch.length).fill(0);
  let length = size;
  if (!shared) {
    for (let d = batch.length - 1; d >= 0; d--) {
      batchStrides[d] = length;
      length *= batch[d]!;
    }
  }
  return {
    length: length + offset,
    operand: { dtype: 'float32' as const, offset, batch: batchStrides, row: strides[0], column: strides[1] },
  };
}

export function dotAnchor(
  m: number,
  n: number,
  k: number,
  layoutA: Layout = 'rows',
  layoutB: Layout = 'rows',
  batch: readonly number[] = [],
  sharedA = false,
  sharedB = false,
): DotAnchor {
  const a = operand(batch, m, k, layoutA, sharedA);
  const b = operand(batch, k, n, layoutB, sharedB);
  const out = batch.reduce((x, y) => x * y, 1) * m * n;
  return {
    kind: 'dot',
    name: 'dot',
    batch,
    m,
    n,
    k,
    lhs: a.operand,
    rhs: b.operand,
    type: 'f32',
    buffers: threeBuffers(a.length, b.length, out),
    scalars: [],
  };
}

const describeAnchor = (a: DotAnchor): string =>
  `${a.batch.join('x')} ${a.m}x${a.n}x${a.k} ${a.lhs.row},${a.lhs.column} ${a.rhs.row},${a.rhs.column}`;

describe('dot', () => {
  it('matches the reference over shapes and layouts', () => {
    const random = generator(1);
    const sizes = [1, 2, 3, 4, 5, 7, 8, 12, 13, 25, 31];
    for (const m of sizes) {
      for (const n of sizes) {
        const k = [1, 2, 3, 5, 16, 33][Math.floor(random() * 6)]!;
        const layoutA = layouts[Math.floor(random() * layouts.length)]!;
        const layoutB = layouts[Math.floor(random() * layouts.length)]!;
        const anchor = dotAnchor(m, n, k, layoutA, layoutB);
        check(anchor, routine(anchor)!, random, describeAnchor(anchor));
      }
    }
  });

  it('matches the reference in every pair of layouts, in blocks', () => {
    const random = generator(2);
    for (const layoutA of layouts) {
      for (const layoutB of layouts) {
        for (const [m, n, k] of [
          [64, 64, 64],
          [70, 100, 401],
          [1, 130, 70],
          [130, 1, 70],
          [5, 7, 900],
          [200, 9, 90],
        ] as const) {
          const anchor = dotAnchor(m, n, k, layoutA, layoutB);
          check(anchor, routine(anchor)!, random, `${layoutA} ${layoutB} ${describeAnchor(anchor)}`);
        }
      }
    }
  });

  it('takes batches, shared and not', () => {
    const random = generator(3);
    for (const batch of [[3], [2, 3], [2, 1, 2], [4, 1]]) {
      for (const [sharedA, sharedB] of [
        [false, false],
        [true, false],
        [false, true],
        [true, true],
      ] as const) {
        for (const [m, n, k] of [
          [5, 9, 4],
          [1, 6, 7],
          [6, 1, 7],
          [1, 1, 5],
        ] as const) {
          const anchor = dotAnchor(m, n, k, 'rows', 'columns', batch, sharedA, sharedB);
          check(anchor, routine(anchor)!, random, describeAnchor(anchor));
        }
      }
    }
  });

  it('splits a long k', () => {
    const random = generator(4);
    for (const [m, n, k, layoutA] of [
      [10, 10, 20000, 'columns'],
      [33, 17, 9001, 'rows'],
      [1, 1, 30001, 'rows'],
      [64, 64, 5000, 'columns'],
      [1, 40, 20000, 'rows'],
      [1, 1, 400_003, 'rows'],
    ] as const) {
      const anchor = dotAnchor(m, n, k, layoutA);
      const program = routine(anchor)!;
      check(anchor, program, random, describeAnchor(anchor));
    }
  });

  it('is zero where k is zero, and nothing where there is nothing', () => {
    for (const [m, n, k] of [
      [3, 5, 0],
      [0, 4, 3],
      [4, 0, 3],
    ] as const) {
      const anchor = dotAnchor(m, n, k);
      check(anchor, routine(anchor)!, generator(5), 'empty');
    }
  });

  it('declines what it cannot do', () => {
    const anchor = dotAnchor(3, 3, 3);
    expect(routine({ ...anchor, type: 'i32' })).toBeUndefined();
    expect(routine({ ...anchor, lhs: { ...anchor.lhs, row: -3, offset: 6 } })).toBeUndefined();
  });

  it('matches the reference on random products', () => {
    const random = generator(6);
    for (let round = 0; round < 60; round++) {
      const pick = (most: number): number => 1 + Math.floor(random() ** 2 * most);
      const layout = (): Layout => layouts[Math.floor(random() * layouts.length)]!;
      const anchor = dotAnchor(
        pick(150),
        pick(150),
        pick(500),
        layout(),
        layout(),
        random() < 0.3 ? [pick(4)] : [],
      );
      check(anchor, routine(anchor)!, random, describeAnchor(anchor));
    }
  });
});
