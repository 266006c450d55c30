import type { Command, DeviceBuffer } from '@tutti/core/backend';
import { describe, expect, it } from 'vitest';
import { download, make, upload } from './support/device.ts';
import { affine, bytesOf, dispatch, increment, intsOf, reversed, storeScalars } from './support/programs.ts';

describe.each(['adapter', 'default'] as const)('with the limits of the %s', (limits) => {
  it('runs programs of several stages through the workspace, which grows between programs', async () => {
    const backend = await make(limits);
    const earlier: { command: Command; output: DeviceBuffer; expected: number[] }[] = [];
    for (const n of [100, 5000, 300]) {
      const input = Array.from({ length: n }, (_, i) => i * i);
      const [a, b] = [upload(backend, input), backend.allocate(n * 4)];
      const program = backend.load(reversed(n));
      await program.ready;
      expect(program.ready).toBeUndefined();
      const command = dispatch(program, [a, b]);
      for (let round = 0; round < 3; round++) {
        backend.write(b, new Uint8Array(n * 4));
        backend.submit([command]);
        expect(await download(backend, b)).toEqual(input.map((_, i) => input[n - 1 - i]! + i));
      }
      earlier.push({ command, output: b, expected: await download(backend, b) });
    }
    // Also those that were bound to the workspace before it grew.
    for (const { output } of earlier) backend.write(output, new Uint8Array(output.bytes));
    backend.submit(earlier.map(({ command }) => command));
    for (const { output, expected } of earlier) expect(await download(backend, output)).toEqual(expected);
  });

  it('gives scalars their bits, each command its own, for more of them than fit in one go', async () => {
    const backend = await make(limits);
    const program = backend.load(storeScalars);
    await program.ready;
    const out = backend.allocate(32);
    const values = [-0, -1, 4294967295, 1, Number.NaN, -Infinity, -(2 ** 31), 0];
    backend.submit([dispatch(program, [out], values)]);
    const bits = new Uint32Array((await backend.read(out, 0, 32)).buffer);
    expect([...bits]).toEqual([0x80000000, 0xffffffff, 0xffffffff, 1, 0x7fc00000, 0xff800000, 0x80000000, 0]);

    const add = backend.load(affine(1));
    await add.ready;
    const a = upload(backend, [1]);
    const outputs = Array.from({ length: 2500 }, () => backend.allocate(4));
    backend.submit(outputs.map((buffer, i) => dispatch(add, [a, buffer], [i])));
    const results = await Promise.all(outputs.map((buffer) => download(backend, buffer)));
    expect(results.flat()).toEqual(outputs.map((_, i) => 3 + i));
  });

  it('measures each command, copies as well', async () => {
    const backend = await make(limits);
    const [long, short] = [backend.load(affine(64, 1000)), backend.load(affine(64, 1))];
    await Promise.all([long.ready, short.ready]);
    const [a, b] = [upload(backend, new Int32Array(64).fill(1)), backend.allocate(256)];
    const copy: Command = { kind: 'copy', source: b, target: a, bytes: 256 };
    const once = dispatch(short, [a, b], [0]);
    const times = await backend.time([dispatch(long, [a, b], [0]), once, copy, once, once, copy]);
    expect(times).toHaveLength(6);
    expect(times.every((time) => time >= 0 && Number.isFinite(time))).toBe(true);
    expect(await download(backend, a)).toEqual(new Array(64).fill(9));
    expect(await backend.time([])).toEqual([]);
  });
});

describe('the queue', () => {
  it('keeps the order of submissions, writes, copies, reads and frees through 3,000 random steps', async () => {
    const backend = await make();
    let state = 12345;
    const below = (limit: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    const n = 64;
    const programs = [affine(n), affine(n, 200)].map((program) => backend.load(program));
    await Promise.all(programs.map((program) => program.ready));
    const fresh = (): { buffer: DeviceBuffer; model: number[] } => {
      const model = Array.from({ length: n }, () => below(1000));
      return { buffer: upload(backend, model), model };
    };
    const cells = Array.from({ length: 6 }, fresh);
    const reads: Promise<void>[] = [];
    for (let step = 0; step < 3000; step++) {
      const [a, b] = [cells[below(6)]!, cells[below(6)]!];
      const kind = below(20);
      if (kind < 10 && a !== b) {
        const scalar = below(100) - 50;
        backend.submit([dispatch(programs[below(2)]!, [a.buffer, b.buffer], [scalar])]);
        b.model = a.model.map((v) => (Math.imul(v, 3) + scalar) | 0);
      } else if (kind < 13 && a !== b) {
        const bytes = below(n * 4 + 1);
        backend.submit([{ kind: 'copy', source: a.buffer, target: b.buffer, bytes }]);
        const mixed = bytesOf(b.model);
        mixed.set(bytesOf(a.model).subarray(0, bytes));
        b.model = intsOf(mixed);
      } else if (kind < 16) {
        const data = Uint8Array.from({ length: below(20) }, () => below(256));
        const at = below(n * 4 - data.length + 1);
        backend.write(a.buffer, data, at);
        const mixed = bytesOf(a.model);
        mixed.set(data, at);
        a.model = intsOf(mixed);
      } else if (kind < 17) {
        backend.free(a.buffer);
        Object.assign(a, fresh());
      } else if (kind < 19) {
        const expected = a.model.slice();
        reads.push(download(backend, a.buffer).then((values) => expect(values).toEqual(expected)));
      } else if (below(10) === 0) {
        await Promise.all(reads.splice(0));
      }
    }
    await Promise.all(reads);
    for (const { buffer, model } of cells) expect(await download(backend, buffer)).toEqual(model);
    for (const { buffer } of cells) backend.free(buffer);
    expect(backend.memory()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('takes 10,000 commands without a look at the device, in one submission and in many', async () => {
    const backend = await make();
    const program = backend.load(increment(64));
    await program.ready;
    const a = upload(backend, new Int32Array(64));
    const commands = Array.from({ length: 100 }, () => dispatch(program, [a]));
    backend.submit(Array.from({ length: 100 }, () => commands).flat());
    for (const command of commands) for (let i = 0; i < 100; i++) backend.submit([command]);
    expect(await download(backend, a)).toEqual(new Array(64).fill(20_000));
  });

  it('asks a caller that is far ahead to wait, and nobody else', async () => {
    const backend = await make();
    const program = backend.load(affine(64, 20_000));
    await program.ready;
    const [a, b] = [upload(backend, new Int32Array(64)), backend.allocate(256)];
    const command = dispatch(program, [a, b], [1]);
    const fence = backend.submit([command]);
    expect(fence.pace).toBeUndefined();
    let waits = 0;
    for (let i = 0; i < 300; i++) {
      const { pace } = backend.submit([command]);
      if (pace) waits++;
      await pace;
    }
    expect(waits).toBeGreaterThan(0);
    await backend.submit([]).done;
    expect(backend.submit([command]).pace).toBeUndefined();
  });

  it('resolves fences in order, also those that are looked at late', async () => {
    const backend = await make();
    const program = backend.load(increment(1));
    await program.ready;
    const a = upload(backend, [0]);
    const fences = Array.from({ length: 20 }, () => backend.submit([dispatch(program, [a])]));
    const order: number[] = [];
    await Promise.all([19, 3, 11].map((i) => fences[i]!.done.then(() => order.push(i))));
    expect(order.indexOf(3)).toBeLessThan(order.indexOf(19));
    expect(order.indexOf(11)).toBeLessThan(order.indexOf(19));
    await fences[0]!.done;
  });

  it('two devices work side by side, and refuse what belongs to the other', async () => {
    const [one, two] = [await make(), await make()];
    const [p, q] = [one.load(increment(64)), two.load(increment(64))];
    await Promise.all([p.ready, q.ready]);
    const [a, b] = [upload(one, new Int32Array(64)), upload(two, new Int32Array(64).fill(100))];
    for (let i = 0; i < 50; i++) {
      one.submit([dispatch(p, [a])]);
      two.submit([dispatch(q, [b]), dispatch(q, [b])]);
    }
    const [x, y] = await Promise.all([download(one, a), download(two, b)]);
    expect([x[0], y[0]]).toEqual([50, 200]);
    expect(() => one.submit([dispatch(p, [b])])).toThrow(expect.objectContaining({ code: 'TUTTI_DEVICE' }));
    expect(() => one.submit([dispatch(q, [a])])).toThrow(expect.objectContaining({ code: 'TUTTI_DEVICE' }));
    one.dispose();
    expect((await download(two, b))[0]).toBe(200);
  });
});
