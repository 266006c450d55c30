/** A device that is far behind asks for patience, and gets it. */

import { add, full, jit, realize, registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import type { Backend, BackendFactory, Command, Fence } from '@tutti/core/backend';
import { interpreterBackend } from '@tutti/core/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';

let pace: Promise<void> | undefined;

/** The interpreter, with fences that say what the test wants. */
function slow(): BackendFactory {
  const factory = interpreterBackend({ name: 'slow' });
  const open = async (index: number): Promise<Backend> => {
    const backend = await factory.open(index);
    const { submit: original } = backend;
    const submit = (commands: readonly Command[]): Fence => ({ ...original.call(backend, commands), pace });
    return Object.assign(backend, { submit });
  };
  return { ...factory, open };
}

beforeAll(async () => {
  registerBackend(slow());
  await setDefaultDevice('slow');
});
afterAll(() => unregisterBackend('slow'));

it.each([
  ['realize', () => realize(add(full([2], 1), 2))],
  ['a jitted function', jit(() => add(full([2], 1), 2))],
])('%s resolves when the device has caught up', async (_, run) => {
  let caughtUp = false;
  let catchUp = (): void => {};
  pace = new Promise<void>((resolve) => {
    catchUp = () => {
      caughtUp = true;
      resolve();
    };
  });
  const running = Promise.resolve(run()).then(() => caughtUp);
  await new Promise((resolve) => setTimeout(resolve, 20));
  catchUp();
  expect(await running).toBe(true);
  pace = undefined;
  await run();
});
