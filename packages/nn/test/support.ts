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

/** A safetensors file written by hand: a header that may say anything, and the data. */
export function file(header: object | string, data: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}
