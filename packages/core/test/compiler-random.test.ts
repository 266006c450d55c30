/** Random graphs, run in every way on devices of every kind: all agree to the last bit, and nothing leaks. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configure } from './all.ts';
import { compareOn, comparisons, registerDevices, unregisterDevices } from './random-modes.ts';

beforeAll(() => {
  configure({ verify: true });
  registerDevices();
});
afterAll(unregisterDevices);

/** Graphs that once came out wrong: a gather of indices themselves, without fusion. */
const remembered = [12951];
const seeds = [...remembered, ...Array.from({ length: 8 }, (_, i) => i)];

describe('random graphs', () => {
  for (const comparison of comparisons) {
    it(`${comparison.name} on ${comparison.device}`, async () => {
      for (const seed of seeds) expect(await compareOn(comparison, seed)).toBeUndefined();
    });
  }
});
