import { ArgumentError, IndexError, ShapeError } from '@tutti/core';
import {
  compose,
  ndarray,
  normalize,
  oneHot,
  RandomStream,
  randomCrop,
  randomHorizontalFlip,
  randomVerticalFlip,
  scaleToFloat,
} from '@tutti/data';
import { describe, expect, test } from 'vitest';

const random = new RandomStream(1);
const image = ndarray(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), [2, 2, 3]);

describe('transforms', () => {
  test('scaleToFloat and normalize', () => {
    expect([...scaleToFloat()(ndarray(Uint8Array.of(0, 51, 255)), random).data]).toEqual([
      0,
      Math.fround(0.2),
      1,
    ]);
    const { data, shape } = normalize([1, 7], [2, 4])(image, random);
    expect(shape).toEqual([2, 2, 3]);
    expect([...data]).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 0, 0.25, 0.5, 0.75, 1, 1.25]);
    expect([...normalize(1, [1, 2])(image, random).data].slice(6)).toEqual([3, 3.5, 4, 4.5, 5, 5.5]);
    expect(() => normalize([1, 2, 3], 1)(image, random)).toThrow(ShapeError);
    expect(() => normalize(0, 0)).toThrow(ArgumentError);
    expect(() => scaleToFloat(0)).toThrow(ArgumentError);
  });

  test('flips', () => {
    expect([...randomHorizontalFlip(1)(image, random).data]).toEqual([3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]);
    expect([...randomVerticalFlip(1)(image, random).data]).toEqual([4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9]);
    expect(randomHorizontalFlip(0)(image, random)).toBe(image);
    expect(() => randomHorizontalFlip(1.5)).toThrow(ArgumentError);
    expect(() => randomVerticalFlip(1)(ndarray(Uint8Array.of(1)), random)).toThrow(ShapeError);
  });

  test('a crop of the whole image is the image', () => {
    expect(randomCrop([2, 3])(image, random)).toEqual(image);
  });

  test('every crop is a window of the padded image', () => {
    const padded = [
      [0, 0, 0, 0, 0],
      [0, 1, 2, 3, 0],
      [0, 4, 5, 6, 0],
      [0, 0, 0, 0, 0],
    ];
    const windows = new Map<string, boolean>();
    for (let y = 0; y <= 2; y++) {
      for (let x = 0; x <= 3; x++)
        windows.set(String([0, 1].map((dy) => padded[y + dy]!.slice(x, x + 2))), false);
    }
    for (let i = 0; i < 300; i++) {
      const { data, shape } = randomCrop(2, { padding: 1 })(image, random);
      expect(shape).toEqual([2, 2, 2]);
      const key = String([...data.subarray(0, 4)]);
      expect(windows.has(key)).toBe(true);
      windows.set(key, true);
      for (const [j, value] of data.subarray(0, 4).entries()) expect(data[j + 4]).toBe(value && value + 6);
    }
    expect([...windows.values()].every(Boolean)).toBe(true);
  });

  test('a crop that does not fit', () => {
    expect(() => randomCrop(4)(image, random)).toThrow(ShapeError);
    expect(() => randomCrop(0)).toThrow(ArgumentError);
    expect(() => randomCrop(2, { padding: -1 })).toThrow(ArgumentError);
    expect(() => randomCrop(2, { pad: 1 } as never)).toThrow(/randomCrop: .*\n.*did you mean padding\?/);
    expect(() => randomCrop(2, 4 as never)).toThrow(/did you mean \{ padding: 4 \}\?/);
    expect(() => randomCrop(1)(ndarray(Uint8Array.of(1)), random)).toThrow(ShapeError);
  });

  test('oneHot', () => {
    expect(oneHot(3)(ndarray(Int32Array.of(2, 0)), random)).toEqual(
      ndarray(Float32Array.of(0, 0, 1, 1, 0, 0), [2, 3]),
    );
    expect(oneHot(3)({ data: Int32Array.of(1), shape: [] }, random).shape).toEqual([3]);
    expect(() => oneHot(3)(ndarray(Int32Array.of(3)), random)).toThrow(IndexError);
    expect(() => oneHot(3)(ndarray(Float32Array.of(0.5)), random)).toThrow(IndexError);
  });

  test('compose runs from left to right', () => {
    const result = compose(scaleToFloat(1), normalize(1, 2), randomHorizontalFlip(1))(image, random);
    expect([...result.data].slice(0, 3)).toEqual([1, 0.5, 0]);
  });
});
