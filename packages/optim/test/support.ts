import { registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import { cpu } from '@tutti/cpu';
import { afterAll, beforeAll } from 'vitest';

/** Runs the tests of this file on the CPU. */
export function onCpu(): void {
  beforeAll(async () => {
    registerBackend(cpu);
    await setDefaultDevice('cpu');
  });
  afterAll(() => unregisterBackend('cpu'));
}

