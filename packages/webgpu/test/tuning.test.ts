/** Choosing among programs by their time. */
import { type DotAnchor, KernelError } from '@tutti/core/backend';
import { dispatch, dotAnchor, download, upload } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { type Generators, WebgpuBackend } from '../src/backend.ts';
import { createWebgpuBackend, Tuning } from '../src/index.ts';
import type { Candidates, WgslProgram } from '../src/program.ts';
import { candidates } from '../src/routines/index.ts';
import { openDevice } from '../src/runtime/device.ts';
import { adapter } from './support/device.ts';
import { hardware, software } from './support/kernels.ts';
import { affine, invalid } from './support/programs.ts';

const turns = 50_000;
const quick = affine(64);
const slow = affine(64, turns);
const anchor: DotAnchor = { ...dotAnchor(8, 8, 8), scalars: ['i32'] };

/** A device whose only anchor has these programs, the first of which is the usual one. */
async function deviceWith(
  variants: Readonly<Record<string, WgslProgram>>,
  tuning: Tuning | undefined,
): Promise<{ backend: WebgpuBackend; asked: () => number }> {
  let asked = 0;
  const generators: Generators = {
    compileKernel: () => {
      throw new Error('this test compiles no kernels');
    },
    routine: () => Object.values(variants)[0],
    candidates: (): Candidates => {
      asked++;
      const buffers = [0, 1].map(() => ({ dtype: 'int32', length: 64, access: 'readWrite' }) as const);
      return { key: 'affine', buffers, variants: new Map(Object.entries(variants)) };
    },
  };
  const backend = new WebgpuBackend(await openDevice(await adapter(), false), generators, tuning);
  return { backend, asked: () => asked };
}

const isSlow = (source: string): boolean => source.includes(`turn < ${turns}`);

describe('tuning', () => {
  it('takes the fastest, remembers it, and leaves no memory behind', async () => {
    const tuning = new Tuning();
    const { backend } = await deviceWith({ slow, quick }, tuning);
    const before = backend.memory();
    const program = backend.routine(anchor)!;
    await program.ready;
    expect(isSlow(program.source())).toBe(false);
    expect(backend.memory()).toMatchObject({ bytes: before.bytes, buffers: before.buffers });
    const [[key, choice]] = Object.entries(tuning.toJSON()) as [
      [string, { variant: string; milliseconds: object }],
    ];
    expect(key).toBe(`${backend.info.description}: affine`);
    expect(choice.variant).toBe('quick');
    expect(Object.keys(choice.milliseconds)).toEqual(['slow', 'quick']);

    const input = upload(
      backend,
      Array.from({ length: 64 }, (_, i) => i),
    );
    const output = backend.allocate(256);
    backend.submit([dispatch(program, [input, output], [7])]);
    expect((await download(backend, output))[5]).toBe(22);
    backend.dispose();
  });

  it('does not measure what is known, in this process or from another', async () => {
    const first = new Tuning();
    const one = await deviceWith({ slow, quick }, first);
    const key = `${one.backend.info.description}: affine`;
    one.backend.dispose();
    first.load({ [key]: { variant: 'slow', milliseconds: {} } });
    const saved = JSON.parse(JSON.stringify(first));
    const other = new Tuning();
    other.load(saved);
    const { backend } = await deviceWith({ quick, slow }, other);
    const program = backend.routine(anchor)!;
    await program.ready;
    expect(isSlow(program.source())).toBe(true);
    expect(other.get(key)!.milliseconds).toEqual({});
    other.clear();
    expect(other.toJSON()).toEqual({});
    backend.dispose();
  });

  it('takes the usual one when another does not compile', async () => {
    const tuning = new Tuning();
    const { backend } = await deviceWith({ slow, invalid: { ...quick, stages: invalid.stages } }, tuning);
    const program = backend.routine(anchor)!;
    await program.ready;
    expect(isSlow(program.source())).toBe(true);
    expect(tuning.toJSON()).toEqual({});
    backend.dispose();
  });

  it('says when the usual one does not compile', async () => {
    const { backend } = await deviceWith({ invalid, quick }, new Tuning());
    await expect(backend.routine(anchor)!.ready).rejects.toBeInstanceOf(KernelError);
    backend.dispose();
  });

  it('can be switched off', async () => {
    const { backend, asked } = await deviceWith({ slow, quick }, undefined);
    const program = backend.routine(anchor)!;
    await program.ready;
    expect(isSlow(program.source())).toBe(true);
    expect(asked()).toBe(0);
    backend.dispose();
  });

  it('refuses what is no choice', async () => {
    const backend = createWebgpuBackend({ tuning: 'fast' as 'off' });
    await expect(backend.open(0)).rejects.toThrow('fast is not a choice of tuning');
  });
});

describe('candidates', () => {
  it('are there for large products on hardware', () => {
    const found = candidates(dotAnchor(1000, 600, 520, { layouts: ['rows', 'columns'] }), hardware)!;
    expect(found.key).toBe('dot f32, 1 of 1024x512x512, float32 by rows, float32 by columns');
    expect([...found.variants.keys()]).toEqual(['small', 'large', 'direct']);
    expect([...candidates(dotAnchor(4, 8192, 8192), hardware)!.variants.keys()]).toEqual([
      'wide',
      'small',
      'direct',
    ]);
  });

  it('are none where it does not pay', () => {
    expect(candidates(dotAnchor(1000, 600, 520), software)).toBeUndefined();
    expect(candidates(dotAnchor(64, 64, 64), hardware)).toBeUndefined();
    expect(candidates(dotAnchor(1, 16384, 16384), hardware)).toBeUndefined();
  });
});
