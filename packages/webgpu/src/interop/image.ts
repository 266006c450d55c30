/** Images, canvases and video frames as tensors. */
import { ArgumentError, DTypeError, dtypeInfo, ShapeError } from '@tutti/core/backend';
import {
  checkOptions,
  type Device,
  defaultDevice,
  fromDeviceBuffer,
  type OptionNames,
  sizeOf,
  type Tensor,
} from '@tutti/core/interop';
import { backendOf } from './device.ts';
import { type Channels, imagePipeline, type PixelDType, runOver } from './image-shader.ts';
import { type ImageSource, type Pixels, pixelsOf } from './source.ts';

export interface FromImageOptions {
  /**
   * Shape of the result: `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 channels (RGBA). An image of another size
   * is scaled to it. Default: the size of the image, 3 channels.
   */
  readonly shape?: readonly number[];
  /** `uint8`: 0 to 255. `float32`: 0 to 1. Default: uint8, or float32 with `normalize`. */
  readonly dtype?: PixelDType;
  /** `(value - mean) / std`, of values from 0 to 1; one number, or one for each channel. The result is float32. */
  readonly normalize?: {
    readonly mean: number | readonly number[];
    readonly std: number | readonly number[];
  };
  /** A device of WebGPU. Default: the default device. */
  readonly device?: Device;
}

const op = 'fromImage';
const optionNames: OptionNames<FromImageOptions> = {
  shape: true,
  dtype: true,
  normalize: true,
  device: true,
};

/**
 * The pixels of an image, a canvas, a video or one of its frames as a tensor `[height, width, channels]`. They go to the GPU
 * as the browser has them, and become a tensor there: no JavaScript array is in between, and nothing is waited for. The
 * image is looked at before this returns, so that a frame may be closed or a canvas painted over.
 *
 * Colours are those of sRGB, alpha is not multiplied in. Grey is `0.299 R + 0.587 G + 0.114 B`. Scaling is linear between the
 * four nearest pixels, whose centres are at halves (`align_corners=False`); to make an image much smaller, scale it with
 * `createImageBitmap(image, { resizeWidth, resizeHeight, resizeQuality: 'high' })` first. uint8 rounds to the nearest.
 *
 * @param source Also an object `{ data, width, height }` with RGBA bytes: there are no images in Node.
 * @throws ArgumentError for what is no image, has not loaded, or whose pixels the browser keeps to itself; ShapeError,
 * DTypeError; DeviceError when the device is not an open one of WebGPU.
 *
 * @example
 * const pixels = fromImage(video, { shape: [224, 224, 3], normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } });
 * const batch = pixels.permute([2, 0, 1]).unsqueeze(0); // (1, 3, 224, 224)
 */
export function fromImage(source: ImageSource, options: FromImageOptions = {}): Tensor {
  checkOptions(op, options, optionNames);
  const { device = defaultDevice(), normalize } = options;
  const backend = backendOf(device, op);
  const dtype = checkPixelDType(options.dtype ?? (normalize ? 'float32' : 'uint8'), normalize);
  const pixels = pixelsOf(source);
  const shape = checkImageShape(options.shape ?? [pixels.height, pixels.width, 3]);
  const [height, width, channels] = shape;
  const mean = perChannel(normalize?.mean ?? 0, channels, 'mean');
  const std = perChannel(normalize?.std ?? 1, channels, 'std');
  const scale = std.map((each) => 1 / each);

  const buffer = backend.allocate(sizeOf(shape) * dtypeInfo[dtype].bytes);
  try {
    const { gpu, offset } = backend.memoryOf(buffer);
    backend.perform('while an image became a tensor', (on) => {
      const texture = upload(on, pixels);
      const parameters = parameterBuffer(
        on,
        [pixels.width, pixels.height, width, height],
        [...mean, ...scale],
      );
      const words = Math.ceil(buffer.bytes / 4);
      runOver(on, words, imagePipeline(on, dtype, channels), [
        texture.createView(),
        { buffer: gpu, offset, size: words * 4 },
        { buffer: parameters },
      ]);
      // What has been submitted still sees them.
      texture.destroy();
      parameters.destroy();
    });
    return fromDeviceBuffer(buffer, { shape, dtype, device });
  } catch (error) {
    backend.free(buffer);
    throw error;
  }
}

/** `TEXTURE_BINDING | COPY_DST | RENDER_ATTACHMENT`: the last, because browsers draw images that they copy. */
const textureUsage = 0x04 | 0x02 | 0x10;

function upload(device: GPUDevice, pixels: Pixels): GPUTexture {
  const most = device.limits.maxTextureDimension2D;
  const { width, height } = pixels;
  if (width > most || height > most) {
    throw new ArgumentError(
      `${op}: ${width} by ${height} pixels; this device takes up to ${most} by ${most}`,
      {
        op,
        received: [width, height],
        fix: 'make it smaller first: createImageBitmap(image, { resizeWidth, resizeHeight })',
      },
    );
  }
  const texture = device.createTexture({ size: [width, height], format: 'rgba8unorm', usage: textureUsage });
  try {
    pixels.writeTo(device, texture);
  } catch (error) {
    texture.destroy();
    throw error;
  }
  return texture;
}

/** `UNIFORM | COPY_DST` */
const uniformUsage = 0x40 | 0x08;

function parameterBuffer(device: GPUDevice, sizes: readonly number[], floats: readonly number[]): GPUBuffer {
  const data = new ArrayBuffer(48);
  new Uint32Array(data, 0, 4).set(sizes);
  new Float32Array(data, 16, 8).set(floats);
  const buffer = device.createBuffer({ size: data.byteLength, usage: uniformUsage });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
}

function checkPixelDType(dtype: PixelDType, normalize: FromImageOptions['normalize']): PixelDType {
  const good = dtype === 'float32' || (dtype === 'uint8' && !normalize);
  if (good) return dtype;
  throw new DTypeError(
    normalize ? `${op}: normalised pixels are not ${dtype}` : `${op}: pixels of dtype ${dtype}`,
    {
      op,
      received: dtype,
      fix: normalize
        ? "leave dtype out, or pass 'float32'"
        : "take 'uint8' or 'float32', and cast: x.cast('float16')",
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
  const values = typeof value === 'number' ? new Array<number>(channels).fill(value) : [...value];
  const good = values.length === channels && values.every(Number.isFinite);
  if (good && (name !== 'std' || !values.includes(0))) return [...values, 1, 1, 1].slice(0, 4);
  throw new ArgumentError(`${op}: normalize.${name} is ${JSON.stringify(value)}`, {
    op,
    received: value,
    fix: `pass a number or ${channels} of them, one for each channel; a std is not 0`,
  });
}
