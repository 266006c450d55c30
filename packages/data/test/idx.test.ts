import { gzipSync } from 'node:zlib';
import { FormatError } from '@tutti/core';
import { gunzip, loadMnist, readIdx } from '@tutti/data';
import { describe, expect, test } from 'vitest';
import { idx } from './support.ts';

describe('readIdx', () => {
  test('reads bytes and their shape', () => {
    const { dtype, shape, data } = readIdx(idx(0x08, [2, 3], [1, 2, 3, 4, 5, 255]));
    expect(dtype).toBe('uint8');
    expect(shape).toEqual([2, 3]);
    expect([...data]).toEqual([1, 2, 3, 4, 5, 255]);
  });

  test('reads every type, big-endian', () => {
    expect([...readIdx(idx(0x09, [2], [0xff, 0x7f])).data]).toEqual([-1, 127]);
    expect([...readIdx(idx(0x0b, [2], [0xff, 0xfe, 0x01, 0x00])).data]).toEqual([-2, 256]);
    expect([...readIdx(idx(0x0c, [1], [0x00, 0x01, 0x00, 0x02])).data]).toEqual([65538]);
    expect([...readIdx(idx(0x0d, [1], [0x3f, 0xc0, 0x00, 0x00])).data]).toEqual([1.5]);
    expect([...readIdx(idx(0x0e, [1], [0x3f, 0xf8, 0, 0, 0, 0, 0, 0])).data]).toEqual([1.5]);
  });

  test('reads from the middle of a larger buffer', () => {
    const file = idx(0x0c, [1], [0, 0, 0, 7]);
    const larger = new Uint8Array(file.length + 3);
    larger.set(file, 3);
    expect([...readIdx(larger.subarray(3)).data]).toEqual([7]);
  });

  test('an empty array is legal', () => {
    expect(readIdx(idx(0x08, [0, 28, 28], [])).shape).toEqual([0, 28, 28]);
  });

  const bad: [string, Uint8Array, RegExp][] = [
    ['no bytes', new Uint8Array(), /not an idx file/],
    ['text', new TextEncoder().encode('<html><body>404</body></html>'), /not an idx file/],
    ['an unknown type', idx(0x0a, [1], [1]), /not an idx file/],
    ['a header that is cut off', idx(0x08, [2, 3], []).subarray(0, 9), /too few for a header with 2 axes/],
    ['a body that is cut off', idx(0x08, [2, 3], [1, 2, 3]), /\[2, 3\] \(6 bytes\), but 3 bytes follow/],
    ['a body that is too long', idx(0x08, [2], [1, 2, 3]), /but 3 bytes follow/],
    ['an enormous extent', idx(0x08, [0xffffffff, 0xffffffff], [1]), /but 1 bytes follow/],
  ];
  test.each(bad)('refuses %s', (_, bytes, message) => {
    expect(() => readIdx(bytes, 'train.idx')).toThrow(FormatError);
    expect(() => readIdx(bytes, 'train.idx')).toThrow(message);
    expect(() => readIdx(bytes, 'train.idx')).toThrow(/^train\.idx: /);
  });

  test('every cut of a good file is refused', () => {
    const file = idx(0x0c, [2, 2], new Array(16).fill(1));
    for (let length = 0; length < file.length; length++) {
      expect(() => readIdx(file.subarray(0, length))).toThrow(FormatError);
    }
  });
});

describe('gunzip', () => {
  test('unpacks', async () => {
    expect([...(await gunzip(gzipSync(Uint8Array.of(1, 2, 3))))]).toEqual([1, 2, 3]);
  });

  test('damaged data is a FormatError', async () => {
    const packed = gzipSync(new Uint8Array(1000));
    await expect(gunzip(packed.subarray(0, packed.length - 6), 'x.gz')).rejects.toThrow(/^x\.gz: damaged/);
    await expect(gunzip(Uint8Array.of(1, 2, 3))).rejects.toBeInstanceOf(FormatError);
  });

  test('readIdx names it for compressed bytes', () => {
    expect(() => readIdx(gzipSync(idx(0x08, [1], [1])))).toThrow(/gunzip/);
  });
});

describe('loadMnist', () => {
  const images = idx(0x08, [2, 2, 2], [0, 1, 2, 3, 4, 5, 6, 255]);
  const labels = idx(0x08, [2], [7, 9]);

  test.each([
    ['plain', { images, labels }],
    ['packed', { images: gzipSync(images), labels: gzipSync(labels) }],
  ])('gives images and labels from %s files', async (_, files) => {
    const dataset = await loadMnist(files);
    expect(dataset.length).toBe(2);
    expect(dataset.columns.image.shape).toEqual([2, 1, 2, 2]);
    const { image, label } = dataset.get(1);
    expect(image).toEqual({ data: Uint8Array.of(4, 5, 6, 255), shape: [1, 2, 2] });
    expect(label).toEqual({ data: Int32Array.of(9), shape: [] });
  });

  test('refuses exchanged files, and files that do not belong together', async () => {
    await expect(loadMnist({ images: labels, labels: images })).rejects.toThrow(/exchanged/);
    const three = idx(0x08, [3], [1, 2, 3]);
    await expect(loadMnist({ images, labels: three })).rejects.toThrow(/2 images and 3 labels/);
    const unready = Promise.resolve(labels) as never;
    await expect(loadMnist({ images, labels: unready })).rejects.toThrow(
      /MNIST labels: .*\n.*await it first/,
    );
    await expect(loadMnist({ image: images, labels } as never)).rejects.toThrow(/did you mean images\?/);
    await expect(loadMnist(undefined as never)).rejects.toThrow(/loadMnist takes the options images, labels/);
  });
});
