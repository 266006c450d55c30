/** What an image shall become: the options of `fromImage` on every backend that takes images. */
import { ArgumentError, DTypeError, dtypeInfo, ShapeError } from '../backend/index.ts';
import type { TraceRefusal } from '../tensor/context.ts';
import { checkOptions, type OptionNames, requireOptions } from '../tensor/options.ts';
import { type ImageSource, type Pixels, pixelsOf } from './source.ts';

export type Channels = 1 | 3 | 4;
export type PixelDType = 'uint8' | 'float32';

/** What is subtracted, and what divides then; one number, or one for each channel. */
export interface PixelNormalization {
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

export interface ImageOptions {
  /**
   * Shape of the result: `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 channels (RGBA). An image of another size
   * is scaled to it. Default: the size of the image, 3 channels.
   */
  readonly shape?: readonly number[];
  /** `uint8`: 0 to 255. `float32`: 0 to 1. Default: uint8, or float32 with `normalize`. */
  readonly dtype?: PixelDType;
  /** `(value - mean) / std`, of values from 0 to 1. The result is float32. */
  readonly normalize?: PixelNormalization;
}

/** An image that is ready, and what is to be made of it. */
export interface ImagePlan {
  readonly pixels: Pixels;
  readonly shape: readonly [height: number, width: number, channels: Channels];
  readonly dtype: PixelDType;
  /** Of four channels each, of which those of the shape count: `(value - mean) * scale`. */
  readonly mean: readonly number[];
  readonly scale: readonly number[];
}

/** Why `fromImage` is not called inside of a function that is traced: the first image would stay for ever. */
export const imagesInTraces: TraceRefusal = {
  because: 'it would look at the image once, and every call would get that',
  fix: 'call fromImage outside, and pass the tensor to the function as an argument',
};

const op = 'fromImage';
const optionNames: OptionNames<ImageOptions & { readonly device: unknown }> = {
  shape: true,
  dtype: true,
  normalize: true,
  device: true,
};
const normalizationNames: OptionNames<PixelNormalization> = { mean: true, std: true };

/** Looks at the options of `fromImage`, of which `device` is the caller's, before anything is done. @throws ArgumentError */
export function checkImageOptions(options: ImageOptions & { readonly device?: unknown }): void {
  checkOptions(op, options as Required<typeof options>, optionNames);
  if (options.normalize !== undefined)
    requireOptions(`${op} normalize`, options.normalize, normalizationNames);
}

/**
 * @throws ArgumentError for what is no image, and one that is not ready or has no pixels; ShapeError, DTypeError.
 */
export function planImage(source: ImageSource, options: ImageOptions): ImagePlan {
  const { normalize } = options;
  const dtype = checkPixelDType(options.dtype ?? (normalize ? 'float32' : 'uint8'), normalize);
  const pixels = pixelsOf(source);
  const shape = checkImageShape(options.shape ?? [pixels.height, pixels.width, 3]);
  const [, , channels] = shape;
  const { mean, std } = normalize ?? { mean: 0, std: 1 };
  return {
    pixels,
    shape,
    dtype,
    mean: perChannel(mean, channels, 'mean'),
    scale: perChannel(std, channels, 'std').map((each) => 1 / each),
  };
}

/** @throws ArgumentError for an image with more pixels in a row or a column than a texture has. */
export function checkImageSize({ width, height }: Pixels, most: number): void {
  if (width <= most && height <= most) return;
  throw new ArgumentError(`${op}: ${width} by ${height} pixels; this device takes up to ${most} by ${most}`, {
    op,
    received: [width, height],
    fix: 'make it smaller first: createImageBitmap(image, { resizeWidth, resizeHeight })',
  });
}

function checkPixelDType(dtype: PixelDType, normalize: ImageOptions['normalize']): PixelDType {
  const good = dtype === 'float32' || (dtype === 'uint8' && !normalize);
  if (good) return dtype;
  throw new DTypeError(
    normalize ? `${op}: normalised pixels are not ${dtype}` : `${op}: pixels of dtype ${dtype}`,
    {
      op,
      received: dtype,
      fix: normalize
        ? "leave dtype out, or pass 'float32'"
        : `take 'uint8' or 'float32'${Object.hasOwn(dtypeInfo, dtype) ? `, and cast: x.cast('${dtype}')` : ''}`,
    },
  );
}

function checkImageShape(shape: readonly number[]): readonly [number, number, Channels] {
  const good =
    Array.isArray(shape) &&
    shape.length === 3 &&
    shape.every((extent) => Number.isInteger(extent) && extent > 0) &&
    [1, 3, 4].includes(shape[2]!);
  if (good) return shape as unknown as readonly [number, number, Channels];
  throw new ShapeError(`${op}: ${JSON.stringify(shape)} is not the shape of an image`, {
    op,
    received: shape,
    fix: 'pass [height, width, channels] with 1, 3 or 4 channels; x.permute([2, 0, 1]) moves the channels to the front',
  });
}

/** Four numbers, of which the first `channels` count. */
function perChannel(value: number | readonly number[], channels: number, name: string): number[] {
  const values =
    typeof value === 'number' ? new Array<number>(channels).fill(value) : Array.from(value ?? []);
  const good = values.length === channels && values.every(Number.isFinite);
  if (good && (name !== 'std' || !values.includes(0))) return [...values, 1, 1, 1].slice(0, 4);
  throw new ArgumentError(`${op}: normalize.${name} is ${JSON.stringify(value)}`, {
    op,
    received: value,
    fix: `pass a number or ${channels} of them, one for each channel; a std is not 0`,
  });
}
