import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cacheKey, DiskCache, objectionTo, usualFolder } from '../src/compiler/cache.ts';
import { KernelCompiler } from '../src/compiler/compile.ts';
import { compilerOf, surroundings } from './support/fake.ts';
import { temporaryFolder, touch } from './support/folder.ts';

const bytes = (length: number, fill = 1): Uint8Array => new Uint8Array(length).fill(fill);
const fileOf = (folder: string): string => join(folder, readdirSync(folder)[0]!);

/** What a process prints that runs a script. One that does not end is ended. */
const node = (script: string): Promise<string> =>
  new Promise((resolve) => {
    const flags = ['--input-type=module', '--eval', script];
    const child = spawn(process.execPath, flags, { timeout: 20_000, killSignal: 'SIGKILL' });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    child.once('close', () => resolve(output.trim()));
  });

describe('the cache on disk', () => {
  it('gives what was put, in this process and in the next', async () => {
    const folder = join(temporaryFolder(), 'not', 'there yet');
    const cache = new DiskCache(folder);
    expect(await cache.get('a')).toBeUndefined();
    await cache.put('a', bytes(1000));
    await cache.put('b', bytes(0));
    for (const each of [cache, new DiskCache(folder)]) {
      expect(await each.get('a')).toEqual(Buffer.from(bytes(1000)));
      expect(await each.get('b')).toHaveLength(0);
      expect(await each.get('c')).toBeUndefined();
    }
    expect(readdirSync(folder).sort()).toEqual(['a.cubin', 'b.cubin']);
  });

  it.each([
    ['is cut off', (entry: Buffer) => entry.subarray(0, entry.length - 1)],
    ['ends in its header', (entry: Buffer) => entry.subarray(0, 12)],
    ['is empty', () => Buffer.alloc(0)],
    ['has a wrong byte', (entry: Buffer) => entry.fill(9, 100, 101)],
    ['has another header', (entry: Buffer) => entry.fill(0, 0, 1)],
    ['has something behind it', (entry: Buffer) => Buffer.concat([entry, Buffer.of(0)])],
  ])('removes an entry that %s, and it is made again', async (_, damage) => {
    const folder = temporaryFolder();
    const cache = new DiskCache(folder);
    await cache.put('a', bytes(1000));
    writeFileSync(fileOf(folder), damage(readFileSync(fileOf(folder))));
    expect(await cache.get('a')).toBeUndefined();
    expect(readdirSync(folder)).toEqual([]);
    await cache.put('a', bytes(1000));
    expect(await cache.get('a')).toHaveLength(1000);
  });

  it('keeps to its room: what was not used for longest goes, and what was left unfinished', async () => {
    const folder = temporaryFolder();
    touch(folder, 'mine.txt', '1-abandoned.tmp', '2-under-way.tmp');
    const old = new Date(Date.now() - 7 * 24 * 3600 * 1000);
    utimesSync(join(folder, '1-abandoned.tmp'), old, old);
    const before = new DiskCache(folder);
    for (let i = 0; i < 10; i++) {
      await before.put(`entry-${i}`, bytes(1000));
      const time = new Date(old.getTime() + i * 1000);
      utimesSync(join(folder, `entry-${i}.cubin`), time, time);
    }
    const cache = new DiskCache(folder, 8000);
    await cache.get('entry-0'); // counts as new
    await cache.put('last', bytes(1000));
    const names = readdirSync(folder);
    expect(names).toEqual(
      expect.arrayContaining(['mine.txt', '2-under-way.tmp', 'entry-0.cubin', 'last.cubin']),
    );
    expect(names).not.toContain('1-abandoned.tmp');
    // 11 entries of 1040 bytes, of which 6 have room in four fifths of 8000.
    expect(names.filter((name) => name.endsWith('.cubin')).sort()).toEqual([
      'entry-0.cubin',
      'entry-6.cubin',
      'entry-7.cubin',
      'entry-8.cubin',
      'entry-9.cubin',
      'last.cubin',
    ]);
  });

  it('does nothing where the folder cannot be written, and that is known beforehand', async () => {
    const folder = temporaryFolder();
    touch(folder, 'file');
    const inFile = new DiskCache(join(folder, 'file', 'cache'));
    await inFile.put('a', bytes(10));
    expect(await inFile.get('a')).toBeUndefined();
    expect(await objectionTo(join(folder, 'new', 'one'))).toBeUndefined();
    expect(readdirSync(join(folder, 'new', 'one'))).toEqual([]);
    expect(await objectionTo(inFile.folder)).toMatch(/cannot be written \(ENOTDIR\)$/);
    expect(await objectionTo(join(folder, 'file'))).toBe(`${join(folder, 'file')} is not a folder`);
  });

  it.runIf(process.platform === 'linux')(
    'gives up where no folder can be made under one that is there',
    async () => {
      // In a process of its own: what waits for a folder for ever keeps it from ending.
      const module = new URL('../dist/compiler/cache.js', import.meta.url).href;
      const script = `
      import { DiskCache, objectionTo } from ${JSON.stringify(module)};
      await new DiskCache('/proc/nope/cache').put('a', new Uint8Array(10));
      console.log(await objectionTo('/proc/nope/cache'));
      console.log(await objectionTo('/proc'));`;
      const output = await node(script);
      expect(output).toMatch(
        /^\/proc\/nope\/cache cannot be written \(ENOENT\)\n\/proc cannot be written \(E\w+\)$/,
      );
    },
  );

  it('is shared by processes that write the same entries at once', async () => {
    const folder = temporaryFolder();
    const module = new URL('../dist/compiler/cache.js', import.meta.url).href;
    const script = `
      import { DiskCache } from ${JSON.stringify(module)};
      const cache = new DiskCache(${JSON.stringify(folder)});
      let wrong = 0;
      for (let round = 0; round < 40; round++) {
        await Promise.all(Array.from({ length: 8 }, async (_, i) => {
          await cache.put('k' + i, new Uint8Array(20_000 + i).fill(i));
          const got = await cache.get('k' + i);
          if (!got || got.length !== 20_000 + i || !got.every((byte) => byte === i)) wrong++;
        }));
      }
      console.log(wrong);`;
    expect(await Promise.all([node(script), node(script), node(script)])).toEqual(['0', '0', '0']);
    expect(readdirSync(folder)).toHaveLength(8);
  });

  it('lies where the system keeps caches', () => {
    const at = (platform: string, environment: Record<string, string>): string =>
      usualFolder(surroundings({ platform, environment })).replaceAll('\\', '/');
    expect(at('linux', {})).toBe('/nowhere/home/.cache/tutti/cuda');
    expect(at('linux', { XDG_CACHE_HOME: '/caches' })).toBe('/caches/tutti/cuda');
    expect(at('win32', { LOCALAPPDATA: 'C:/Local' })).toBe('C:/Local/tutti/cuda');
  });
});

it('the key of an entry tells everything apart that it was made of', () => {
  const keys = [['ab', 'c'], ['a', 'bc'], ['abc'], ['ab', 'c', '']].map(cacheKey);
  expect(new Set(keys).size).toBe(4);
  expect(cacheKey(['ab', 'c'])).toBe(keys[0]);
  expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
});

describe('a compiler with a cache', () => {
  const make = (
    folder: string,
    rest: { architecture?: string; version?: readonly [number, number] } = {},
  ) => {
    const texts: string[] = [];
    const compiler = compilerOf({
      version: rest.version ?? [13, 0],
      compile: (source, name, options) => {
        texts.push([name, ...options].join(' '));
        return Promise.resolve({ image: Buffer.from(source), log: '' });
      },
    });
    const kernels = new KernelCompiler({
      compiler,
      architecture: rest.architecture ?? 'sm_90a',
      identity: '',
      cache: new DiskCache(folder),
    });
    return { kernels, texts };
  };

  it('compiles a text once, for each architecture and version', async () => {
    const folder = temporaryFolder();
    const first = make(folder);
    expect(Buffer.from(await first.kernels.image('text', 'scale')).toString()).toBe('text');
    expect(first.texts).toEqual(['scale.cu --gpu-architecture=sm_90a --std=c++17 -fmad=false']);
    const second = make(folder);
    await second.kernels.image('text', 'another name');
    expect(second.texts).toEqual([]);
    expect(second.kernels.figures).toEqual({ compiled: 0, fromDisk: 1, milliseconds: 0 });
    for (const other of [make(folder, { architecture: 'sm_80' }), make(folder, { version: [13, 1] })]) {
      await other.kernels.image('text', 'scale');
      expect(other.texts).toHaveLength(1);
    }
    expect(readdirSync(folder)).toHaveLength(3);
  });
});
