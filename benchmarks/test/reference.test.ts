import { describe, expect, it } from 'vitest';
import { type Operands, operandsOf } from '../src/operands.ts';
import {
  checkResult,
  compareResults,
  hasReference,
  referencesOf as referencesFor,
  resultLength,
} from '../src/reference.ts';
import { suites } from '../src/suites.ts';
import type { Work } from '../src/work.ts';

function referencesOf(work: Work, operands: Operands): ReturnType<typeof referencesFor> {
  if (!hasReference(work)) throw new TypeError(`${work.kind} has no reference`);
  return referencesFor(work, operands);
}

const matmul: Work = { kind: 'matmul', n: 5 };

function product(): Float32Array {
  const { a, b } = operandsOf(matmul) as { a: Float32Array; b: Float32Array };
  return Float32Array.from({ length: 25 }, (_, i) => {
    const [row, column] = [Math.floor(i / 5), i % 5];
    return [0, 1, 2, 3, 4].reduce((sum, k) => sum + a[row * 5 + k]! * b[k * 5 + column]!, 0);
  });
}

describe('checkResult', () => {
  it('takes what is right', () => expect(checkResult(matmul, operandsOf(matmul), product())).toBe(undefined));

  it.each([
    ['a wrong last element', (x: Float32Array) => x.with(24, x[24]! + 0.01), 'element 24'],
    ['a NaN', (x: Float32Array) => x.with(7, Number.NaN), 'element 7 is NaN'],
    ['a missing element', (x: Float32Array) => x.slice(1), '24 elements where 25'],
    [
      'a transposed result',
      (x: Float32Array) => x.map((_, i) => x[(i % 5) * 5 + Math.floor(i / 5)]!),
      'element 1',
    ],
  ])('objects to %s', (_, spoil, message) => {
    expect(checkResult(matmul, operandsOf(matmul), spoil(product()))).toContain(message);
  });

  it('knows an elementwise operation', () => {
    const work: Work = { kind: 'scaleAdd', length: 8 };
    const operands = operandsOf(work);
    const right = operands['x']!.map((x) => 2 * x + 1);
    expect(checkResult(work, operands, right)).toBe(undefined);
  });

  it('knows a convolution, whose unit filter gives the image', () => {
    const conv: Work = { kind: 'conv', batch: 1, inputs: 1, outputs: 1, size: 4 };
    const x = operandsOf(conv)['x']!;
    const operands = { x, weight: Float32Array.of(0, 0, 0, 0, 1, 0, 0, 0, 0) };
    const shifted = x.map((_, i) => x[(i + 1) % 16]!);
    expect(checkResult(conv, operands, x)).toBe(undefined);
    expect(checkResult(conv, operands, shifted)).toContain('element 0');
  });
});

describe('the reference of attention', () => {
  const work: Work = { kind: 'attention', heads: 2, length: 3, size: 4 };
  const v = operandsOf(work)['v']!;
  const nothing = new Float32Array(24);

  it('is the mean of the values of a head where no key stands out', () => {
    const means = v.map((_, i) => {
      const first = (i < 12 ? 0 : 12) + (i % 4);
      return (v[first]! + v[first + 4]! + v[first + 8]!) / 3;
    });
    expect(checkResult(work, { q: nothing, k: nothing, v }, means)).toBe(undefined);
    expect(checkResult(work, { q: nothing, k: nothing, v }, v)).toContain('element 0');
  });

  it('is the value of the key that stands out', () => {
    // Every query and the second key of each head point along the first axis.
    const q = nothing.map((_, i) => (i % 4 === 0 ? 100 : 0));
    const k = nothing.map((_, i) => (i % 12 === 4 ? 100 : 0));
    const second = v.map((_, i) => v[(i < 12 ? 0 : 12) + 4 + (i % 4)]!);
    expect(checkResult(work, { q, k, v }, second)).toBe(undefined);
  });
});

/** The derivative of `sum(gradient * result)` by each element of an operand, by differences. */
function byDifferences(work: Work, operands: Operands, name: string): number[] {
  const loss = (moved: Operands): number => {
    const [result] = referencesOf(work, moved);
    return moved['gradient']!.reduce((sum, g, i) => sum + g * result!(i), 0);
  };
  const step = 2 ** -10;
  const at = (i: number, by: number): number => {
    const values = operands[name]!;
    return loss({ ...operands, [name]: values.with(i, values[i]! + by) });
  };
  return Array.from(operands[name]!, (_, i) => (at(i, step) - at(i, -step)) / (2 * step));
}

describe('the references of gradients', () => {
  const attention: Work = { kind: 'attention', heads: 2, length: 3, size: 4, gradients: true };
  const conv: Work = { kind: 'conv', batch: 2, inputs: 2, outputs: 3, size: 4, gradients: true };

  it.each([
    [attention, ['q', 'k', 'v']],
    [conv, ['x', 'weight']],
  ] as const)('are the derivatives of the result: $kind', (work, names) => {
    const operands = operandsOf(work);
    const references = referencesOf(work, operands);
    expect(references).toHaveLength(1 + names.length);
    for (const [i, name] of names.entries()) {
      const expected = byDifferences(work, operands, name);
      for (const [element, derivative] of expected.entries())
        expect(references[i + 1]!(element)).toBeCloseTo(derivative, 4);
    }
  });

  it('are compared part by part, each by its own magnitude', () => {
    const length = resultLength(attention);
    const right = new Float32Array(length).fill(1000, 0, length / 4);
    expect(compareResults(attention, right.with(length - 1, 0.001), right)).toContain(
      `element ${length - 1}`,
    );
    expect(compareResults(attention, right.with(0, 1000.001), right)).toBe(undefined);
  });
});

describe('16-bit operands', () => {
  it('are those that the dtype can hold', () => {
    const work: Work = { kind: 'matmul', n: 1, precision: 'bfloat16' };
    const third = { a: Float32Array.of(1 / 3), b: Float32Array.of(1) };
    const [product] = referencesOf(work, third);
    expect(product!(0)).toBe(0.333984375);
  });
});

describe('a language model', () => {
  const work: Work = {
    ...{ kind: 'languageModel', batch: 2, context: 8, layers: 1, width: 8, heads: 2, vocabulary: 96 },
  };

  it('has losses that fall', () => {
    expect(checkResult(work, {}, Float32Array.of(4.6, 4.5, 4.4))).toBe(undefined);
    expect(checkResult(work, {}, Float32Array.of(4.6, 4.7, 4.8))).toContain('does not fall');
  });

  it('has texts in which every token says which comes next', () => {
    const { tokens, targets } = operandsOf(work);
    const next = new Map(Array.from(tokens!, (token, i) => [token, targets![i]!]));
    for (const [i, token] of tokens!.entries()) expect(targets![i]).toBe(next.get(token));
    expect([...targets!.slice(0, -1)]).toEqual([...tokens!.slice(1)]);
  });
});

describe('compareResults', () => {
  it('finds an element that differs, relative to the largest', () => {
    const pair: Work = { kind: 'scaleAdd', length: 2 };
    const [a, b] = [Float32Array.of(1000, 1), Float32Array.of(1000, 1.01)];
    expect(compareResults(pair, a, b)).toBe(undefined);
    expect(compareResults(pair, a, Float32Array.of(1000, 2))).toContain('element 1');
    expect(compareResults(pair, a, Float32Array.of(Number.NaN, 1))).toContain('element 0');
  });
});

describe.each(Object.entries(suites))('the suite %s', (_, { cases }) => {
  it('has the same operands every time, and results of a known length', () => {
    expect(operandsOf(matmul)).toEqual(operandsOf(matmul));
    for (const { work } of cases) expect(resultLength(work)).toBeGreaterThan(0);
  });

  it('has unique names', () => {
    expect(new Set(cases.map((each) => each.name)).size).toBe(cases.length);
  });
});
