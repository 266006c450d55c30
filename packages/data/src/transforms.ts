/** Transforms of one sample's array on the host. Images are (C, H, W). For use in `map(dataset, ...)`. */
import { ArgumentError, IndexError, ShapeError } from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { checkInteger, emptyLike, type NdArray, type TypedArray } from './ndarray.ts';
import type { RandomStream } from './random.ts';

/** Makes an array from an array. What it draws comes from `random`. */
export type Transform = (array: NdArray, random: RandomStream) => NdArray;

/** One transform after another, from left to right. */
export function compose(...transforms: readonly Transform[]): Transform {
  return (array, random) => transforms.reduce((result, transform) => transform(result, random), array);
}

/** `x / max` as float32, by default with `max` 255: bytes -> [0, 1]. Shape (...) -> (...). */
export function scaleToFloat(max = 255): Transform {
  if (!(max > 0)) {
    throw new ArgumentError(`scaleToFloat: max is ${max}`, {
      received: max,
      fix: 'pass the largest value, above 0',
    });
  }
  return ({ data, shape }) => ({ data: Float32Array.from(data, (value) => value / max), shape });
}

/**
 * `(x - mean[c]) / deviation[c]` as float32. One value serves all channels. Shape (C, ...) -> (C, ...).
 *
 * @throws ArgumentError for a deviation that is not above 0. @throws ShapeError for another number of channels.
 */
export function normalize(
  mean: number | readonly number[],
  deviation: number | readonly number[],
): Transform {
  const means = [mean].flat();
  const deviations = [deviation].flat();
  if (!deviations.every((value) => value > 0)) {
    throw new ArgumentError(`normalize: deviation ${deviation}`, {
      op: 'normalize',
      received: deviation,
      fix: 'each standard deviation is above 0',
    });
  }
  return ({ data, shape }) => {
    const channels = shape[0] ?? 1;
    for (const list of [means, deviations]) {
      if (list.length === 1 || list.length === channels) continue;
      throw new ShapeError(`normalize: ${list.length} values for an array of shape [${shape}]`, {
        op: 'normalize',
        received: shape,
        fix: 'pass one value, or one for each channel (the first axis)',
      });
    }
    const plane = data.length / channels;
    const result = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) {
      const c = Math.floor(i / plane);
      result[i] = (data[i]! - means[c % means.length]!) / deviations[c % deviations.length]!;
    }
    return { data: result, shape };
  };
}

/** Mirrors left and right with a probability. Shape (..., W) -> (..., W). @throws ArgumentError unless 0 <= p <= 1. */
export function randomHorizontalFlip(probability = 0.5): Transform {
  checkProbability(probability, 'randomHorizontalFlip');
  return (array, random) => (random.next() < probability ? flipAxis(array, array.shape.length - 1) : array);
}

/** Mirrors up and down with a probability. Shape (..., H, W) -> (..., H, W). @throws ArgumentError unless 0 <= p <= 1. */
export function randomVerticalFlip(probability = 0.5): Transform {
  checkProbability(probability, 'randomVerticalFlip');
  return (array, random) => (random.next() < probability ? flipAxis(array, array.shape.length - 2) : array);
}

function checkProbability(value: number, op: string): void {
  if (value >= 0 && value <= 1) return;
  throw new ArgumentError(`${op}: probability ${value}`, {
    op,
    received: value,
    fix: 'it lies between 0 and 1',
  });
}

function flipAxis({ data, shape }: NdArray, axis: number): NdArray {
  if (axis < 0) {
    throw new ShapeError(`flip: shape [${shape}] is no image`, {
      received: shape,
      fix: 'images are (C, H, W)',
    });
  }
  const result = emptyLike(data, data.length);
  const extent = shape[axis]!;
  const inner = shape.slice(axis + 1).reduce((product, each) => product * each, 1);
  for (let row = 0; row * inner < data.length; row++) {
    const within = row % extent;
    const from = (row - within + (extent - 1 - within)) * inner;
    result.set(data.subarray(from, from + inner), row * inner);
  }
  return { data: result, shape };
}

export interface CropOptions {
  /** Zeros on each side. Default 0. */
  readonly padding?: number;
}

const cropOptions: OptionNames<CropOptions> = { padding: true };

/**
 * A window of `size` (height, width) at a random place of the image with `padding` zeros around it.
 * Shape (..., H, W) -> (..., height, width).
 *
 * @throws ShapeError when the padded image is smaller than the window.
 */
export function randomCrop(size: number | readonly [number, number], options: CropOptions = {}): Transform {
  checkOptions('randomCrop', options, cropOptions);
  const { padding = 0 } = options;
  const [height, width] = typeof size === 'number' ? [size, size] : size;
  for (const extent of [height, width]) checkInteger(extent, 1, 'randomCrop', 'size');
  checkInteger(padding, 0, 'randomCrop', 'padding');
  return (array, random) => {
    const [imageHeight = 0, imageWidth = 0] = array.shape.slice(-2);
    const rows = imageHeight + 2 * padding - height;
    const columns = imageWidth + 2 * padding - width;
    if (array.shape.length < 2 || rows < 0 || columns < 0) {
      throw new ShapeError(`randomCrop: [${height}, ${width}] of an image of shape [${array.shape}]`, {
        op: 'randomCrop',
        received: array.shape,
        fix: 'crop less, or pass more { padding }',
      });
    }
    const top = random.integer(rows + 1) - padding;
    const left = random.integer(columns + 1) - padding;
    return window(array, [imageHeight, imageWidth], [top, left], [height, width]);
  };
}

/** The part of each plane at (top, left), which may reach beyond the image: there are zeros. */
function window(
  { data, shape }: NdArray,
  [imageHeight, imageWidth]: readonly [number, number],
  [top, left]: readonly [number, number],
  [height, width]: readonly [number, number],
): NdArray {
  const planes = data.length / (imageHeight * imageWidth);
  const result: TypedArray = emptyLike(data, planes * height * width);
  const from = Math.max(left, 0);
  const to = Math.min(left + width, imageWidth);
  for (let plane = 0; plane < planes; plane++) {
    for (let y = Math.max(0, -top); y < Math.min(height, imageHeight - top) && from < to; y++) {
      const row = (plane * imageHeight + top + y) * imageWidth;
      result.set(data.subarray(row + from, row + to), (plane * height + y) * width + from - left);
    }
  }
  return { data: result, shape: [...shape.slice(0, -2), height, width] };
}

/**
 * 1 at the element's value and 0 elsewhere, as float32. Shape (...) -> (..., classes).
 *
 * @throws IndexError for a value that is not an integer in 0 .. classes - 1.
 */
export function oneHot(classes: number): Transform {
  checkInteger(classes, 1, 'oneHot', 'classes');
  return ({ data, shape }) => {
    const result = new Float32Array(data.length * classes);
    for (const [i, value] of data.entries()) {
      if (!Number.isInteger(value) || value < 0 || value >= classes) {
        throw new IndexError(`oneHot: value ${value} with ${classes} classes`, {
          op: 'oneHot',
          received: value,
          fix: `values go from 0 to ${classes - 1}`,
        });
      }
      result[i * classes + value] = 1;
    }
    return { data: result, shape: [...shape, classes] };
  };
}
