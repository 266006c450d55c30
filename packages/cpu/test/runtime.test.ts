import type { Backend, DeviceBuffer } from '@tutti/core/backend';
import {
  bytesOf,
  type CheckedDevice,
  copy,
  deviceChecks,
  dispatch,
  download,
  intsOf,
  randomSteps,
  upload,
} from '@tutti/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { CpuBackend } from '../dist/backend.js';
import { createCpuBackend } from '../dist/index.js';
import {
  affine,
  burn,
  increment,
  invalid,
  reversed,
  storeScalars,
  threeStages,
  throughScratch,
  trap,
} from './support/programs.ts';

const probe = await createCpuBackend().probe();
if (!probe.available) throw new Error(probe.reason);
const [info] = probe.devices as [(typeof probe.devices)[0]];

const open: Backend[] = [];
function make(threads: number, inlineBelow?: number): CpuBackend {
  const backend = new CpuBackend({ info, threads, ...(inlineBelow === undefined ? {} : { inlineBelow }) });
  open.push(backend);
  return backend;
}
afterEach(() => {
  for (const backend of open.splice(0)) backend.dispose();
});

/** Every way a submission can take: this thread, workers, and more workers than cores. */
const ways = [
  { name: 'one thread', threads: 1 },
  { name: 'two workers', threads: 2, inlineBelow: 0 },
  { name: 'five workers', threads: 5, inlineBelow: 0 },
  { name: 'mixed', threads: 2 },
];

const checked = (backend: CpuBackend): CheckedDevice => ({
  backend,
  // Work of 64 elements is done at once, or shared by threads.
  affine: (n, turns = 1) => affine(n, 10 * turns),
  increment,
  reversed,
  storeScalars: () => storeScalars,
});

describe.each(ways)('$name', ({ threads, inlineBelow }) => {
  it('runs programs, with barriers between their stages', async () => {
    const backend = make(threads, inlineBelow);
    const n = 1000;
    const input = Array.from({ length: n }, (_, i) => i * i);
    const a = upload(backend, input);
    const b = backend.allocate((n + 1) * 4);
    const program = threeStages(n, 100);
    const command = dispatch(program, [a, b]);
    const expected = input.map((_, i) => input[n - 1 - i]! + i);
    expected.push(input.reduce((x, y) => x + y));
    for (let round = 0; round < 200; round++) {
      backend.write(b, bytesOf(new Int32Array(n + 1)));
      backend.submit([command]);
      expect(await download(backend, b)).toEqual(expected);
    }
  });

  it('gives every thread scratch memory of its own', async () => {
    const backend = make(threads, inlineBelow);
    for (const n of [100, 5000, 300]) {
      const out = backend.allocate(n * 4);
      backend.submit([dispatch(throughScratch(n, 1000), [out])]);
      expect(await download(backend, out)).toEqual(Array.from({ length: n }, (_, i) => i));
    }
  });

  it.each(deviceChecks)('$name', { timeout: 60_000 }, ({ run }) =>
    run(async () => checked(make(threads, inlineBelow))),
  );

  it('and through 10,000', () => randomSteps(async () => checked(make(threads, inlineBelow)), 10_000));

  it('takes submissions larger than the ring, and many without waiting', async () => {
    const backend = make(threads, inlineBelow);
    const a = upload(backend, [1]);
    const b = backend.allocate(4);
    const there = dispatch(affine(1, 1), [a, b], [1]);
    const back = copy(b, a, 4);
    let model = 1;
    const many = Array.from({ length: 10_000 }, () => [there, back]).flat();
    for (let i = 0; i < 10_000; i++) model = (Math.imul(model, 3) + 1) | 0;
    await backend.submit(many).done;
    expect(await download(backend, a)).toEqual([model]);
    let last = backend.submit([]);
    for (let round = 0; round < 30; round++) {
      last = backend.submit(many.slice(0, 2000));
      for (let i = 0; i < 1000; i++) model = (Math.imul(model, 3) + 1) | 0;
    }
    await last.done;
    expect(intsOf(backend.readSync(a, 0, 4))).toEqual([model]);
  });

  it('grows while work is queued', async () => {
    const backend = make(threads, inlineBelow);
    const n = 1 << 18;
    const zero = backend.allocate(n * 4);
    backend.write(zero, new Uint8Array(n * 4));
    const program = affine(n, 1);
    let from = zero;
    const outputs: DeviceBuffer[] = [];
    for (let i = 1; i <= 20; i++) {
      const to = backend.allocate(n * 4);
      backend.submit([dispatch(program, [from, to], [i])]);
      outputs.push(to);
      from = to;
    }
    let model = 0;
    for (const [i, buffer] of outputs.entries()) {
      model = (Math.imul(model, 3) + i + 1) | 0;
      expect(new Set(await download(backend, buffer))).toEqual(new Set([model]));
      backend.free(buffer);
    }
    backend.free(zero);
    const memory = backend.memory();
    expect(memory).toMatchObject({ bytes: 0, buffers: 0 });
    expect(memory.reserved).toBeGreaterThan(20e6);
    expect(memory.allocations).toBeLessThan(20);
  });

  it('takes new programs while workers look for work', async () => {
    const backend = make(threads, inlineBelow);
    for (let round = 0; round < 300; round++) {
      const a = upload(backend, [round]);
      const b = backend.allocate(4);
      backend.submit([dispatch(affine(1, 1e6), [a, b], [1]), dispatch(affine(1, 1), [b, a], [2])]);
      if (round % 3 > 0) expect(await download(backend, a)).toEqual([9 * round + 5]);
      else expect(intsOf(backend.readSync(a, 0, 4))).toEqual([9 * round + 5]);
    }
  });

  it('copies any number of bytes', async () => {
    const backend = make(threads, inlineBelow);
    for (const bytes of [0, 1, 63, 4095, 4096, 4097, 1_000_001]) {
      const source = backend.allocate(bytes + 8);
      const target = backend.allocate(bytes + 8);
      backend.write(source, new Uint8Array(bytes + 8).fill(7));
      backend.write(target, new Uint8Array(bytes + 8).fill(9));
      await backend.submit([{ kind: 'copy', source, target, bytes }]).done;
      const result = await backend.read(target, 0, bytes + 8);
      expect(result.subarray(0, bytes).every((byte) => byte === 7)).toBe(true);
      expect(result.subarray(bytes).every((byte) => byte === 9)).toBe(true);
    }
  });

  it('names the kernel that traps, in every pending fence, and refuses work from then on', async () => {
    const backend = make(threads, inlineBelow);
    const buffer = backend.allocate(4);
    const fences = [[dispatch(trap(), [])], [dispatch(burn(1000), [])]].map((commands) => {
      try {
        return backend.submit(commands).done;
      } catch (error) {
        return Promise.reject(error);
      }
    });
    for (const result of await Promise.allSettled(fences)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'TUTTI_KERNEL', op: 'trapping' } });
    }
    expect(() => backend.submit([dispatch(burn(10), [])])).toThrow(/trapping/);
    expect(() => backend.readSync(buffer, 0, 4)).toThrow(/trapping.*unreachable/s);
    await expect(backend.read(buffer, 0, 4)).rejects.toThrow(/trapping/);
  });

  it('reports a trap to a blocked reader', () => {
    const backend = make(threads, inlineBelow);
    const a = upload(backend, [1]);
    const b = backend.allocate(4);
    backend.submit([dispatch(trap(), []), dispatch(affine(1, 1), [a, b], [0])]);
    expect(() => backend.readSync(b, 0, 4)).toThrow(/trapping/);
  });

  it('refuses an invalid program, and still runs those that came with it', async () => {
    const backend = make(threads, inlineBelow);
    const a = upload(backend, [5]);
    const b = backend.allocate(4);
    const good = dispatch(affine(1, 1), [a, b], [2]);
    for (let i = 0; i < 3; i++) {
      expect(() => backend.submit([good, dispatch(invalid, [])])).toThrow(
        expect.objectContaining({ code: 'TUTTI_KERNEL', op: 'invalid', received: 'source of invalid' }),
      );
    }
    backend.submit([good]);
    expect(await download(backend, b)).toEqual([17]);
  });

  it('stops at once when it is disposed of while busy', async () => {
    const backend = make(threads, inlineBelow);
    const fence = backend.submit([dispatch(burn(threads === 1 ? 10 : 2_000_000_000), [])]);
    const { done } = fence;
    if (threads > 1) expect(await Promise.race([done, Promise.resolve('busy')])).toBe('busy');
    const settled = Promise.allSettled([done]);
    backend.dispose();
    if (threads > 1) {
      expect(await settled).toMatchObject([{ status: 'rejected', reason: { code: 'TUTTI_DISPOSED' } }]);
    }
    expect(() => backend.allocate(4)).toThrow(expect.objectContaining({ code: 'TUTTI_DISPOSED' }));
    expect(() => backend.submit([])).toThrow(/disposed/);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('measures each command', async () => {
    const backend = make(threads, inlineBelow);
    const commands = [burn(10_000_000), burn(100)].map((p) => dispatch(p, []));
    await backend.submit(commands).done;
    const rounds = Array.from({ length: 250 }, () => commands[1]!);
    const times = await backend.time([commands[0]!, ...rounds, commands[0]!]);
    expect(times.length).toBe(252);
    expect(times.every((time) => time >= 0)).toBe(true);
    // The least of the short ones: on a busy machine any single one may have been interrupted.
    const short = Math.min(...times.slice(1, -1));
    expect(times[0]!).toBeGreaterThan(10 * short);
    expect(times.at(-1)!).toBeGreaterThan(10 * short);
  });
});

describe('buffers', () => {
  it('fills 4 GiB, and then says what was asked for', () => {
    const backend = make(2);
    const { bytesPerBuffer } = info.capabilities;
    expect(() => backend.allocate(bytesPerBuffer + 1)).toThrow(/2147418113 bytes/);
    const low = backend.allocate(bytesPerBuffer);
    const high = backend.allocate(bytesPerBuffer);
    backend.write(high, bytesOf([42]), bytesPerBuffer - 4);
    expect(intsOf(backend.readSync(high, bytesPerBuffer - 4, 4))).toEqual([42]);
    expect(() => backend.allocate(1 << 20)).toThrow(
      /1048576 bytes \(1\.0 MiB\) were asked for; 4294836224 bytes \(4095\.9 MiB\) are in use by 2 buffers/,
    );
    backend.free(low);
    backend.submit([dispatch(affine(1, 1e6), [high, backend.allocate(1 << 20)], [0])]);
    expect(backend.memory().bytes).toBe(bytesPerBuffer + (1 << 20));
  });
});

describe('factory', () => {
  it('opens one device, with as many threads as asked for', async () => {
    const two = await createCpuBackend({ threads: 2 }).open(0);
    expect(two.info.description).toMatch(/, 2 threads, SIMD with relaxed FMA$/);
    two.dispose();
    const probeOne = await createCpuBackend({ threads: 1 }).probe();
    expect(probeOne).toMatchObject({ available: true, devices: [{ emulated: false }] });
    await expect(createCpuBackend().open(1)).rejects.toMatchObject({ code: 'TUTTI_BACKEND_UNAVAILABLE' });
    await expect(createCpuBackend({ threads: 0 }).open(0)).rejects.toMatchObject({ code: 'TUTTI_ARGUMENT' });
  });
});
