/** Buffers of the user as tensors, and tensors as buffers, on one device and in one process. */
import {
  add,
  concat,
  type Device,
  type DType,
  jit,
  matmul,
  memory,
  mul,
  noGrad,
  ones,
  device as openDevice,
  realize,
  registerBackend,
  setDefaultDevice,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
  unregisterBackend,
  variable,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWebgpuBackend, fromGPUBuffer, gpuBufferOf, gpuDeviceOf } from '../src/index.ts';
import { adapter } from './support/device.ts';

/** `GPUBufferUsage`, which is a global in browsers only. */
const usages = { mapRead: 1, mapWrite: 2, copySource: 4, copyTarget: 8, storage: 0x80 };
const { mapRead, copySource, copyTarget, storage } = usages;

let device: Device;
let gpu: GPUDevice;

beforeEach(async () => {
  registerBackend(createWebgpuBackend());
  device = await setDefaultDevice('webgpu');
  gpu = gpuDeviceOf();
});
afterEach(() => unregisterBackend('webgpu'));

/** A buffer of the test's own with data in it from `offset` on. */
function filled(data: Float32Array | Int32Array | Uint8Array, offset = 0, on: GPUDevice = gpu): GPUBuffer {
  const size = offset + Math.max(16, Math.ceil(data.byteLength / 16) * 16);
  const buffer = on.createBuffer({ size, usage: storage | copySource | copyTarget });
  const padded = new Uint8Array(size - offset);
  padded.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  on.queue.writeBuffer(buffer, offset, padded);
  return buffer;
}

/** What is in a buffer, by commands of the test's own. */
async function contents(buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
  const target = gpu.createBuffer({ size: bytes, usage: copyTarget | mapRead });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, target, 0, bytes);
  gpu.queue.submit([encoder.finish()]);
  await target.mapAsync(mapRead);
  return target.getMappedRange().slice(0);
}

const code = (name: string) => expect.objectContaining({ code: `TUTTI_${name}` });

describe('fromGPUBuffer', () => {
  it('reads and computes with what is in the buffer, without a copy', async () => {
    const buffer = filled(new Float32Array([1, 2, 3, 4, 5, 6]));
    const before = memory()['webgpu']!.bytes;
    const x = fromGPUBuffer(buffer, { shape: [2, 3], dtype: 'float32' });
    expect(memory()['webgpu']!.bytes).toBe(before);
    expect([x.shape, x.dtype, x.device]).toEqual([[2, 3], 'float32', device]);
    expect(await x.array()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(await matmul(x, x.transpose()).array()).toEqual([
      [14, 32],
      [32, 77],
    ]);
    gpu.queue.writeBuffer(buffer, 0, new Float32Array([10]));
    expect(await sum(x).item()).toBe(30);
  });

  it.each([
    ['float32', new Float32Array([0.5, -2, 7]), [0.5, -2, 7]],
    ['int32', new Int32Array([-1, 2, 7]), [-1, 2, 7]],
    ['uint8', new Uint8Array([255, 2, 7]), [255, 2, 7]],
    ['bool', new Uint8Array([1, 0, 1]), [1, 0, 1]],
  ] as const)('takes %s at an offset', async (dtype: DType, data, expected) => {
    const x = fromGPUBuffer(filled(data, 512), { shape: [3], dtype, offset: 512 });
    expect([...(await x.data())]).toEqual(expected);
    expect([...(await x.cast('float32').mul(2).data())]).toEqual(expected.map((each) => each * 2));
    using copy = variable(x, { requiresGrad: false });
    expect([...(await copy.data())]).toEqual(expected);
  });

  it('leaves the buffer to its owner', async () => {
    const buffer = filled(new Float32Array([1, 2, 3, 4]));
    const x = fromGPUBuffer(buffer, { shape: [4], dtype: 'float32' });
    const y = mul(x, 2);
    await realize(y);
    x.dispose();
    for (let i = 0; i < 20; i++) await realize(tensor([9, 9, 9, 9]).add(i)); // takes what memory is free
    expect([...new Float32Array(await contents(buffer, 0, 16))]).toEqual([1, 2, 3, 4]);
    gpu.queue.writeBuffer(buffer, 0, new Float32Array([7, 7, 7, 7]));
    expect(await y.array()).toEqual([2, 4, 6, 8]);
  });

  it('gives training its data, which stays as it is', async () => {
    const buffer = filled(new Float32Array([1, 2, 3, 4]));
    const weight = variable(fromGPUBuffer(buffer, { shape: [4], dtype: 'float32' }));
    const step = jit((x: typeof weight) => {
      const loss = sum(mul(weight, x));
      loss.backward();
      noGrad(() => weight.assign(sub(weight, mul(weight.grad!, 0.5))));
      weight.grad = undefined;
      return loss;
    });
    const x = fromGPUBuffer(buffer, { shape: [4], dtype: 'float32' });
    const losses = [];
    for (let i = 0; i < 3; i++) losses.push(await (await step(x as typeof weight)).item());
    expect(losses).toEqual([30, 15, 0]);
    expect(await weight.array()).toEqual([-0.5, -1, -1.5, -2]);
    expect([...new Float32Array(await contents(buffer, 0, 16))]).toEqual([1, 2, 3, 4]);
  });

  it('leaves nothing behind', async () => {
    const buffer = filled(new Float32Array(64));
    const bias = tensor(1);
    const once = async (): Promise<void> => {
      using x = fromGPUBuffer(buffer, { shape: [64], dtype: 'float32' });
      using y = add(x, bias);
      await realize(y);
    };
    await once();
    const { bytes, buffers } = memory()['webgpu']!;
    for (let i = 0; i < 300; i++) await once();
    expect(memory()['webgpu']).toMatchObject({ bytes, buffers });
  });

  it('works on a device of the user, which outlives the library', async () => {
    const own = await (await adapter()).requestDevice();
    registerBackend({ ...createWebgpuBackend({ device: own }), name: 'own' });
    const borrowed = await openDevice('own');
    expect(gpuDeviceOf(borrowed)).toBe(own);
    const buffer = filled(new Float32Array([3]), 0, own);
    const x = fromGPUBuffer(buffer, { shape: [], dtype: 'float32', device: borrowed });
    expect(await x.add(1).item()).toBe(4);
    await unregisterBackend('own');
    own.queue.writeBuffer(buffer, 0, new Float32Array([5]));
    const encoder = own.createCommandEncoder();
    const target = own.createBuffer({ size: 4, usage: copyTarget | mapRead });
    encoder.copyBufferToBuffer(buffer, 0, target, 0, 4);
    own.queue.submit([encoder.finish()]);
    await target.mapAsync(mapRead);
    expect(new Float32Array(target.getMappedRange())[0]).toBe(5);
    own.destroy();
  });

  it('says what is wrong with a buffer', async () => {
    const buffer = filled(new Float32Array(8));
    const take = (what: GPUBuffer, shape = [8], options = {}) =>
      fromGPUBuffer(what, { shape, dtype: 'float32', ...options });
    expect(() => take(buffer, [9])).toThrow(/has 32 bytes, and float32 \[9\] at offset 0 needs 48/);
    expect(() => take(buffer, [1], { offset: 4 })).toThrow(/offset 4 is not a multiple of 256/);
    expect(() => take(buffer, [1], { offset: -256 })).toThrow(code('ARGUMENT'));
    expect(() => take(buffer, [2, -1])).toThrow(/fromGPUBuffer: \[2,-1\] is not a shape/);
    expect(() => take(buffer, 8 as never)).toThrow(/fromGPUBuffer: 8 is not a shape\n.*\[8\]/s);
    expect(() => fromGPUBuffer(buffer, { dtype: 'float32' } as never)).toThrow(/undefined is not a shape/);
    expect(() => take(buffer, [2], { dtype: 'float64' })).toThrow(code('DTYPE'));
    expect(() => take({} as GPUBuffer)).toThrow(/expected a GPUBuffer, received an object/);
    expect(() => take(buffer, [1], { byteOffset: 256 })).toThrow(code('ARGUMENT'));
    expect(() => fromGPUBuffer(buffer, undefined as never)).toThrow(code('ARGUMENT'));
    const uniform = gpu.createBuffer({ size: 32, usage: 0x40 | copyTarget });
    expect(() => take(uniform)).toThrow(/usage lacks STORAGE and COPY_SRC/);
    const mapped = gpu.createBuffer({ size: 32, usage: storage | copySource, mappedAtCreation: true });
    expect(() => take(mapped)).toThrow(/mapped/);
    mapped.unmap();
    expect(await take(mapped).array()).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('is for devices of this backend, and for buffers of the same device', async () => {
    registerBackend(interpreterBackend());
    const elsewhere = await openDevice('interpreter');
    const options = { shape: [1], dtype: 'float32' } as const;
    expect(() => fromGPUBuffer(filled(new Float32Array(4)), { ...options, device: elsewhere })).toThrow(
      /device interpreter is not one of WebGPU/,
    );
    await expect(gpuBufferOf(tensor([1], { device: elsewhere }))).rejects.toThrow(code('DEVICE'));
    expect(() => gpuDeviceOf(elsewhere)).toThrow(code('DEVICE'));
    const promised = openDevice('webgpu') as unknown as Device;
    expect(() => gpuDeviceOf(promised)).toThrow(
      /gpuDeviceOf: expected a device, received a promise\n.*await it first/s,
    );
    const mine = gpu as unknown as Device;
    expect(() => gpuDeviceOf(mine)).toThrow(/createWebgpuBackend\(\{ device: yours \}\)/);
    await unregisterBackend('interpreter');

    const other = await (await adapter()).requestDevice();
    const foreign = fromGPUBuffer(filled(new Float32Array(4), 0, other), options);
    await expect(foreign.add(1).item()).rejects.toMatchObject({
      code: 'TUTTI_KERNEL',
      fix: expect.stringMatching(
        /^a GPUBuffer of yours .* of the same device, gpuDeviceOf\(\).*The device has ended/,
      ),
    });
    other.destroy();
  });
});

it('a device that is not open says how to open it', async () => {
  await unregisterBackend('webgpu');
  registerBackend(createWebgpuBackend());
  expect(() => gpuDeviceOf()).toThrow(/gpuDeviceOf: .*not been opened yet\n.*setDefaultDevice\('webgpu'\)/s);
});

it('a tensor beyond every limit is told as such, and the device goes on', async () => {
  const huge = ones([40_000, 40_000]).mul(2);
  await expect(realize(huge)).rejects.toThrow(
    /no memory for float32 .* on webgpu: a buffer of 6400000000 bytes \(6103\.5 MiB\) is not possible/,
  );
  expect(await tensor([1]).add(1).item()).toBe(2);
});

it('a tensor of a device that ended does not meet those of the next', async () => {
  const old = tensor([1]);
  await realize(old);
  gpu.destroy();
  await expect
    .poll(() =>
      old
        .add(1)
        .data()
        .then(() => '', String),
    )
    .toMatch(/was destroyed, by the program/);
  await setDefaultDevice('webgpu');
  expect(() => old.add(tensor([1]))).toThrow(
    /add: operands on two devices called webgpu.*\n.*make the tensors/,
  );
  expect(() => concat([old, tensor([1])])).toThrow(/concat: operands on two devices called webgpu/);
});

describe('gpuBufferOf', () => {
  it('computes the tensor, for commands that come after', async () => {
    const x = tensor([1, 2, 3]).mul(2).add(1);
    const { buffer, offset, size } = await gpuBufferOf(x);
    expect(size).toBe(12);
    expect([...new Float32Array(await contents(buffer, offset, size))]).toEqual([3, 5, 7]);
  });

  it('gives data that is still on the host, and the buffer that a tensor was made of', async () => {
    const host = await gpuBufferOf(tensor([1, 2, 3], { dtype: 'uint8' }));
    expect(host.size).toBe(3);
    expect([...new Uint8Array(await contents(host.buffer, host.offset, 4)).subarray(0, 3)]).toEqual([
      1, 2, 3,
    ]);

    const buffer = filled(new Int32Array([4, 5]), 256);
    const x = fromGPUBuffer(buffer, { shape: [2], dtype: 'int32', offset: 256 });
    expect(await gpuBufferOf(x)).toEqual({ buffer, offset: 256, size: 8 });
  });

  it('gives the value of a variable as it is now', async () => {
    const v = variable(tensor([1, 2]));
    noGrad(() => v.assign(add(v, 10)));
    const { buffer, offset, size } = await gpuBufferOf(v);
    expect([...new Float32Array(await contents(buffer, offset, size))]).toEqual([11, 12]);
  });

  it('refuses what is no tensor', async () => {
    await expect(gpuBufferOf([1] as unknown as Tensor)).rejects.toThrow(
      /must be a tensor, received an array/,
    );
  });

  it('refuses what has been disposed of, and what came from a bad index', async () => {
    const x = tensor([1, 2]);
    x.dispose();
    await expect(gpuBufferOf(x)).rejects.toThrow(code('DISPOSED'));
    const bad = take(tensor([1, 2, 3]), tensor([4], { dtype: 'int32' }).add(1), 0);
    await expect(gpuBufferOf(bad)).rejects.toThrow(code('INDEX'));
  });
});
