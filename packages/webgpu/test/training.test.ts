import { memory, registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import {
  course,
  courseDifference,
  courseTolerance,
  interruptedCourse,
  referenceCourse,
  resumedTolerance,
  rounds,
} from '@tutti/testbed/training';
import { afterEach, describe, expect, it } from 'vitest';
import { createWebgpuBackend } from '../src/index.ts';
import { adapter } from './support/device.ts';

afterEach(async () => {
  await unregisterBackend('webgpu');
  await unregisterBackend('interpreter');
});

describe.each(['adapter', 'default'] as const)('with the limits of the %s', (limits) => {
  it('training takes the same course as on the reference', async () => {
    const expected = await referenceCourse(6);
    registerBackend(createWebgpuBackend({ limits }));
    await setDefaultDevice('webgpu');
    const losses = await course(6);
    expect(losses[5]).toBeLessThan(losses[0]!);
    expect(courseDifference(losses, expected)).toBeLessThan(courseTolerance);
  });
});

it('memory stays flat over 1,000 training steps', async () => {
  registerBackend(createWebgpuBackend());
  await setDefaultDevice('webgpu');
  const { run, traces } = rounds();
  await run(600);
  const before = memory()['webgpu']!;
  await run(1000);
  const { bytes, buffers } = before;
  expect(memory()['webgpu']).toMatchObject({ bytes, buffers });
  // How many checks of data are under way at once depends on the device's speed; they are 256 bytes each.
  expect(memory()['webgpu']!.reserved).toBeLessThan(before.reserved + 512 * 1024);
  expect(traces()).toBe(1);
}, 120_000);

it('after a lost device, training goes on from what was saved', async () => {
  const expected = await referenceCourse(6);
  let lost: GPUDevice | undefined;
  const factory = createWebgpuBackend();
  registerBackend({
    ...factory,
    // The first device is the test's own, so that it can be lost.
    async open(index) {
      if (lost) return factory.open(index);
      lost = await (await adapter()).requestDevice();
      return createWebgpuBackend({ device: lost }).open(index);
    },
  });
  const { losses, failures, another } = await interruptedCourse('webgpu', () => lost!.destroy());
  const failure = expect.objectContaining({
    code: 'TUTTI_DEVICE',
    message: expect.stringMatching(/make another GPUDevice/),
  });
  expect(failures).toEqual([failure, failure]);
  expect(another).toBe(true);
  expect(courseDifference(losses, expected)).toBeLessThan(resumedTolerance);
});
