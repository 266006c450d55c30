import { readFile } from 'node:fs/promises';
import { registerBackend, setDefaultDevice, unregisterBackend } from '@tutti/core';
import { cpu } from '@tutti/cpu';
import { afterAll, beforeAll, expect } from 'vitest';

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

/** Runs the examples of a README, one after the other. */
export async function runExamples(readme: URL): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const examples = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code!);
  expect(examples.length).toBeGreaterThan(0);
  for (const code of examples) {
    const body = code.replace(/^import (\{[^}]*\}) from ('[^']*');/gm, 'const $1 = await load($2);');
    const run = Object.getPrototypeOf(async () => undefined).constructor('load', body) as (
      load: unknown,
    ) => unknown;
    await run((name: string) => import(name));
  }
}
