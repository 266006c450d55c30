/** Every operation on special values, and elements of every dtype. */
import {
  aluCases,
  aluConstantCases,
  aluItselfCases,
  halfCases,
  mathCases,
  narrowStoreCases,
} from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { make } from './support/device.ts';
import { checkKernel } from './support/kernels.ts';
import { mergedCases } from './support/merge.ts';

const families = {
  operations: aluCases,
  'operations with a constant': aluConstantCases,
  'operations of a value with itself': aluItselfCases,
  'every half': halfCases,
  'stores to narrow buffers': narrowStoreCases,
  // Of the host's library here, which is a little less exact in places: what counts are special values, zeros and denormals.
  functions: () => mathCases({ size: 1 << 15, exactZeros: true, bounds: { log1p: 1.5, pow: 2 } }),
};

test.each(Object.entries(families))('%s', { timeout: 240_000 }, async (_, cases) => {
  const backend = await make({ cache: 'off' });
  const merged = mergedCases(cases());
  expect(merged.length).toBeLessThan(100);
  for (let i = 0; i < merged.length; i += 2)
    await Promise.all(merged.slice(i, i + 2).map((each) => checkKernel(backend, each, ['hopper', 'tiny'])));
});
