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

/** The bytes of an idx file. */
export function idx(type: number, shape: readonly number[], body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + body.length);
  bytes.set([0, 0, type, shape.length]);
  const view = new DataView(bytes.buffer);
  for (const [axis, extent] of shape.entries()) view.setUint32(4 + 4 * axis, extent);
  bytes.set(body, 4 + 4 * shape.length);
  return bytes;
}
