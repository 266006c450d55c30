/** States of optimisers between devices, and after a device has ended. */
import {
  registerBackend,
  setDefaultDevice,
  type Tensor,
  tensor,
  unregisterBackend,
  type Variable,
  variable,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { Adam } from '@tutti/optim';
import { afterEach, beforeEach, expect, test } from 'vitest';

const open = async (name: string): Promise<void> => {
  registerBackend(interpreterBackend({ name }));
  await setDefaultDevice(name);
};

beforeEach(() => open('left'));
afterEach(async () => {
  for (const name of ['left', 'right']) await unregisterBackend(name);
});

const parameter = (): Variable => variable(tensor([1, 2]));

async function stepped(): Promise<Adam> {
  const w = parameter();
  const optimizer = new Adam([w]);
  w.mul(2).sum().backward();
  optimizer.step();
  await w.data();
  return optimizer;
}

/** What is kept of a state, as host data. */
async function saved(
  optimizer: Adam,
): Promise<{ tensors: Record<string, () => Tensor>; lrs: readonly number[] }> {
  const { tensors, lrs } = optimizer.stateDict();
  const entries = Object.entries(tensors).map(async ([name, x]) => {
    const [values, { shape }] = [await x.data(), x];
    return [name, () => tensor(values, { shape })] as const;
  });
  return { tensors: Object.fromEntries(await Promise.all(entries)), lrs };
}

const refusal = (message: RegExp, fix: RegExp) =>
  expect.objectContaining({
    code: 'TUTTI_STATE_DICT',
    message: expect.stringMatching(message),
    fix: expect.stringMatching(fix),
  });

test('a state goes into an optimiser that was made anew, and not into one whose device has ended', async () => {
  const old = await stepped();
  const lost = old.stateDict();
  const { tensors, lrs } = await saved(old);
  await unregisterBackend('left');
  await open('left');
  const state = {
    tensors: Object.fromEntries(Object.entries(tensors).map(([name, make]) => [name, make()])),
    lrs,
  };
  expect(() => old.loadStateDict(state)).toThrow(
    refusal(/its own device left, which has ended/, /make both anew/),
  );
  const again = new Adam([parameter()]);
  expect(() => again.loadStateDict(lost)).toThrow(
    refusal(/exp_avg is on left, not on left/, /keep the bytes/),
  );
  again.loadStateDict(state);
  expect(await again.stateDict().tensors['0.step']!.item()).toBe(1);
});

test('values on another device are to be moved', async () => {
  const state = (await stepped()).stateDict();
  await open('right');
  expect(() => new Adam([parameter()]).loadStateDict(state)).toThrow(
    refusal(/0\.exp_avg is on left, not on right/, /await value\.to\(device\)/),
  );
  expect(() => new Adam([parameter()]).loadStateDict({ ...state, lrs: [] })).toThrow(
    refusal(/0 learning rates for 1 groups/, /parameters, groups and settings/),
  );
});
