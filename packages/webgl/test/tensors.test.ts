/** Programs of the framework on WebGL: the same numbers as the reference interpreter gives, and nothing left behind. */
import { expect, it } from 'vitest';
import type { Checks } from './browser/tensors.ts';
import { pageOf } from './support/page.ts';

const { ask } = pageOf<Checks>('tensors');

/** The largest relative difference. */
const differ = (got: readonly number[], want: readonly number[]): number =>
  Math.max(...want.map((value, i) => Math.abs(got[i]! / value - 1)));

it('training takes the same course as on the reference', async () => {
  const want = await ask('reference', 6);
  const losses = await ask('course', 6);
  expect(losses[5]).toBeLessThan(losses[0]!);
  expect(differ(losses, want)).toBeLessThan(1e-5);
}, 120_000);

it('memory and programs stay as they are over 500 training steps', async () => {
  const { before, after, traces } = await ask('flat', 500);
  expect(after).toEqual({ ...before, reserved: expect.any(Number) });
  // How many checks of data are under way at once depends on the device's speed; they are a texel each.
  expect(after.reserved).toBeLessThan(before.reserved + 64 * 1024);
  expect(traces).toBe(1);
}, 120_000);

it('after a lost context, training goes on in another one from what was saved', async () => {
  const want = await ask('reference', 6);
  const { failed, losses, another } = await ask('lost');
  const lost = { code: 'TUTTI_DEVICE', message: expect.stringContaining('the WebGL context was lost') };
  expect(failed).toEqual([lost, lost]);
  expect(another).toBe(true);
  // The moments start anew, so that the course is close and not the same.
  expect(differ(losses, want)).toBeLessThan(0.02);
}, 120_000);

it('is taken where there is no WebGPU, and it is said why that is not', async () => {
  expect(await ask('choice')).toMatchObject({
    taken: 'webgl',
    passedOver: [{ backend: 'webgpu', reason: 'this browser has no WebGPU' }],
    opened: 'webgl',
  });
});
