import { describe, expect, it } from 'vitest';
import { byteMask, splitWords } from '../src/runtime/patch.ts';
import { download, make, upload } from './support/device.ts';
import { affine, bytesOf, dispatch, increment } from './support/programs.ts';

const MiB = 1024 * 1024;

describe('ranges of bytes', () => {
  it('are cut into whole words and the ends of words', () => {
    expect(byteMask(1, 3)).toBe(0x00ffff00);
    expect(byteMask(0, 4)).toBe(0xffffffff);
    const word = (word: number, mask: number) => ({ word, mask });
    expect(splitWords(0, 8, 100)).toEqual({ from: 0, to: 8, partial: [] });
    expect(splitWords(1, 9, 100)).toEqual({ from: 4, to: 8, partial: [word(0, 0xffffff00), word(2, 0xff)] });
    expect(splitWords(5, 7, 100)).toMatchObject({ partial: [word(1, 0x00ffff00)] });
    expect(splitWords(3, 5, 100)).toEqual({ from: 4, to: 4, partial: [word(0, 0xff000000), word(1, 0xff)] });
    // What is behind the end belongs to nobody.
    expect(splitWords(0, 7, 7)).toEqual({ from: 0, to: 8, partial: [] });
    expect(splitWords(5, 7, 7)).toMatchObject({ partial: [word(1, 0xffffff00)] });
  });
});

describe('buffers', () => {
  it('are written, read and copied at any byte, without touching their neighbours', async () => {
    const backend = await make();
    for (const bytes of [0, 1, 2, 3, 5, 63, 1001, 70_001]) {
      for (const extra of [0, 1, 6]) {
        const source = backend.allocate(bytes);
        backend.write(
          source,
          Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 1),
        );
        const target = backend.allocate(bytes + extra);
        backend.write(target, new Uint8Array(bytes + extra).fill(9));
        backend.submit([{ kind: 'copy', source, target, bytes }]);
        const result = await backend.read(target, 0, bytes + extra);
        expect(result.slice(0, bytes)).toEqual(Uint8Array.from({ length: bytes }, (_, i) => i * 7 + 1));
        expect([...result.slice(bytes)]).toEqual(new Array(extra).fill(9));
        const part = await backend.read(target, Math.min(3, bytes), bytes - Math.min(3, bytes));
        expect(part).toEqual(result.slice(Math.min(3, bytes), bytes));
      }
    }
  });

  it('take a copy onto themselves, and a zero-byte one is legal', async () => {
    const backend = await make();
    const buffer = upload(backend, [1, 2, 3]);
    backend.submit([{ kind: 'copy', source: buffer, target: buffer, bytes: 12 }]);
    expect(await download(backend, buffer)).toEqual([1, 2, 3]);
    const nothing = backend.allocate(0);
    backend.write(nothing, new Uint8Array(0));
    expect(await backend.read(nothing, 0, 0)).toEqual(new Uint8Array(0));
    expect(backend.memory()).toMatchObject({ bytes: 12, buffers: 2 });
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

  it('refuse what is out of range, freed, too large, or of another device', async () => {
    const [backend, other] = [await make(), await make('default')];
    const buffer = backend.allocate(16);
    const code = (name: string) => expect.objectContaining({ code: `TUTTI_${name}` });
    expect(() => backend.write(buffer, new Uint8Array(8), 12)).toThrow(code('ARGUMENT'));
    await expect(backend.read(buffer, -1, 4)).rejects.toThrow(code('ARGUMENT'));
    expect(() => other.free(buffer)).toThrow(code('DEVICE'));
    const program = backend.load(increment(4));
    expect(() => backend.submit([dispatch(program, [buffer])])).toThrow(
      /increment is submitted before it is compiled/,
    );
    await program.ready;
    const command = dispatch(program, [buffer]);
    backend.submit([command]);
    backend.free(buffer);
    expect(() => backend.free(buffer)).toThrow(code('DISPOSED'));
    expect(() => backend.submit([command])).toThrow(code('DISPOSED'));
    await expect(backend.read(buffer, 0, 4)).rejects.toThrow(code('DISPOSED'));
    // What was refused leaves nothing behind.
    const next = upload(backend, [1, 2, 3, 4]);
    backend.submit([dispatch(program, [next])]);
    expect(await download(backend, next)).toEqual([2, 3, 4, 5]);
    expect(other.info.capabilities).toMatchObject({ bytesPerBuffer: 128 * MiB, buffersPerKernel: 8 });
    expect(() => other.allocate(128 * MiB + 1)).toThrow(
      /134217729 bytes \(128\.0 MiB\) is not possible; this device takes up to 134217728 bytes \(128\.0 MiB\)/,
    );
    expect(() => other.allocate(-1)).toThrow(code('OUT_OF_MEMORY'));
  });
});

it('memory stays flat over 1,000 steps that allocate, compute, read and free', async () => {
  const backend = await make();
  const program = backend.load(affine(4096));
  await program.ready;
  const step = async (i: number): Promise<void> => {
    const a = upload(backend, new Int32Array(4096).fill(i));
    const b = backend.allocate(4096 * 4);
    const flag = backend.allocate(1);
    await backend.submit([dispatch(program, [a, b], [i])]).pace;
    backend.free(a);
    if (i % 10 === 0) expect((await download(backend, b))[4095]).toBe(4 * i);
    backend.free(b);
    backend.free(flag);
  };
  for (let i = 0; i < 20; i++) await step(i);
  const before = backend.memory();
  expect(before).toMatchObject({ bytes: 0, buffers: 0 });
  for (let i = 0; i < 1000; i++) await step(i);
  expect(backend.memory()).toEqual(before);
});
