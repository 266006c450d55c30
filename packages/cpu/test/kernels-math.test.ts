import { mathCases } from '@tutti/core/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { compileWith } from '../src/kernels/compile.ts';
import { compileKernel } from '../src/kernels/index.ts';
import { scalarStrategy } from '../src/kernels/strategy.ts';
import { features } from '../src/runtime/features.ts';
import { runKernel } from './kernels/harness.ts';

const bounds = {
  exp: 1.1,
  expm1: 1.6,
  tanh: 2.6,
  log: 0.9,
  log1p: 0.9,
  sin: 1.7,
  cos: 1.7,
  erf: 1.2,
  rsqrt: 1.6,
  sqrt: 0.5,
  pow: 1,
};
/** Lanes do most of them, and scalar code the last three. */
const cases = mathCases({ size: (1 << 19) + 3, bounds, exactZeros: true });

const relaxed = features.relaxedMadd;
afterEach(() => {
  features.relaxedMadd = relaxed;
});

describe.each(relaxed ? [true, false] : [false])('with fused multiply-add: %s', (fused) => {
  test.each(cases)('$name, and scalar code gives the bits of lanes', { timeout: 120_000 }, (each) => {
    features.relaxedMadd = fused;
    const { kernel, contents, check } = each;
    const got = runKernel(kernel, compileKernel(kernel), contents());
    expect(check(got)).toBeUndefined();
    const scalar = runKernel(kernel, compileWith(kernel, scalarStrategy), contents());
    expect(scalar.at(-1)!.findIndex((x, k) => !Object.is(x, got.at(-1)![k]))).toBe(-1);
  });
});
