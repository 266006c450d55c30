/** Values that are read while the caller waits, of programs that nobody has compiled. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Tensor, tensor, unregisterBackend } from '@tutti/core';
import { afterEach, expect, it, vi } from 'vitest';
import { child } from './support/child.ts';
import { id, take } from './support/default-device.ts';
import { emulation } from './support/device.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const program = (): Tensor => tensor([1, 2, 3]).mul(2).add(0.5).sum();

it('are compiled on the spot', async () => {
  const backend = await take({ cache: 'off' });
  expect(program().dataSync()).toEqual(Float32Array.of(13.5));
  expect(program().dataSync()).toEqual(Float32Array.of(13.5));
  expect(backend.compilation.compiled).toBe(1);
  expect(await program().item()).toBe(13.5);
  expect(backend.compilation.compiled).toBe(1);
});

it('come before others that wait for the same program, which get theirs too', async () => {
  await take({ cache: 'off' });
  const later = program().data();
  expect(program().dataSync()).toEqual(Float32Array.of(13.5));
  expect(await later).toEqual(Float32Array.of(13.5));
});

it('use the cache on disk, and fill it', async () => {
  const cache = mkdtempSync(join(tmpdir(), 'tutti-cuda-'));
  folders.push(cache);
  const first = await take({ cache });
  program().dataSync();
  expect(first.compilation).toMatchObject({ compiled: 1, fromDisk: 0 });
  await vi.waitUntil(() => readdirSync(cache).some((name) => name.endsWith('.cubin')));
  await unregisterBackend(id);
  const second = await take({ cache });
  expect(program().dataSync()).toEqual(Float32Array.of(13.5));
  expect(second.compilation).toMatchObject({ compiled: 0, fromDisk: 1 });
});

it('fail with what the compiler says, and leave the device usable', async () => {
  const script = `
    const { registerBackend, setDefaultDevice, tensor } = await import(${JSON.stringify(import.meta.resolve('@tutti/core'))});
    registerBackend(createCudaBackend(${JSON.stringify({ ...emulation, cache: 'off' })}));
    await setDefaultDevice('cuda-emulated');
    const x = tensor([1, 2, 3]).mul(2);
    try { x.dataSync(); } catch (error) { console.log(error.code); }
    console.log(x.dataSync().join());`;
  expect(await child(script, { faults: { compile: 1 } })).toEqual({
    code: 0,
    output: 'TUTTI_KERNEL\n2,4,6',
    errors: '',
  });
});
