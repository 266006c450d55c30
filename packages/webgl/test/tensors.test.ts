/** Programs of the framework on WebGL: the same numbers as the reference interpreter gives, and nothing left behind. */
import { courseDifference, courseTolerance, resumedTolerance } from '@tutti/testbed/training';
import { expect, it } from 'vitest';
import type { Checks } from './browser/tensors.ts';
import { pageOf } from './support/page.ts';

const { ask } = pageOf<Checks>('tensors');

it('training takes the same course as on the reference', async () => {
  const want = await ask('reference', 6);
  const losses = await ask('course', 6);
  expect(losses[5]).toBeLessThan(losses[0]!);
  expect(courseDifference(losses, want)).toBeLessThan(courseTolerance);
}, 120_000);

it('memory and programs stay as they are over 500 training steps', async () => {
  const { before, after, traces } = await ask('flat', 500);
  expect(after).toEqual({ ...before, reserved: expect.any(Number) });
  // How many checks of data are under way at once depends on the device's speed; they are a texel each.
  expect(after.reserved).toBeLessThan(before.reserved + 64 * 1024);
  expect(traces).toBe(1);
}, 120_000);

it('a value can be waited for that nobody has computed before', async () => {
  const { values, again } = await ask('sync');
  expect(values).toEqual([7, 14, 21].map((value) => expect.closeTo(Math.sqrt(value), 5)));
  expect(again).toEqual([expect.closeTo(Math.sqrt(42), 4)]);
});

it('after a lost context, training goes on in another one from what was saved', async () => {
  const want = await ask('reference', 6);
  const { failed, losses, another } = await ask('lost');
  const lost = { code: 'TUTTI_DEVICE', message: expect.stringContaining('the WebGL context was lost') };
  expect(failed).toEqual([lost, lost]);
  expect(another).toBe(true);
  expect(courseDifference(losses, want)).toBeLessThan(resumedTolerance);
}, 120_000);

it('is taken where there is no WebGPU, and it is said why that is not', async () => {
  expect(await ask('choice')).toMatchObject({
    taken: 'webgl',
    passedOver: [{ backend: 'webgpu', reason: 'this browser has no WebGPU' }],
    opened: 'webgl',
  });
});
