import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@tutti/core';
import { customVjp, mul, neg, sum, tensor } from '@tutti/core';
import { beforeAll, describe, expect, it } from 'vitest';
import type { OpCase, Sample } from '../src/cases/case.ts';
import { cases } from '../src/cases/index.ts';
import { randomInput } from '../src/cases/inputs.ts';
import { checkGradient, checkSecondGradient } from '../src/check/derivative.ts';
import { buildSample, checkReference, expectationOf } from '../src/check/expectation.ts';
import { formatReport, runConformance, workOf } from '../src/index.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

/** The functions that core's operations export, as its index lists them, and those of autograd that give a tensor. */
function publicOperations(): string[] {
  const index = readFileSync(join(import.meta.dirname, '../../core/src/ops/index.ts'), 'utf8');
  const exported = [...index.matchAll(/export \{([^}]*)\}/g)].flatMap(([, names]) => names!.split(','));
  const functions = exported.map((name) => name.trim()).filter((name) => /^[a-z]\w*$/.test(name));
  const noTensor = ['defaultGenerator', 'manualSeed'];
  return [...functions.filter((name) => !noTensor.includes(name)), 'checkpoint', 'customVjp', 'detach'];
}

describe('the cases', () => {
  it('cover every public operation', () => {
    const covered = new Set(cases.map(({ op }) => op));
    const missing = publicOperations().filter((name) => !covered.has(name));
    expect(missing).toEqual([]);
    expect(publicOperations().length).toBeGreaterThan(100);
    expect(covered.size).toBeGreaterThanOrEqual(75);
  });

  it('have names of their own and something to run in every dtype', () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { name, dtypes, samples } of cases) {
      for (const dtype of dtypes) expect(samples(dtype).length, `${name} ${dtype}`).toBeGreaterThan(0);
    }
  });

  it('agree with the oracle, their formulas and finite differences', async () => {
    const { report, exitCode } = await runConformance({
      backends: [],
      modes: ['reference', 'derivative', 'second derivative'],
    });
    expect(exitCode, formatReport(report)).toBe(0);
    expect(report.summary['oracle']!.pass).toBeGreaterThan(900);
    const checked = new Set(report.results.filter(({ mode }) => mode === 'derivative').map(({ op }) => op));
    for (const { op, differentiable } of cases) if (differentiable) expect(checked).toContain(op);
  }, 120_000);
});

describe('the checks of the cases', () => {
  const negation = (reference: (x: number) => number): Sample => ({
    label: '[5]',
    inputs: [randomInput([5], 'float32')],
    call: (x) => neg(x!),
    reference: (x) => ({ shape: x!.shape, values: Float64Array.from(x!.values, reference) }),
  });
  const referenceOf = (sample: Sample) =>
    checkReference(sample, expectationOf(buildSample(sample).outputs, sample.inputs), 'float32');

  it('see a composition that does not mean its formula', () => {
    expect(referenceOf(negation((x) => -x))).toBeUndefined();
    expect(referenceOf(negation((x) => -x * (1 + 1e-4)))).toContain('by the formula');
    expect(referenceOf({ ...negation((x) => -x), result: 'int32' })).toContain('dtype');
  });

  const withRule = (factor: number): Sample => {
    const square = customVjp(
      (x: core.Tensor) => mul(x, x),
      ([x], gradient) => mul(mul(gradient, x), factor),
    );
    return { label: 'square', inputs: [randomInput([5], 'float32')], call: (x) => square(x!) };
  };

  it('see a wrong gradient rule', () => {
    expect(checkGradient(withRule(2))).toBeUndefined();
    expect(checkGradient(withRule(2.01))).toContain('finite differences');
  });

  it('see a wrong second derivative', () => {
    expect(checkSecondGradient(withRule(2))).toBeUndefined();
    const onceRight: Sample = {
      label: 'square whose rule cannot be differentiated',
      inputs: [randomInput([5], 'float32')],
      call: (x) =>
        customVjp(
          (y: core.Tensor) => mul(y, y),
          ([y], gradient) => mul(gradient, mul(core.detach(y), 2)),
        )(x!).add(mul(mul(x!, x!), x!)),
    };
    expect(checkGradient(onceRight)).toBeUndefined();
    expect(checkSecondGradient(onceRight)).toContain('finite differences');
  });

  it('see a gradient that is NaN', () => {
    const broken: Sample = {
      label: 'log of 0',
      inputs: [{ ...randomInput([2], 'float32'), values: [0, 1] }],
      call: (x) => sum(core.sqrt(x!)),
    };
    expect(checkGradient(broken)).toContain('gradient holds');
  });
});

describe('a case of one’s own', () => {
  const double: OpCase = {
    name: 'double',
    op: 'double',
    dtypes: ['float32'],
    differentiable: true,
    flopsPerElement: () => 1,
    samples: (dtype) => [
      {
        label: '[3]',
        inputs: [randomInput([3], dtype)],
        call: (x) => mul(x!, tensor(2)),
        reference: (x) => ({ shape: x!.shape, values: Float64Array.from(x!.values, (v) => 2 * v) }),
      },
    ],
  };

  it('runs like those of the suite', async () => {
    const { report, exitCode } = await runConformance({ backends: [], cases: [double] });
    expect(exitCode).toBe(0);
    expect(report.results.map(({ mode, status }) => `${mode} ${status}`)).toEqual([
      'reference pass',
      'derivative pass',
      'second derivative pass',
    ]);
  });
});

describe('the work of a sample', () => {
  it('counts the products and sums of a matrix product, and every element once', () => {
    const matmul = cases.find(({ name }) => name === 'matmul')!;
    const sample = matmul.samples('float32').find(({ label }) => label === '[17, 33] [33, 19]')!;
    const work = workOf(matmul, sample, buildSample(sample).outputs);
    expect(work).toEqual({ flops: 2 * 17 * 33 * 19, bytes: 4 * (17 * 33 + 33 * 19 + 17 * 19) });
  });
});
