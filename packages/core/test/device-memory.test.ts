/** Tensors from buffers of a backend, and buffers of tensors. */
import {
  add,
  type Device,
  defaultDevice,
  jit,
  memory,
  device as openDevice,
  registerBackend,
  scope,
  setDefaultDevice,
  type Tensor,
  take,
  tensor,
  unregisterBackend,
  variable,
} from '@tutti/core';
import { type DeviceBuffer, OutOfMemoryError } from '@tutti/core/backend';
import {
  allocateElements,
  deviceBufferOf,
  fromDeviceBuffer,
  refuseInTrace,
  useDeviceBuffer,
} from '@tutti/core/interop';
import { interpreterBackend } from '@tutti/core/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

let device: Device;
beforeEach(async () => {
  registerBackend(interpreterBackend());
  device = await setDefaultDevice('interpreter');
});
afterEach(() => unregisterBackend('interpreter'));

const code = (name: string) => expect.objectContaining({ code: `TUTTI_${name}` });

function filled(values: readonly number[]): DeviceBuffer {
  const buffer = device.backend.allocate(values.length * 4);
  device.backend.write(buffer, new Uint8Array(Float32Array.from(values).buffer));
  return buffer;
}

async function contents(buffer: DeviceBuffer): Promise<number[]> {
  const bytes = await device.backend.read(buffer, 0, buffer.bytes);
  return [...new Float32Array(bytes.slice().buffer)];
}

describe('fromDeviceBuffer', () => {
  it('makes a tensor that owns the buffer', async () => {
    const before = memory()['interpreter']!.buffers;
    const x = fromDeviceBuffer(filled([1, 2, 3, 4]), { shape: [2, 2], dtype: 'float32', device });
    expect([x.shape, x.dtype, x.device, x.requiresGrad]).toEqual([[2, 2], 'float32', device, false]);
    const y = add(x, 1);
    x.dispose();
    expect(memory()['interpreter']!.buffers).toBe(before + 1); // the sum still needs it
    expect(await y.array()).toEqual([
      [2, 3],
      [4, 5],
    ]);
    y.dispose();
    expect(memory()['interpreter']!.buffers).toBe(before);
  });

  it('takes no elements as well', async () => {
    const x = fromDeviceBuffer(filled([]), { shape: [0, 3], dtype: 'float32', device });
    expect(await x.array()).toEqual([]);
  });

  it('refuses what does not fit', () => {
    const make = (shape: number[], dtype: string) => () =>
      fromDeviceBuffer(filled([1, 2]), { shape, dtype: dtype as 'float32', device });
    expect(make([3], 'float32')).toThrow(/a buffer of 8 bytes for float32 \[3\], which has 12/);
    expect(make([2], 'uint8')).toThrow(code('ARGUMENT'));
    expect(make([-2], 'float32')).toThrow(code('SHAPE'));
    expect(make([1], 'float64')).toThrow(code('DTYPE'));
  });
});

/** `[2, 3]`, which has not been computed. */
const sum = (): Tensor => scope(() => tensor([1, 2]).add(1));

describe('useDeviceBuffer', () => {
  const read = (x: Tensor) => useDeviceBuffer(x, 'show', (buffer) => contents(buffer));

  it.each([
    [
      'dispose()',
      () => {
        const x = sum();
        const shown = read(x);
        x.dispose();
        return shown;
      },
    ],
    ['the end of a scope', () => scope(() => ({ shown: [read(sum())] })).shown[0]!],
    [
      'the end of a using declaration',
      () => {
        using x = sum();
        return read(x);
      },
    ],
  ])('has the value also after %s, and gives it back then', async (_, show) => {
    expect(await show()).toEqual([2, 3]);
    expect(memory()['interpreter']!.buffers).toBe(0);
  });

  it('has what a variable was, whatever is assigned to it meanwhile', async () => {
    const v = variable(tensor([1, 2]), { requiresGrad: false });
    const increment = jit(() => {
      v.assign(add(v, 1));
      return v;
    });
    await increment();
    let between: Promise<unknown> = Promise.resolve();
    const seen = useDeviceBuffer(v, 'show', async (buffer) => {
      between = increment();
      await between;
      return contents(buffer);
    });
    expect(await seen).toEqual([2, 3]);
    expect([...(await v.data())]).toEqual([3, 4]);
  });

  it('gives the value back when what uses it fails', async () => {
    const x = tensor([1]);
    await expect(useDeviceBuffer(x, 'show', () => Promise.reject(new RangeError('no')))).rejects.toThrow(
      'no',
    );
    x.dispose();
    expect(memory()['interpreter']!.buffers).toBe(0);
  });

  it('names the function that asks', async () => {
    const gone = tensor([1]);
    gone.dispose();
    await expect(read(gone)).rejects.toMatchObject({ code: 'TUTTI_DISPOSED', op: 'show' });
    await expect(read(5 as never)).rejects.toMatchObject({ code: 'TUTTI_ARGUMENT', op: 'show' });
    const traced = jit((x: Tensor) => {
      read(x);
      return x;
    });
    await expect(traced(tensor([1]))).rejects.toMatchObject({ code: 'TUTTI_TRACE', op: 'show' });
  });
});

it('what cannot be in a plan says why', async () => {
  refuseInTrace('look'); // no trace here
  const traced = jit((x: Tensor) => {
    refuseInTrace('look', { because: 'it would look once', fix: 'look outside' });
    return x;
  });
  await expect(traced(tensor([1]))).rejects.toMatchObject({
    code: 'TUTTI_TRACE',
    op: 'look',
    message: expect.stringContaining('look inside a function that jit is tracing: it would look once'),
    fix: 'look outside',
  });
});

it('memory that there is not is said with what it was for', () => {
  const { backend } = device;
  const allocate = vi.spyOn(backend, 'allocate').mockImplementation(() => {
    throw new OutOfMemoryError('a buffer is not possible', { received: 24, fix: 'split it' });
  });
  expect(() => allocateElements('fromImage', { shape: [2, 3], dtype: 'float32', device })).toThrow(
    expect.objectContaining({
      code: 'TUTTI_OUT_OF_MEMORY',
      op: 'fromImage',
      message:
        'fromImage: no memory for float32 [2, 3] on interpreter: a buffer is not possible\n  fix: split it',
      received: 24,
      fix: 'split it',
    }),
  );
  expect(allocate).toHaveBeenCalledWith(24);
  allocate.mockRestore();
});

describe('deviceBufferOf', () => {
  it('computes, uploads, and gives what is there already', async () => {
    const buffer = filled([5, 6]);
    const x = fromDeviceBuffer(buffer, { shape: [2], dtype: 'float32', device });
    expect(await deviceBufferOf(x)).toBe(buffer);
    const y = add(x, 1);
    expect(await contents(await deviceBufferOf(y))).toEqual([6, 7]);
    expect(await contents(await deviceBufferOf(tensor([1, 2])))).toEqual([1, 2]);
  });

  it('gives the newest value of a variable, also one that is assigned meanwhile', async () => {
    const v = variable(tensor([1, 2]), { requiresGrad: false });
    v.assign(add(v, 1));
    const waiting = deviceBufferOf(v);
    v.assign(add(v, 10));
    expect(await contents(await waiting)).toEqual([12, 13]);
  });

  it('refuses a bad index, a tensor that is gone, and a trace', async () => {
    const bad = take(tensor([1, 2]), tensor([3], { dtype: 'int32' }).add(1), 0);
    await expect(deviceBufferOf(bad)).rejects.toThrow(code('INDEX'));
    const gone = tensor([1]);
    gone.dispose();
    await expect(deviceBufferOf(gone)).rejects.toThrow(code('DISPOSED'));
    const traced = jit((x: ReturnType<typeof tensor>) => {
      deviceBufferOf(x).catch(() => {});
      return x;
    });
    await expect(traced(tensor([1]))).rejects.toThrow(code('TRACE'));
  });

  it('refuses a tensor that is disposed of before its buffer is there', async () => {
    const x = sum();
    const waiting = deviceBufferOf(x, 'bufferOf');
    x.dispose();
    await expect(waiting).rejects.toMatchObject({ code: 'TUTTI_DISPOSED', op: 'bufferOf' });
    expect(memory()['interpreter']!.buffers).toBe(0);
  });

  it('opens the default device where nothing has yet', async () => {
    await unregisterBackend('interpreter');
    registerBackend(interpreterBackend());
    const x = tensor([7]);
    expect(defaultDevice().isOpen).toBe(false);
    const buffer = await deviceBufferOf(x);
    device = await openDevice('interpreter');
    expect(await contents(buffer)).toEqual([7]);
    await unregisterBackend('interpreter');
    registerBackend(interpreterBackend());
    expect(() => fromDeviceBuffer(buffer, { shape: [1], dtype: 'float32', device: defaultDevice() })).toThrow(
      code('DEVICE'),
    );
  });
});
