import type { Backend, DeviceBuffer } from '@tutti/core/backend';
import { afterEach, describe, expect, it } from 'vitest';
import { CpuBackend } from '../dist/backend.js';
import { createCpuBackend } from '../dist/index.js';
import {
  affine,
  burn,
  bytesOf,
  dispatch,
  intsOf,
  invalid,
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

const upload = (backend: Backend, values: readonly number[]): DeviceBuffer => {
  const buffer = backend.allocate(values.length * 4);
  backend.write(buffer, bytesOf(values));
  return buffer;
};
const download = async (backend: Backend, buffer: DeviceBuffer): Promise<number[]> =>
  intsOf(await backend.read(buffer, 0, buffer.bytes));

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

  it('keeps the order of submissions, writes, copies and frees through 10,000 random steps', async () => {
    const backend = make(threads, inlineBelow);
    let state = 12345;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const n = 64;
    const programs = [1, 100, 2000].map((cost) => affine(n, cost));
    const make64 = (): { buffer: DeviceBuffer; model: number[] } => {
      const model = Array.from({ length: n }, () => below(1000));
      return { buffer: upload(backend, model), model };
    };
    const cells = Array.from({ length: 8 }, make64);
    const kept = cells.flatMap((a, i) =>
      cells
        .slice(i + 1)
        .map((b) => ({ a, b, command: dispatch(programs[2]!, [a.buffer, b.buffer], [i]), i })),
    );
    for (let step = 0; step < 10_000; step++) {
      const a = cells[below(8)]!;
      const b = cells[below(8)]!;
      const kind = below(20);
      if (kind < 10 && a !== b) {
        const scalar = below(100) - 50;
        backend.submit([dispatch(programs[below(3)]!, [a.buffer, b.buffer], [scalar])]);
        b.model = a.model.map((v) => (Math.imul(v, 3) + scalar) | 0);
      } else if (kind < 13) {
        // A command that comes back; its buffers may have been replaced meanwhile.
        const { a: from, b: to, command, i } = kept[below(kept.length)]!;
        if (command.kind === 'copy' || command.buffers[0] !== from.buffer || command.buffers[1] !== to.buffer)
          continue;
        backend.submit([command, command]);
        to.model = from.model.map((v) => (Math.imul(v, 3) + i) | 0);
      } else if (kind < 15 && a !== b) {
        backend.submit([{ kind: 'copy', source: a.buffer, target: b.buffer, bytes: n * 4 }]);
        b.model = a.model.slice();
      } else if (kind < 17) {
        const at = below(n);
        backend.write(a.buffer, bytesOf([step]), at * 4);
        a.model[at] = step;
      } else if (kind < 18) {
        backend.free(a.buffer);
        Object.assign(a, make64());
      } else if (kind === 18) {
        expect(intsOf(backend.readSync(a.buffer, 0, n * 4))).toEqual(a.model);
      } else if (below(4) === 0) {
        const expected = a.model.slice();
        expect(await download(backend, a.buffer)).toEqual(expected);
      }
    }
    for (const { buffer, model } of cells) expect(await download(backend, buffer)).toEqual(model);
    for (const { buffer } of cells) backend.free(buffer);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('takes submissions larger than the ring, and many without waiting', async () => {
    const backend = make(threads, inlineBelow);
    const a = upload(backend, [1]);
    const b = backend.allocate(4);
    const there = dispatch(affine(1, 1), [a, b], [1]);
    const back: typeof there = { kind: 'copy', source: b, target: a, bytes: 4 };
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
  it('refuses what is out of range, freed, or of another device', () => {
    const backend = make(1);
    const other = make(1);
    const buffer = backend.allocate(16);
    expect(() => backend.write(buffer, new Uint8Array(8), 12)).toThrow(
      expect.objectContaining({ code: 'TUTTI_ARGUMENT' }),
    );
    expect(() => backend.readSync(buffer, -1, 4)).toThrow(
      expect.objectContaining({ code: 'TUTTI_ARGUMENT' }),
    );
    expect(() => other.free(buffer)).toThrow(expect.objectContaining({ code: 'TUTTI_DEVICE' }));
    expect(() => other.submit([{ kind: 'copy', source: buffer, target: buffer, bytes: 4 }])).toThrow(
      /another device/,
    );
    const command = dispatch(affine(4, 1), [buffer, buffer], [1]);
    for (let i = 0; i < 3; i++) backend.submit([command]);
    backend.free(buffer);
    expect(() => backend.free(buffer)).toThrow(expect.objectContaining({ code: 'TUTTI_DISPOSED' }));
    expect(() => backend.submit([command])).toThrow(expect.objectContaining({ code: 'TUTTI_DISPOSED' }));
    // What was refused must not be waited for.
    const next = upload(backend, [1, 2, 3, 4]);
    expect(intsOf(backend.readSync(next, 0, 16))).toEqual([1, 2, 3, 4]);
  });

  it('a zero-byte buffer is legal', async () => {
    const backend = make(2);
    const buffer = backend.allocate(0);
    backend.write(buffer, new Uint8Array(0));
    expect(await backend.read(buffer, 0, 0)).toEqual(new Uint8Array(0));
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 1 });
  });

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
