import { deviceChecks } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import type { Checks } from './browser/runtime.ts';
import { pageOf } from './support/page.ts';

const { ask, opened } = pageOf<Checks>('runtime');

it.each(deviceChecks.map(({ name }) => name))('%s', { timeout: 60_000 }, async (name) =>
  expect(await ask('contract', name)).toBe('kept'),
);

describe('the device', () => {
  it('says what it is', async () => {
    const { description, emulated, capabilities } = await ask('describe');
    expect(description).toMatch(/, WebGL 2/);
    expect(emulated).toBe(/software/.test(description));
    expect(capabilities).toMatchObject({
      rowPrograms: false,
      multipleOutputs: false,
      scatterStores: false,
      syncRead: true,
      timing: true,
    });
    expect(capabilities.buffersPerKernel).toBeGreaterThanOrEqual(16);
    expect(capabilities.bytesPerBuffer).toBeGreaterThanOrEqual(2 ** 27);
  });

  it('stops the page at no time while a value is read', async () => {
    const { turns, value } = await ask('turns');
    expect(value).toBe(1);
    expect(turns).toBeGreaterThan(2);
  });

  it('asks for patience when it is far behind, and times commands', async () => {
    const { paces, times } = await ask('paced');
    expect(paces).toBeGreaterThan(0);
    expect(times).toHaveLength(2);
    for (const time of times) expect(time).toBeGreaterThanOrEqual(0);
  });

  it('can be opened and disposed of more often than there are contexts', async () => {
    expect(await ask('many')).toBe('works');
  });
});

it('says why there is no device', async () => {
  const contains = (...texts: string[]) => texts.map((text) => expect.stringContaining(text));
  expect(await ask('absent')).toEqual(
    contains(
      'gives no context',
      'gives no context: Web page was not allowed to create a WebGL context.',
      'MAX_TEXTURE_SIZE is 512, and 2048 are needed',
      'this browser has no WebGL 2',
      'found',
      'the canvas gives no context for WebGL 2',
      'the WebGL context is lost',
    ),
  );
});

describe('buffers', () => {
  it('keep the bits of NaNs, denormals, zeros and integers', async () => {
    expect(await ask('hardWords')).toEqual([true, true, true]);
  });

  it.each([1, 2, 3])(
    'hold what a model of them holds, after writes, copies and programs at random (%i)',
    async (seed) => {
      expect(await ask('random', seed, 60)).toEqual([]);
    },
  );

  it('take no more memory over 500 runs', async () => {
    const { good, before, after } = await ask('flat', 500);
    expect(good).toBe(true);
    expect(after).toEqual(before);
  });
});

describe('programs', () => {
  it('may store to several textures at once, of any width', async () => {
    expect(await ask('outputs')).toBe(-1);
  });

  it('may store to what they read, and leave alone what they do not store', async () => {
    expect(await ask('aliased')).toBe(-1);
  });

  it('are cut in bands where they take long', async () => {
    expect(await ask('bands', 9000, 2 ** 28 / 8192)).toBe(-1);
    expect(await ask('bands', 9000, 2 ** 28 / 1000)).toBe(-1);
    expect(await ask('bands', 40, 2 ** 30)).toBe(-1);
  });

  it('are kept up to a number, and built again when they are needed', async () => {
    expect(await ask('bounded')).toEqual({ most: 4, value: 2 * 111_111_111 });
  });
});

describe('a context', () => {
  const device = { code: 'TUTTI_DEVICE', message: expect.stringContaining('the WebGL context was lost') };

  it('that is lost fails everything at once, and another one can be opened', async () => {
    const { atOnce, failures, later, memory, recovered } = await ask('lost');
    expect(atOnce).toEqual(device);
    expect(failures).toEqual([device, device, device]);
    expect(later).toEqual([device, device, device, device, device, {}]);
    expect(memory).toMatchObject({ bytes: 0, buffers: 0, reserved: 0 });
    expect(recovered).toEqual([2, 3, 4, 5]);
  });

  it('that is lost is noticed though nothing is called', async () => {
    expect(await ask('lostQuietly')).toEqual([null, device.code, device.message]);
  });

  it.each(['borrowed', 'canvas'] as const)(
    'may be one that the page uses too, and keeps (%s)',
    async (ownership) => {
      expect(await ask('shared', ownership)).toEqual({ wrong: -1, lost: false });
    },
  );

  it('of a canvas can be used again', async () => {
    expect(await ask('canvas')).toEqual([
      [2, 3, 4, 5],
      [2, 3, 4, 5],
    ]);
  });
});

it('says what is wrong', async () => {
  const found = await ask('errors');
  const error = (code: string, message = '') => ({
    code: `TUTTI_${code}`,
    message: expect.stringContaining(message),
  });
  const compile = error(
    'KERNEL',
    "kernel invalid does not compile: line 2: 'missing' : undeclared identifier",
  );
  expect(found).toEqual({
    compile,
    again: compile,
    brokenSubmit: error('KERNEL', 'invalid is submitted before it is compiled'),
    range: error('ARGUMENT', 'bytes 12 to 20 are outside a buffer of 16'),
    read: error('ARGUMENT'),
    foreign: error('DEVICE', 'belongs to another device'),
    foreignProgram: error('DEVICE', 'belongs to another device'),
    early: error('KERNEL', 'increment is submitted before it is compiled'),
    large: error('OUT_OF_MEMORY', 'is not possible; this device takes up to'),
    negative: error('OUT_OF_MEMORY'),
    tooFew: error('INTERNAL', 'takes 0 scalars and got 1'),
    freed: error('DISPOSED'),
    freedRead: error('DISPOSED'),
    disposed: error('DISPOSED'),
    memory: { bytes: 0, buffers: 0, reserved: 0, allocations: expect.any(Number) },
  });
  expect((await opened()).page.errors).toEqual([]);
});
