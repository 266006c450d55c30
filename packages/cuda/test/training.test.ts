/** Training on an emulated device, as a program does it. */
import {
  jit,
  memory,
  registerBackend,
  setDefaultDevice,
  statistics,
  tensor,
  unregisterBackend,
  type Variable,
  variable,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
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
import { id, take } from './support/default-device.ts';

afterEach(() => unregisterBackend('interpreter'));

it.each(['auto', 'off'] as const)(
  'takes the same course as on the reference, graphs: %s',
  async (graphs) => {
    const expected = await referenceCourse(6);
    const backend = await take({ graphs });
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

/** Eight kinds of updates, each of five parameters of other lengths: what they are after `steps` steps, and the launches of one. */
async function manyUpdates(steps: number): Promise<{ values: number[][]; launches: number }> {
  const [kinds, each] = [8, 5];
  const parameters = Array.from({ length: kinds * each }, (_, i): Variable => {
    const length = 3 + ((i * 211) % 700);
    return variable(tensor(Float32Array.from({ length }, (_, k) => ((i + k * 7) % 31) / 32)));
  });
  const step = jit(() => {
    for (const [i, parameter] of parameters.entries()) {
      let next = parameter.mul(0.75);
      for (let kind = 0; kind < Math.floor(i / each); kind++) next = next.mul(parameter).add(0.25);
      parameter.assign(next);
    }
    return [];
  });
  const before = statistics().stepsRun;
  for (let i = 0; i < steps; i++) await step();
  const launches = (statistics().stepsRun - before) / steps;
  const values = await Promise.all(parameters.map(async (parameter) => [...(await parameter.data())]));
  for (const held of [step, ...parameters]) held.dispose();
  return { values, launches };
}

it.each(['auto', 'off'] as const)(
  'updates parameters of one kind in one launch, to the bits of the reference, graphs: %s',
  async (graphs) => {
    registerBackend(interpreterBackend());
    await setDefaultDevice('interpreter');
    const expected = await manyUpdates(6);
    const backend = await take({ graphs });
    const got = await manyUpdates(6);
    expect(got.values).toEqual(expected.values);
    expect([expected.launches, got.launches]).toEqual([40, 8]);
    expect(backend.statistics.graphs > 0).toBe(graphs === 'auto');
  },
  60_000,
);
