/** Bringing bytes back to the host. */
import { expect, it } from 'vitest';
import { make } from './support/device.ts';

const MiB = 1024 * 1024;

it('a buffer is read although it is freed at once, and its memory given up for other', async () => {
  const backend = await make();
  const a = backend.allocate(160 * MiB);
  backend.write(a, Uint8Array.of(1, 2, 3, 4));
  const read = backend.read(a, 0, 4);
  backend.free(a);
  const { allocations } = backend.memory();
  backend.free(backend.allocate(200 * MiB));
  expect(backend.memory()).toMatchObject({ allocations: allocations + 1, buffers: 0 });
  expect(backend.memory().reserved).toBeLessThan(360 * MiB); // that of the first was given up
  expect([...(await read)]).toEqual([1, 2, 3, 4]);
});
