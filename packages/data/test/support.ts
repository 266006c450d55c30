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

/** The bytes of an idx file. */
export function idx(type: number, shape: readonly number[], body: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + body.length);
  bytes.set([0, 0, type, shape.length]);
  const view = new DataView(bytes.buffer);
  for (const [axis, extent] of shape.entries()) view.setUint32(4 + 4 * axis, extent);
  bytes.set(body, 4 + 4 * shape.length);
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
