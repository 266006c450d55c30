/** Training on an emulated device, as a program does it. */
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
import { afterEach, expect, it } from 'vitest';
import { CudaBackend } from '../src/backend.ts';
import { createCudaBackend } from '../src/index.ts';
import { emulation } from './support/device.ts';

const id = 'cuda-emulated';

afterEach(async () => {
  await unregisterBackend(id);
  await unregisterBackend('interpreter');
});

/** The default device, which is then emulated. */
async function take(graphs: 'auto' | 'off' = 'auto'): Promise<CudaBackend> {
  registerBackend(createCudaBackend({ ...emulation, graphs }));
  const { backend } = await setDefaultDevice(id);
  if (backend instanceof CudaBackend) return backend;
  throw new TypeError('another backend was opened');
}

it.each(['auto', 'off'] as const)(
  'takes the same course as on the reference, graphs: %s',
  async (graphs) => {
    const expected = await referenceCourse(6);
    const backend = await take(graphs);
    const losses = await course(6);
    expect(losses[5]).toBeLessThan(losses[0]!);
    expect(courseDifference(losses, expected)).toBeLessThan(courseTolerance);
    expect(backend.failure).toBeUndefined();
  },
  60_000,
);

it('keeps its memory over 300 steps, most of which are graphs', async () => {
  const backend = await take();
  const { run, traces } = rounds();
  await run(100);
  const before = memory()[id]!;
  await run(300);
  const { bytes, buffers } = before;
  expect(memory()[id]).toMatchObject({ bytes, buffers });
  expect(backend.statistics.graphs).toBeGreaterThan(0);
  expect(traces()).toBe(1);
}, 120_000);

it('goes on from what was saved when its device has ended', async () => {
  const expected = await referenceCourse(6);
  const backend = await take();
  const { losses, failures, another } = await interruptedCourse(id, () => backend.dispose());
  const failure = expect.objectContaining({ code: 'TUTTI_DISPOSED' });
  expect(failures).toEqual([failure, failure]);
  expect(another).toBe(true);
  expect(courseDifference(losses, expected)).toBeLessThan(resumedTolerance);
}, 60_000);
