/** Programs, memory and commands through the addon, on an emulated device. */

import { readdirSync, truncateSync } from 'node:fs';
import { deviceChecks, dispatch, download, randomSteps, upload } from '@tutti/core/testing';
import { describe, expect, it, test } from 'vitest';
import { createCudaBackend } from '../src/index.ts';
import { checked, emulation, emulator, make, ready } from './support/device.ts';
import { temporaryFolder } from './support/folder.ts';
import { blockSums, increment, invalid } from './support/programs.ts';

test.each(deviceChecks)('$name', { timeout: 60_000 }, ({ run }) => run(async () => checked(await make())));

describe('programs', () => {
  it('have dynamic shared memory', async () => {
    const backend = await make();
    const [program] = await ready(backend, blockSums(256));
    const [a, b] = [
      upload(
        backend,
        Array.from({ length: 256 }, (_, i) => i),
      ),
      backend.allocate(16),
    ];
    backend.submit([dispatch(program!, [a, b])]);
    expect(await download(backend, b)).toEqual([2016, 6112, 10208, 14304]);
    expect(backend.resources(program!)).toHaveLength(1);
  });

  it('that do not compile show their text with line numbers, and leave the device as it was', async () => {
    const backend = await make();
    const broken = [backend.load(invalid), backend.load(invalid)];
    const results = await Promise.allSettled(broken.map((program) => program.ready));
    for (const result of results) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'TUTTI_KERNEL',
          op: 'invalid',
          message: expect.stringMatching(/^kernel invalid does not compile: line 4: .*missing/),
          received: expect.stringMatching(/^1 {2}extern "C".*\n4 {4}a\[0\] = missing;\n.*\n\n.*missing/s),
        },
      });
    }
    const [program] = await ready(backend, increment(1));
    const a = upload(backend, [1]);
    backend.submit([dispatch(program!, [a])]);
    expect(await download(backend, a)).toEqual([2]);
  });

  it('are kept on disk for the next device, and compiled again where the entry is damaged', async () => {
    const cache = temporaryFolder();
    const course = async (): Promise<unknown> => {
      const backend = await make({ cache });
      const [program] = await ready(backend, increment(3));
      const a = upload(backend, [1, 2, 3]);
      backend.submit([dispatch(program!, [a])]);
      expect(await download(backend, a)).toEqual([2, 3, 4]);
      const { compiled, fromDisk } = backend.compilation;
      return { compiled, fromDisk };
    };
    expect(await course()).toEqual({ compiled: 1, fromDisk: 0 });
    expect(await course()).toEqual({ compiled: 0, fromDisk: 1 });
    for (const name of readdirSync(cache)) truncateSync(`${cache}/${name}`, 100);
    expect(await course()).toEqual({ compiled: 1, fromDisk: 0 });
    expect(await course()).toEqual({ compiled: 0, fromDisk: 1 });
  });
});

describe('buffers', () => {
  it('larger than what uploads go through arrive whole', async () => {
    const backend = await make();
    const data = new Int32Array(20_000_000).map((_, i) => i);
    const buffer = upload(backend, data);
    expect(Buffer.compare(await backend.read(buffer, 0, buffer.bytes), new Uint8Array(data.buffer))).toBe(0);
  });
});

it('programs belong to their device', async () => {
  const [one, two] = [await make(), await make()];
  const [q] = await ready(two, increment(4));
  const a = upload(one, [1, 2, 3, 4]);
  expect(() => one.submit([dispatch(q!, [a])])).toThrow(expect.objectContaining({ code: 'TUTTI_DEVICE' }));
});

it.each([
  ['auto', 1],
  ['off', 0],
] as const)(
  'everything keeps its order, beside the work and as graphs, which are %s',
  async (graphs, made) => {
    const backend = await make({ graphs });
    await randomSteps(async () => checked(backend), 2000);
    const { overlappedWrites, orderedWrites, graphs: found } = backend.statistics;
    expect(overlappedWrites).toBeGreaterThan(0);
    expect(orderedWrites).toBeGreaterThan(0);
    expect(found).toBe(made);
  },
  60_000,
);

it('memory of the driver is that of the pool', async () => {
  const backend = await make();
  const buffers = [100, 1000, 100_000].map((bytes) => backend.allocate(bytes));
  expect(backend.statistics.bytes).toBe(backend.memory().reserved);
  for (const buffer of buffers) backend.free(buffer);
  expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
});

describe('the factory', () => {
  it('is called by another name, and its devices say that they are emulated', async () => {
    const factory = createCudaBackend(emulation);
    expect(factory.name).toBe('cuda-emulated');
    const probed = await factory.probe();
    expect(probed).toMatchObject({
      available: true,
      devices: [
        {
          emulated: true,
          description: expect.stringMatching(
            /compute capability \d+\.\d, .*GiB, driver for CUDA 1\d\.\d, NVRTC 1\d\.\d, cuBLASLt off, emulated on the processor$/,
          ),
          capabilities: { syncRead: true, timing: true, buffersPerKernel: 64 },
        },
      ],
    });
    await expect(factory.open(7)).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('there is no device cuda-emulated:7'),
    });
  });

  it('never takes an emulator for a GPU', async () => {
    const factory = createCudaBackend({ driver: emulator.driver, nvrtc: emulator.compiler });
    expect(factory.name).toBe('cuda');
    expect(await factory.probe()).toEqual({
      available: false,
      reason: `${emulator.driver}, which the option driver names, emulates a GPU on the processor`,
      fix: expect.stringContaining('emulation: true'),
    });
    await expect(factory.open(0)).rejects.toMatchObject({ code: 'TUTTI_BACKEND_UNAVAILABLE' });
  });

  it('says where NVRTC is missing, and where its cache cannot be written', async () => {
    const missing = createCudaBackend({ ...emulation, nvrtc: '/nowhere/libnvrtc.so.13' });
    expect(await missing.probe()).toMatchObject({
      available: false,
      reason: 'the NVRTC that the option nvrtc names, /nowhere/libnvrtc.so.13, was not found',
    });
    const cache = `${emulator.driver}/cache`;
    const probed = await createCudaBackend({ ...emulation, cache }).probe();
    expect(probed).toHaveProperty(
      'devices.0.description',
      expect.stringContaining('compiled kernels are not kept'),
    );
    const backend = await make({ cache });
    const [program] = await ready(backend, increment(1));
    const a = upload(backend, [1]);
    backend.submit([dispatch(program!, [a])]);
    expect(await download(backend, a)).toEqual([2]);
  });
});
