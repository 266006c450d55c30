import type { DotAnchor } from '@tutti/core/backend';
import {
  type DotLayout,
  dotAnchor,
  dotCases,
  dotLayouts,
  generator,
  randomDotCases,
} from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { routine } from '../src/routines/index.ts';
import { check, checkCase } from './routines-harness.ts';

/** Layouts of the random products. */
const layouts = dotLayouts.filter((layout) => layout !== 'padded');

const describeAnchor = (a: DotAnchor): string =>
  `${a.batch.join('x')} ${a.m}x${a.n}x${a.k} ${a.lhs.row},${a.lhs.column} ${a.rhs.row},${a.rhs.column}`;

const cases = [...dotCases(), ...randomDotCases(1, 24), ...randomDotCases(2, 24)];

describe('dot', () => {
  it.each(cases.filter(({ anchor }) => anchor.type === 'f32'))('$name', (each) => {
    const program = routine(each.anchor);
    if (!program) expect.fail('no routine');
    checkCase(each, program);
  });

  it('leaves integers to others', () => {
    for (const { anchor } of cases.filter(({ anchor: { type } }) => type !== 'f32'))
      expect(routine(anchor)).toBeUndefined();
  });

  it('matches the reference over shapes and layouts', () => {
    const random = generator(1);
    const sizes = [1, 2, 3, 4, 5, 7, 8, 12, 13, 25, 31];
    for (const m of sizes) {
      for (const n of sizes) {
        const k = [1, 2, 3, 5, 16, 33][Math.floor(random() * 6)]!;
        const layoutA = layouts[Math.floor(random() * layouts.length)]!;
        const layoutB = layouts[Math.floor(random() * layouts.length)]!;
        const anchor = dotAnchor(m, n, k, { layouts: [layoutA, layoutB] });
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
          const anchor = dotAnchor(m, n, k, { layouts: [layoutA, layoutB] });
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
          const anchor = dotAnchor(m, n, k, {
            layouts: ['rows', 'columns'],
            batch,
            shared: [sharedA, sharedB],
          });
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
      const anchor = dotAnchor(m, n, k, { layouts: [layoutA, 'rows'] });
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
      const layout = (): DotLayout => layouts[Math.floor(random() * layouts.length)]!;
      const anchor = dotAnchor(pick(150), pick(150), pick(500), {
        layouts: [layout(), layout()],
        batch: random() < 0.3 ? [pick(4)] : [],
      });
      check(anchor, routine(anchor)!, random, describeAnchor(anchor));
    }
  });
});
