import { describe, expect, it } from 'vitest';
import type { Expression, IndexVariable } from '../src/backend/index.ts';
import { IndexBuilder } from '../src/compiler/index-math.ts';
import { stridesOf } from '../src/tensor/index.ts';
import { evaluateIndex, forEachIndex } from './compiler-support.ts';
import { Random } from './random.ts';

/** An expression built with the simplifier, and what it must be worth. */
interface Built {
  readonly e: Expression;
  readonly worth: (at: ReadonlyMap<IndexVariable, number>) => number;
}

const makeVariables = (random: Random, count: number): IndexVariable[] =>
  Array.from({ length: count }, (_, i) => ({ name: `v${i}`, extent: random.int(1, 7) }));

/** Divisions round towards zero, as those of kernels do. */
function grow(b: IndexBuilder, random: Random, variables: readonly IndexVariable[], steps: number): Built[] {
  const built: Built[] = variables.map((v) => ({ e: b.index(v), worth: (at) => at.get(v)! }));
  built.push({ e: b.int(3), worth: () => 3 });
  for (let i = 0; i < steps; i++) {
    const x = random.pick(built);
    const y = random.pick(built);
    const n = random.int(1, 8);
    const offset = random.int(-4, 9);
    const factor = random.int(-3, 6);
    const made: Built[] = [
      { e: b.addIndex(x.e, y.e), worth: (at) => x.worth(at) + y.worth(at) },
      { e: b.scaleIndex(x.e, factor), worth: (at) => x.worth(at) * factor },
      { e: b.offsetIndex(x.e, offset), worth: (at) => x.worth(at) + offset },
      { e: b.divideIndex(x.e, n), worth: (at) => Math.trunc(x.worth(at) / n) },
      { e: b.remainderIndex(x.e, n), worth: (at) => x.worth(at) % n },
    ];
    built.push(random.pick(made));
  }
  return built;
}

const same = (a: number, b: number): boolean => a === b; // -0 is 0 for an index

describe('index arithmetic', () => {
  it('is worth what the plain arithmetic is, at every index', () => {
    for (let seed = 0; seed < 400; seed++) {
      const random = new Random(seed);
      const b = new IndexBuilder();
      const variables = makeVariables(random, random.int(1, 3));
      for (const { e, worth } of grow(b, random, variables, 14)) {
        const { min, max } = b.range(e);
        forEachIndex(variables, (at) => {
          const value = evaluateIndex(e, at);
          if (!same(value, worth(at))) expect.fail(`seed ${seed}: ${value} for ${worth(at)}`);
          if (value < min || value > max) expect.fail(`seed ${seed}: ${value} outside of ${min}..${max}`);
        });
      }
    }
  });

  it('decides conditions only where they are decided', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed + 1000);
      const b = new IndexBuilder();
      const variables = makeVariables(random, 2);
      const { e, worth } = random.pick(grow(b, random, variables, 10));
      const other = random.pick(grow(b, random, variables, 4));
      const bound = random.int(-3, 12);
      const cases: [Expression, (at: ReadonlyMap<IndexVariable, number>) => boolean][] = [
        [b.lessThan(e, bound), (at) => worth(at) < bound],
        [b.atLeast(e, bound), (at) => worth(at) >= bound],
        [b.equals(e, bound), (at) => worth(at) === bound],
        [
          b.and(b.lessThan(e, bound), b.atLeast(other.e, 1)),
          (at) => worth(at) < bound && other.worth(at) >= 1,
        ],
      ];
      for (const [condition, holds] of cases) {
        const chosen = b.select(condition, e, other.e);
        forEachIndex(variables, (at) => {
          expect(evaluateIndex(condition, at) !== 0).toBe(holds(at));
          const value = evaluateIndex(chosen, at);
          if (!same(value, holds(at) ? worth(at) : other.worth(at))) expect.fail(`seed ${seed}: select`);
        });
      }
    }
  });

  it('substitutes variables', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed + 2000);
      const b = new IndexBuilder();
      const variables = makeVariables(random, 3);
      const [first, second, third] = variables as [IndexVariable, IndexVariable, IndexVariable];
      const { e, worth } = random.pick(grow(b, random, variables, 12));
      // Replacements stay in the range of what they replace.
      const wide: IndexVariable = { name: 'w', extent: first.extent * second.extent };
      const replace = new Map([
        [first, b.divideIndex(b.index(wide), second.extent)],
        [second, b.remainderIndex(b.index(wide), second.extent)],
      ]);
      const result = b.substitute(e, replace);
      expect(b.rewriter(replace)(e)).toBe(result);
      forEachIndex([wide, third], (at) => {
        const w = at.get(wide)!;
        const old = new Map([
          [first, Math.floor(w / second.extent)],
          [second, w % second.extent],
          [third, at.get(third)!],
        ]);
        if (!same(evaluateIndex(result, at), worth(old))) expect.fail(`seed ${seed}`);
      });
    }
  });

  it('takes a flat index apart and puts it together again', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed + 3000);
      const b = new IndexBuilder();
      const shape = Array.from({ length: random.int(1, 4) }, () => random.int(1, 5));
      const variables = shape.map((extent, i) => ({ name: `v${i}`, extent }));
      const indices = variables.map((v) => (v.extent === 1 ? b.int(0) : b.index(v)));
      const flat = b.flatten(indices, stridesOf(shape));
      expect(b.unflatten(flat, shape)).toEqual(indices);
      // Through another shape of as many elements and back.
      const size = shape.reduce((a, c) => a * c, 1);
      const divisor = random.pick([1, 2, 3, 4, 5, 6].filter((d) => size % d === 0));
      const other = [divisor, size / divisor];
      expect(b.flatten(b.unflatten(flat, other), stridesOf(other))).toBe(flat);
      if (size === 1) continue; // such a variable is never made
      const linear = b.index({ name: 'i', extent: size });
      expect(b.flatten(b.unflatten(linear, other), stridesOf(other))).toBe(linear);
    }
  });

  it('makes equal sums one object', () => {
    const b = new IndexBuilder();
    const [x, y] = [b.index({ name: 'x', extent: 5 }), b.index({ name: 'y', extent: 6 })];
    expect(b.addIndex(x, y)).toBe(b.addIndex(y, x));
    expect(b.addIndex(b.addIndex(x, y), x)).toBe(b.addIndex(y, b.scaleIndex(x, 2)));
    expect(b.offsetIndex(b.offsetIndex(x, 3), -3)).toBe(x);
    expect(b.addIndex(x, b.scaleIndex(x, -1))).toBe(b.int(0));
    expect(b.addIndex(b.offsetIndex(x, 2), b.offsetIndex(y, 3))).toBe(b.offsetIndex(b.addIndex(y, x), 5));
  });

  it('removes divisions and guards that known ranges decide', () => {
    const b = new IndexBuilder();
    const x = b.index({ name: 'x', extent: 6 });
    const y = b.index({ name: 'y', extent: 4 });
    const flat = b.addIndex(b.scaleIndex(x, 4), y);
    expect(b.divideIndex(flat, 4)).toBe(x);
    expect(b.remainderIndex(flat, 4)).toBe(y);
    expect(b.divideIndex(b.addIndex(b.scaleIndex(x, 8), b.scaleIndex(y, 2)), 8)).toBe(x);
    expect(b.divideIndex(b.divideIndex(flat, 2), 2)).toBe(x);
    expect(b.lessThan(flat, 24)).toBe(b.true);
    expect(b.atLeast(flat, 24)).toBe(b.false);
    expect(b.equals(y, 4)).toBe(b.false);
  });

  it('leaves data alone: a loaded index may be anything', () => {
    const b = new IndexBuilder();
    const loaded = b.load('i32', 0, b.int(0));
    const i = { name: 'i', extent: 3 };
    const shifted = b.alu('add', 'i32', b.alu('mul', 'i32', loaded, b.int(2 ** 20)), b.index(i));
    const rewritten = b.substitute(shifted, new Map([[i, b.int(1)]]));
    expect(rewritten).toBe(b.alu('add', 'i32', b.alu('mul', 'i32', loaded, b.int(2 ** 20)), b.int(1)));
    expect(b.lessThan(loaded, 5).op).toBe('alu');
    expect(b.divideIndex(b.scaleIndex(loaded, 4), 4).op).toBe('alu');
  });
});
