/** The text of routines for GPUs that are not here. */
import * as testing from '@tutti/core/testing';
import { describe, expect, test } from 'vitest';
import { architectures, assemble, hasNvcc } from '../scripts/assemble.mjs';
import { type RoutineUnit, routineUnits } from '../scripts/assemble-routines.mjs';
import { featuresOf } from '../scripts/features.mjs';
import * as attention from '../src/routines/attention.ts';
import * as attentionGradient from '../src/routines/attention-gradient.ts';
import * as conv from '../src/routines/conv.ts';
import * as dot from '../src/routines/dot.ts';
import * as plan from '../src/routines/dot-plan.ts';

const isHere = hasNvcc();

const unitsFor = (architecture: string): RoutineUnit[] =>
  routineUnits({ dot, plan, conv, attention, attentionGradient }, testing, {
    ...featuresOf(architecture),
    tf32: true,
  });

describe.skipIf(!isHere)(`text that nvcc assembles${isHere ? '' : ' (skipped: there is no nvcc)'}`, () => {
  test.each(architectures.map((architecture, i) => [architecture, i] as const))(
    'for %s, without spilled registers',
    { timeout: 240_000 },
    async (architecture, number) => {
      // Each unit on one of the architectures; the script assembles all on all.
      const units = unitsFor(architecture).filter((_, i) => i % architectures.length === number);
      for (const { name, spills, stack } of await assemble(units, architecture)) {
        // Tiles of convolutions may keep a few words that their loops do not need elsewhere.
        const few = /^(product|attention)/.test(name) ? 0 : 48;
        expect(stack, `${name}, ${spills} bytes`).toBeLessThanOrEqual(few);
      }
    },
  );
});

test('a device is asked for no more shared memory than it has', () => {
  for (const architecture of architectures)
    for (const { name, dynamic } of unitsFor(architecture))
      expect(dynamic, `${name} on ${architecture}`).toBeLessThanOrEqual(
        featuresOf(architecture).maxSharedBytes,
      );
});

test('equal anchors have equal texts', () => {
  const texts = (): string[] => unitsFor('sm_90').map(({ code }) => code);
  expect(texts()).toEqual(texts());
});
