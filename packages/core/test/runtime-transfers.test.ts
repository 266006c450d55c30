/** `to()`: values that go from one device to another. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type BackendFactory, OutOfMemoryError } from '../src/backend/index.ts';
import { interpreterBackend } from '../src/testing/index.ts';
import * as t from './all.ts';
import { list, vector } from './runtime-support.ts';

const known: string[] = [];

function register(name: string, priority: number, change: Partial<BackendFactory> = {}): void {
  known.push(name);
  t.registerBackend({ ...interpreterBackend({ name, priority }), ...change });
}

afterEach(async () => {
  for (const name of known.splice(0)) await t.unregisterBackend(name);
});

describe('tensors', () => {
  it('go to another device without the host, where the backend has a way', async () => {
    const taken: number[] = [];
    const open: BackendFactory['open'] = async (index) => {
      const backend = await interpreterBackend({ name: 'right' }).open(index);
      backend.copyFrom = (source, buffer, bytes) => {
        taken.push(bytes);
        if (bytes > 16) throw new OutOfMemoryError('there is no more', { received: bytes, fix: 'use less' });
        if (bytes < 8) return undefined;
        const copy = backend.allocate(bytes);
        backend.write(copy, source.readSync!(buffer, 0, bytes));
        return copy;
      };
      return backend;
    };
    register('left', 1);
    register('right', 2, { open });
    const left = await t.setDefaultDevice('left');
    const [pair, one, many, none] = [vector(1, 2).mul(2), vector(3).mul(2), t.ones([5]).mul(2), t.zeros([0])];
    const read = vi.spyOn(left.backend, 'read');
    const moved = await pair.to('right');
    expect(moved).toMatchObject({ shape: [2], dtype: 'float32' });
    expect(moved.device.id).toBe('right');
    expect(await list(moved)).toEqual([2, 4]);
    expect(read).not.toHaveBeenCalled();
    expect(await list(await one.to('right'))).toEqual([6]); // no way for so few bytes: over the host
    expect(read).toHaveBeenCalledOnce();
    await expect(many.to('right')).rejects.toMatchObject({
      code: 'TUTTI_OUT_OF_MEMORY',
      message: expect.stringContaining('to(): no memory for float32 [5] on right'),
    });
    expect(await list(await none.to('right'))).toEqual([]);
    expect(taken).toEqual([8, 4, 20]);
  });

  it('go to a device that is named, or given', async () => {
    register('left', 1);
    const x = vector(1, 2);
    for (const wrong of [undefined, 5, {}, null])
      await expect(x.to(wrong as never)).rejects.toMatchObject({ code: 'TUTTI_DEVICE', received: wrong });
  });

  it('are copied on the device where they stay', async () => {
    register('left', 1);
    const left = await t.setDefaultDevice('left');
    const x = vector(1, 2).mul(2);
    const read = vi.spyOn(left.backend, 'read');
    const copy = await x.to('left');
    expect(read).not.toHaveBeenCalled();
    x.dispose();
    expect(await list(copy)).toEqual([2, 4]);
  });
});
