/** The gradient of attention: every variant, all layers. */
import { attentionGradientCase, attentionGradientCases, attentionGradientLayers } from '@tutti/core/testing';
import { expect, test } from 'vitest';
import {
  type AttentionGradientVariant,
  attentionGradientRoutine,
  attentionGradientVariants,
} from '../src/routines/attention-gradient.ts';
import { attentionShapes } from '../src/routines/attention-plan.ts';
import { make } from './support/device.ts';
import { emulated, hopper } from './support/features.ts';
import { checkRoutines, turing } from './support/routines.ts';

const simt = Object.keys(attentionShapes).map((name) => `simt ${name}` as AttentionGradientVariant);
const timeout = 240_000;

test.each(simt)('%s', { timeout }, async (variant) => {
  await checkRoutines(await make({ cache: 'off' }), attentionGradientCases(), ({ anchor }) => [
    attentionGradientRoutine(anchor, hopper, variant),
  ]);
});

/** Every third layer where the text differs little from one that all layers run on. */
const typed = (['float16', 'bfloat16'] as const).flatMap((dtype) => [
  { variant: 'mma 64x64', dtype, gradient: 'float32', every: 1 } as const,
  { variant: 'mma 64x64', dtype, gradient: dtype, every: 3 } as const,
  { variant: 'mma 64x32', dtype, gradient: 'float32', every: 3 } as const,
]);

test.each(typed)('$variant of $dtype, from $gradient', { timeout }, async (form) => {
  const { variant, dtype, gradient, every } = form;
  const layers = Object.entries(attentionGradientLayers).filter((_, i) => i % every === 0);
  const cases = layers.map(([name, options]) => attentionGradientCase(name, { ...options, dtype, gradient }));
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    attentionGradientRoutine(anchor, hopper, variant),
  ]);
});

test('before sm_80', { timeout }, async () => {
  const cases = attentionGradientCases().filter(
    ({ anchor }) => attentionGradientVariants(anchor, turing).length > 0 && anchor.query.dtype !== 'bfloat16',
  );
  expect(cases.some(({ anchor }) => anchor.query.dtype === 'float16')).toBe(true);
  await checkRoutines(await make({ cache: 'off' }), cases, ({ anchor }) => [
    attentionGradientRoutine(anchor, turing),
  ]);
});

test('the choice follows the shape', () => {
  const best = (
    options: Parameters<typeof attentionGradientCase>[1],
    features = hopper,
  ): string | undefined => attentionGradientVariants(attentionGradientCase('', options).anchor, features)[0];
  const head = { batch: [1, 2], queries: 64, keys: 64, width: 64, valueWidth: 64 };
  expect(best(head)).toBe('simt 64x64');
  expect(best({ ...head, width: 128, valueWidth: 128 })).toBe('simt 64x32');
  expect(best(head, turing)).toBe('simt 64x32');
  expect(best({ ...head, width: 128, valueWidth: 128 }, turing)).toBeUndefined();
  expect(best(head, emulated)).toBe('simt 32x32');
  expect(best({ ...head, dtype: 'bfloat16' })).toBe('mma 64x64');
  expect(best({ ...head, dtype: 'bfloat16', gradient: 'float32' })).toBe('mma 64x64');
  expect(best({ ...head, dtype: 'bfloat16', gradient: 'float16' })).toBe('simt 64x64');
  expect(best({ ...head, width: 256, valueWidth: 256, dtype: 'bfloat16', gradient: 'float32' })).toBe(
    'mma 64x32',
  );
  expect(best({ ...head, width: 257 })).toBeUndefined();
});
