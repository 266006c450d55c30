/** State dicts between devices, and after a device has ended. */
import { registerBackend, setDefaultDevice, tensor, unregisterBackend } from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import * as nn from '@tutti/nn';
import { afterEach, beforeEach, expect, test } from 'vitest';

const open = async (name: string): Promise<void> => {
  registerBackend(interpreterBackend({ name }));
  await setDefaultDevice(name);
};
/** As after a lost context: the device is another one, of the same name. */
const reopen = async (): Promise<void> => {
  await unregisterBackend('left');
  await open('left');
};

beforeEach(() => open('left'));
afterEach(async () => {
  for (const name of ['left', 'right']) await unregisterBackend(name);
});

const trained = async (): Promise<nn.Linear> => {
  const model = new nn.Linear(2, 1);
  await model.call(tensor([[1, 2]])).data();
  return model;
};

const refusal = (mismatched: RegExp, fix: RegExp) =>
  expect.objectContaining({
    name: 'StateDictError',
    code: 'TUTTI_STATE_DICT',
    message: expect.stringMatching(mismatched),
    fix: expect.stringMatching(fix),
  });

test('what was saved goes into a model that was made anew, and not into the one that was lost', async () => {
  const old = await trained();
  const bytes = await nn.encodeSafetensors(old.stateDict());
  await reopen();
  expect(() => old.loadStateDict(nn.decodeSafetensors(bytes))).toThrow(
    refusal(/weight: its own device left has ended; bias: its own/, /make it anew, and its optimiser/),
  );
  const again = new nn.Linear(2, 1);
  again.loadStateDict(nn.decodeSafetensors(bytes));
  expect(await again.call(tensor([[1, 2]])).data()).toHaveLength(1);
});

test('a state dict that was lost with its device is said to be', async () => {
  const lost = (await trained()).stateDict();
  await reopen();
  expect(() => new nn.Linear(2, 1).loadStateDict(lost)).toThrow(
    refusal(/weight: its value was on a device left that has ended/, /keep its bytes, encodeSafetensors/),
  );
});

test('values on another device are to be moved, and a module of other sizes to be built', async () => {
  const dict = (await trained()).stateDict();
  await open('right');
  const model = new nn.Linear(2, 1);
  expect(() => model.loadStateDict(dict)).toThrow(
    refusal(/weight: on device left, not on right/, /await value\.to\(device\)/),
  );
  expect(() => new nn.Linear(3, 1).loadStateDict(dict)).toThrow(
    refusal(
      /weight: float32 \[1, 2\] for float32 \[1, 3\]/,
      /build the module with the sizes of the saved one/,
    ),
  );
});
