import { mkdir, mkdtemp, readdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArgumentError, cast, FileError, FormatError, gather, IndexError, tensor, zeros } from '@tutti/core';
import {
  decodeSafetensors,
  encodeSafetensors,
  loadSafetensors,
  loadSafetensorsMetadata,
  safetensorsMetadata,
  saveSafetensors,
} from '@tutti/nn';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { onCpu } from './support.ts';

onCpu();

/** One tensor of each dtype, odd sizes, special values, an empty one, a scalar. */
const dict = () => ({
  'layer.weight': tensor([
    [1.5, -0],
    [Number.NaN, Number.NEGATIVE_INFINITY],
    [1e-40, 3e38],
  ]),
  half: tensor([1, 65504, -(2 ** -24)], { dtype: 'float16' }),
  brain: tensor([1, 3.38953e38, Number.NaN], { dtype: 'bfloat16' }),
  count: tensor(-7, { dtype: 'int32' }),
  large: tensor([2 ** 32 - 1], { dtype: 'uint32' }),
  bytes: tensor([1, 2, 255], { dtype: 'uint8' }),
  flags: tensor([true, false, true]),
  empty: zeros([0, 3]),
  'ünïcode "name"': tensor([1]),
});

async function contents(
  tensors: Readonly<Record<string, ReturnType<typeof tensor>>>,
): Promise<Record<string, unknown>> {
  const read = Object.entries(tensors).map(
    async ([name, x]) => [name, x.dtype, x.shape, await x.data()] as const,
  );
  const entries = (await Promise.all(read)).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, dtype, shape, data]) => [name, { dtype, shape, data }]));
}

describe('encodeSafetensors', () => {
  test('a round trip keeps every dtype, shape and element', async () => {
    const bytes = await encodeSafetensors(dict(), { format: 'pt' });
    expect(await contents(decodeSafetensors(bytes))).toEqual(await contents(dict()));
    expect(safetensorsMetadata(bytes)).toEqual({ format: 'pt' });
  });

  test('computed values are written as they are', async () => {
    const x = tensor([1, 2, 3]);
    const bytes = await encodeSafetensors({ double: x.add(x), half: cast(x, 'float16') });
    const loaded = decodeSafetensors(bytes);
    expect(await loaded['double']!.array()).toEqual([2, 4, 6]);
    expect(loaded['half']!.dtype).toBe('float16');
  });

  test('the bytes are those of the format', async () => {
    const bytes = await encodeSafetensors({ b: tensor([1], { dtype: 'uint8' }), a: tensor([1, 2]) });
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).toBe(0);
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    expect(JSON.parse(header)).toEqual({
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
      b: { dtype: 'U8', shape: [1], data_offsets: [8, 9] },
    });
    expect([...bytes.subarray(8 + length)]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 1]);
  });

  test('the order of the dict does not matter; nothing is legal', async () => {
    const entries = Object.entries(dict());
    const forth = await encodeSafetensors(Object.fromEntries(entries));
    expect(await encodeSafetensors(Object.fromEntries(entries.reverse()))).toEqual(forth);
    expect(decodeSafetensors(await encodeSafetensors({}))).toEqual({});
  });

  test('bad arguments', async () => {
    await expect(encodeSafetensors({ a: 3 as never })).rejects.toBeInstanceOf(ArgumentError);
    await expect(encodeSafetensors({ __metadata__: tensor(1) })).rejects.toThrow(/__metadata__/);
    await expect(encodeSafetensors({}, { epochs: 5 as never })).rejects.toThrow(/'epochs' is not a text/);
  });
});

describe('files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tutti-nn-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('a round trip, and no other file is left', async () => {
    const path = join(folder, 'model.safetensors');
    await saveSafetensors(path, dict(), { epochs: '5' });
    expect(await contents(await loadSafetensors(path))).toEqual(await contents(dict()));
    expect(await loadSafetensorsMetadata(path)).toEqual({ epochs: '5' });
    expect(await readdir(folder)).toEqual(['model.safetensors']);
    expect(new Uint8Array(await readFile(path))).toEqual(await encodeSafetensors(dict(), { epochs: '5' }));
  });

  test('saving again replaces the file; through a link too', async () => {
    const path = join(folder, 'a.safetensors');
    const link = join(folder, 'latest');
    await saveSafetensors(path, { a: tensor([1, 2, 3]) });
    await symlink(path, link);
    await saveSafetensors(link, { a: tensor([4]) });
    expect(await (await loadSafetensors(path))['a']!.array()).toEqual([4]);
    expect((await readdir(folder)).sort()).toEqual(['a.safetensors', 'latest']);
  });

  test('an error while writing leaves the old file and nothing else', async () => {
    const path = join(folder, 'model.safetensors');
    await saveSafetensors(path, { a: tensor([1]) });
    const old = await readFile(path);
    const index = tensor([0, 1], { dtype: 'int32' });
    await index.realize();
    const outside = gather(tensor([1, 2, 3]), index.add(2), 0);
    await expect(saveSafetensors(path, { a: tensor([2]), outside })).rejects.toBeInstanceOf(IndexError);
    expect(await readFile(path)).toEqual(old);
    expect(await readdir(folder)).toEqual(['model.safetensors']);
  });

  test('paths that cannot be written', async () => {
    const save = (path: string) => saveSafetensors(path, { a: tensor([1]) });
    await expect(save(join(folder, 'none', 'a'))).rejects.toThrow(
      /cannot write .*ENOENT.*\n.*folder must exist/,
    );
    await expect(save(join(folder, 'none', 'a'))).rejects.toBeInstanceOf(FileError);
    await mkdir(join(folder, 'sub'));
    await expect(save(join(folder, 'sub'))).rejects.toThrow(/exists and is not a file/);
    await writeFile(join(folder, 'file'), '');
    await expect(save(join(folder, 'file', 'a'))).rejects.toBeInstanceOf(FileError);
    expect((await readdir(folder)).sort()).toEqual(['file', 'sub']);
    expect(await readdir(join(folder, 'sub'))).toEqual([]);
  });

  test('paths that cannot be read', async () => {
    await expect(loadSafetensors(join(folder, 'none'))).rejects.toThrow(/cannot read .*ENOENT/);
    await expect(loadSafetensors(folder)).rejects.toBeInstanceOf(FileError);
  });

  test('a truncated file names itself; so does one with more', async () => {
    const path = join(folder, 'model.safetensors');
    await saveSafetensors(path, dict());
    const { length } = await readFile(path);
    for (const size of [0, 7, 8, 100, length - 1, length + 1]) {
      await truncate(path, size);
      await expect(loadSafetensors(path)).rejects.toBeInstanceOf(FormatError);
      await expect(loadSafetensors(path)).rejects.toThrow(path);
      await saveSafetensors(path, dict());
    }
  });

  test('in a browser there are no files', async () => {
    vi.stubGlobal('process', undefined);
    try {
      await expect(saveSafetensors('a', {})).rejects.toThrow(/no files in a browser.*\n.*encodeSafetensors/);
      await expect(loadSafetensors('a')).rejects.toBeInstanceOf(FileError);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
