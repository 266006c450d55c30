/** Attention: every variant, all layers. */
import { attentionCase, attentionCases, attentionLayers } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import { type AttentionVariant, attentionRoutine, attentionVariants } from '../src/routines/attention.ts';
import { attentionMmaShapes, attentionShapes } from '../src/routines/attention-plan.ts';
import { make } from './support/device.ts';
import { emulated, hopper } from './support/features.ts';
import { checkRoutines, turing } from './support/routines.ts';

const simt = Object.keys(attentionShapes).map((name) => `simt ${name}` as AttentionVariant);
const mma = Object.keys(attentionMmaShapes).map((name) => `mma ${name}` as AttentionVariant);
const timeout = 120_000;

test.each(simt)('%s', { timeout }, async (variant) => {
  await checkRoutines(await make({ cache: 'off' }), attentionCases(), ({ anchor }) => [
    attentionRoutine(anchor, hopper, variant),
  ]);
});

const typed = mma.flatMap((variant) =>
  (['float16', 'bfloat16'] as const).map((dtype) => [variant, dtype] as const),
);

/** All layers, of this dtype. */
test.each(typed)('%s of %s', { timeout }, async (variant, dtype) => {
  const cases = Object.entries(attentionLayers).map(([name, options]) =>
    attentionCase(name, { ...options, dtype }),
  );
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    attentionRoutine(anchor, hopper, variant),
  ]);
});

test('before sm_80', { timeout }, async () => {
  const cases = attentionCases().filter(({ anchor }) => anchor.query.dtype !== 'bfloat16');
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    attentionRoutine(anchor, turing),
  ]);
});

test('the choice follows the shape', () => {
  const best = (options: Parameters<typeof attentionCase>[1], features = hopper): string | undefined =>
    attentionVariants(attentionCase('', options).anchor, features)[0];
  const head = { batch: [1, 2], queries: 64, keys: 64, width: 64, valueWidth: 64 };
  expect(best(head)).toBe('simt 64x64');
  expect(best({ ...head, width: 128, valueWidth: 128 })).toBe('simt 64x32');
  expect(best({ ...head, dtype: 'bfloat16' })).toBe('mma 64x64');
  expect(best({ ...head, batch: [132], queries: 128, keys: 1, dtype: 'float16' })).toBe('mma 128x64');
  expect(best(head, emulated)).toBe('simt 32x32');
  expect(best({ ...head, width: 257 })).toBeUndefined();
});
