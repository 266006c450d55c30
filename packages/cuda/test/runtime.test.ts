/** Programs, memory and commands through the addon, on an emulated device. */
import { readdirSync, truncateSync } from 'node:fs';
import type { Command, DeviceBuffer } from '@tutti/core/backend';
import { describe, expect, it } from 'vitest';
import { createCudaBackend } from '../src/index.ts';
import { download, emulation, emulator, make, ready, upload } from './support/device.ts';
import { temporaryFolder } from './support/folder.ts';
import {
  affine,
  blockSums,
  bytesOf,
  dispatch,
  increment,
  intsOf,
  invalid,
  reversed,
  storeScalars,
} from './support/programs.ts';

describe('programs', () => {
  it('of several stages go through the workspace, which grows between them', async () => {
    const backend = await make();
    const earlier: { command: Command; output: DeviceBuffer; expected: number[] }[] = [];
    for (const n of [100, 5000, 300]) {
      const input = Array.from({ length: n }, (_, i) => i * i);
      const [a, b] = [upload(backend, input), backend.allocate(n * 4)];
      const [program] = await ready(backend, reversed(n));
      const command = dispatch(program!, [a, b]);
      const expected = input.map((_, i) => input[n - 1 - i]! + i);
      backend.submit([command]);
      expect(await download(backend, b)).toEqual(expected);
      earlier.push({ command, output: b, expected });
    }
    // Also those that were encoded before it grew.
    for (const { output } of earlier) backend.write(output, new Uint8Array(output.bytes));
    backend.submit(earlier.map(({ command }) => command));
    for (const { output, expected } of earlier) expect(await download(backend, output)).toEqual(expected);
  });

  it('get their scalars with all bits, and pointers between them', async () => {
    const backend = await make();
    const [program] = await ready(backend, storeScalars);
    const out = backend.allocate(32);
    const values = [-0, -1, 4294967295, 1, Number.NaN, -Infinity, -(2 ** 31), 0];
    backend.submit([dispatch(program!, [out], values)]);
    expect(await download(backend, out)).toEqual(
      [0x80000000, 0xffffffff, 0xffffffff, 1, 0x7fc00000, 0xff800000, 0x80000000, 0].map((bits) => bits | 0),
    );
  });

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

describe('times', () => {
  it('are those of each command, copies as well', async () => {
    const backend = await make();
    const [long, short] = await ready(backend, affine(64, 1000), affine(64));
    const [a, b] = [upload(backend, new Int32Array(64).fill(1)), backend.allocate(256)];
    const copy: Command = { kind: 'copy', source: b, target: a, bytes: 256 };
    const once = dispatch(short!, [a, b], [0]);
    const times = await backend.time([dispatch(long!, [a, b], [0]), once, copy, once, once, copy]);
    expect(times).toHaveLength(6);
    expect(times.every((time) => time >= 0 && Number.isFinite(time))).toBe(true);
    expect(await download(backend, a)).toEqual(new Array(64).fill(9));
    expect(await backend.time([])).toEqual([]);
  });
});

describe('buffers', () => {
  it('are written, read and copied at any byte, without touching their neighbours', async () => {
    const backend = await make();
    for (const bytes of [0, 1, 3, 63, 1001, 70_001]) {
      for (const extra of [0, 1, 6]) {
        const data = Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 1);
        const [source, target] = [backend.allocate(bytes), backend.allocate(bytes + extra)];
        backend.write(source, data);
        backend.write(target, new Uint8Array(bytes + extra).fill(9));
        backend.submit([{ kind: 'copy', source, target, bytes }]);
        const result = await backend.read(target, 0, bytes + extra);
        expect(Buffer.from(result.slice(0, bytes))).toEqual(Buffer.from(data));
        expect([...result.slice(bytes)]).toEqual(new Array(extra).fill(9));
        const from = Math.min(3, bytes);
        expect(backend.readSync(target, from, bytes - from)).toEqual(result.slice(from, bytes));
      }
    }
  });

  it('may be changed by the caller once written, and read while more are read', async () => {
    const backend = await make();
    const buffer = backend.allocate(8);
    const data = bytesOf([1, 2]);
    backend.write(buffer, data);
    data.fill(0);
    const before = download(backend, buffer);
    backend.write(buffer, bytesOf([3]), 4);
    const after = download(backend, buffer);
    backend.free(buffer);
    backend.write(backend.allocate(8), bytesOf([7, 7]));
    expect(await Promise.all([before, after])).toEqual([
      [1, 2],
      [1, 3],
    ]);
    const many = Array.from({ length: 300 }, (_, i) => upload(backend, new Int32Array(2000).fill(i)));
    const results = await Promise.all(many.map((each) => download(backend, each)));
    expect(results.map((values) => values[1999])).toEqual(many.map((_, i) => i));
  });

  it('larger than what uploads go through arrive whole', async () => {
    const backend = await make();
    const data = new Int32Array(20_000_000).map((_, i) => i);
    const buffer = upload(backend, data);
    expect(Buffer.compare(await backend.read(buffer, 0, buffer.bytes), new Uint8Array(data.buffer))).toBe(0);
  });

  it('belong to their device', async () => {
    const [one, two] = [await make(), await make()];
    const [[p], [q]] = await Promise.all([ready(one, increment(4)), ready(two, increment(4))]);
    const [a, b] = [upload(one, [1, 2, 3, 4]), upload(two, [5, 6, 7, 8])];
    const refused = expect.objectContaining({ code: 'TUTTI_DEVICE' });
    expect(() => one.submit([dispatch(p!, [b])])).toThrow(refused);
    expect(() => one.submit([dispatch(q!, [a])])).toThrow(refused);
    expect(() => one.free(b)).toThrow(refused);
    one.submit([dispatch(p!, [a])]);
    two.submit([dispatch(q!, [b])]);
    one.dispose();
    expect(await download(two, b)).toEqual([6, 7, 8, 9]);
  });
});

describe('the queue', () => {
  it.each(['auto', 'off'] as const)(
    'keeps the order of submissions, writes, copies, reads and frees through 2,000 random steps, graphs: %s',
    async (graphs) => {
      const backend = await make({ graphs });
      let state = 12345;
      const below = (limit: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * limit);
      };
      const n = 64;
      const programs = await ready(backend, affine(n), affine(n, 200));
      const fresh = (): { buffer: DeviceBuffer; model: number[] } => {
        const model = Array.from({ length: n }, () => below(1000));
        return { buffer: upload(backend, model), model };
      };
      const cells = Array.from({ length: 6 }, fresh);
      // A list that is submitted again and again, over cells of its own, with one command that changes.
      const ring = Array.from({ length: 4 }, fresh);
      const list = Array.from({ length: 12 }, (_, i) =>
        dispatch(programs[0]!, [ring[i % 4]!.buffer, ring[(i + 1) % 4]!.buffer], [i]),
      );
      const replay = (): void => {
        const scalar = below(50);
        const [from, to] = [cells[below(6)]!, ring[0]!];
        list[5] = dispatch(programs[1]!, [from.buffer, to.buffer], [scalar]);
        backend.submit(list);
        for (let i = 0; i < 12; i++) {
          const [a, b] = i === 5 ? [from, to] : [ring[i % 4]!, ring[(i + 1) % 4]!];
          b.model = a.model.map((v) => (Math.imul(v, 3) + (i === 5 ? scalar : i)) | 0);
        }
      };
      const reads: Promise<void>[] = [];
      for (let step = 0; step < 2000; step++) {
        const [a, b] = [cells[below(6)]!, cells[below(6)]!];
        const kind = below(22);
        if (kind < 8 && a !== b) {
          const scalar = below(100) - 50;
          backend.submit([dispatch(programs[below(2)]!, [a.buffer, b.buffer], [scalar])]);
          b.model = a.model.map((v) => (Math.imul(v, 3) + scalar) | 0);
        } else if (kind < 10) {
          replay();
        } else if (kind < 13 && a !== b) {
          const bytes = below(n * 4 + 1);
          backend.submit([{ kind: 'copy', source: a.buffer, target: b.buffer, bytes }]);
          const mixed = bytesOf(b.model);
          mixed.set(bytesOf(a.model).subarray(0, bytes));
          b.model = intsOf(mixed);
        } else if (kind < 16) {
          const cell = kind === 15 ? ring[below(4)]! : a;
          const data = Uint8Array.from({ length: below(20) }, () => below(256));
          const at = below(n * 4 - data.length + 1);
          backend.write(cell.buffer, data, at);
          const mixed = bytesOf(cell.model);
          mixed.set(data, at);
          cell.model = intsOf(mixed);
        } else if (kind < 18) {
          backend.free(a.buffer);
          Object.assign(a, fresh());
        } else if (kind < 20) {
          const expected = a.model.slice();
          reads.push(download(backend, a.buffer).then((values) => expect(values).toEqual(expected)));
        } else if (kind === 20 && below(6) === 0) {
          await Promise.all(reads.splice(0));
        } else if (kind === 21 && below(6) === 0) {
          expect(intsOf(backend.readSync(a.buffer, 0, n * 4))).toEqual(a.model);
        }
      }
      await Promise.all(reads);
      for (const { buffer, model } of [...cells, ...ring])
        expect(await download(backend, buffer)).toEqual(model);
      const { overlappedWrites, orderedWrites, graphs: made } = backend.statistics;
      expect(overlappedWrites).toBeGreaterThan(0);
      expect(orderedWrites).toBeGreaterThan(0);
      expect(made).toBe(graphs === 'auto' ? 1 : 0);
      for (const { buffer } of [...cells, ...ring]) backend.free(buffer);
      expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
    },
    60_000,
  );

  it('takes 10,000 commands without a look at the device, in one submission and in many', async () => {
    const backend = await make();
    const [program] = await ready(backend, increment(64));
    const a = upload(backend, new Int32Array(64));
    const commands = Array.from({ length: 100 }, () => dispatch(program!, [a]));
    backend.submit(Array.from({ length: 50 }, () => commands).flat());
    for (const command of commands) for (let i = 0; i < 50; i++) backend.submit([command]);
    expect(await download(backend, a)).toEqual(new Array(64).fill(10_000));
  });

  it('resolves fences in order, also those that are looked at late', async () => {
    const backend = await make();
    const [program] = await ready(backend, increment(1));
    const a = upload(backend, [0]);
    const fences = Array.from({ length: 20 }, () => backend.submit([dispatch(program!, [a])]));
    const order: number[] = [];
    await Promise.all([19, 3, 11].map((i) => fences[i]!.done.then(() => order.push(i))));
    expect(order.indexOf(3)).toBeLessThan(order.indexOf(19));
    expect(order.indexOf(11)).toBeLessThan(order.indexOf(19));
    await fences[0]!.done;
  });
});

describe('memory', () => {
  it('stays flat over 1,000 steps that allocate, compute, read and free', async () => {
    const backend = await make();
    const [program] = await ready(backend, affine(1024));
    const step = async (i: number): Promise<void> => {
      const a = upload(backend, new Int32Array(1024).fill(i));
      const b = backend.allocate(1024 * 4);
      await backend.submit([dispatch(program!, [a, b], [i])]).pace;
      backend.free(a);
      if (i % 10 === 0) expect((await download(backend, b))[1023]).toBe(4 * i);
      backend.free(b);
    };
    for (let i = 0; i < 20; i++) await step(i);
    const [before, native] = [backend.memory(), backend.statistics];
    expect(before).toMatchObject({ bytes: 0, buffers: 0 });
    for (let i = 0; i < 1000; i++) await step(i);
    expect(backend.memory()).toEqual(before);
    expect(backend.statistics).toMatchObject({ allocations: native.allocations, bytes: native.bytes });
  }, 60_000);

  it('of the driver is that of the pool', async () => {
    const backend = await make();
    const buffers = [100, 1000, 100_000].map((bytes) => backend.allocate(bytes));
    expect(backend.statistics.bytes).toBe(backend.memory().reserved);
    for (const buffer of buffers) backend.free(buffer);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });
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
            /compute capability \d+\.\d, .*GiB, driver for CUDA 1\d\.\d, NVRTC 1\d\.\d, emulated on the processor$/,
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
