import { describe, expect, it } from 'vitest';
import { byteMask, splitWords } from '../src/runtime/patch.ts';
import { make } from './support/device.ts';

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

it('a buffer has the size that the limits of the device allow', async () => {
  const backend = await make('default');
  expect(backend.info.capabilities).toMatchObject({ bytesPerBuffer: 128 * MiB, buffersPerKernel: 8 });
  expect(() => backend.allocate(128 * MiB + 1)).toThrow(
    /134217729 bytes \(128\.0 MiB\) is not possible; this device takes up to 134217728 bytes \(128\.0 MiB\)/,
  );
});
