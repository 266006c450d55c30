/** Where pixels come from: what the kinds of images have in common, and what is wrong with one that gives none. */
import { ArgumentError } from '@tutti/core/backend';

/** RGBA, 8 bits each, row by row: an `ImageData`, or an object like it, such as decoders of image files give in Node. */
export interface PixelData {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What {@link fromImage} takes. */
export type ImageSource =
  | PixelData
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame;

/** Pixels as WebGPU takes them, and how many there are. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Puts them into a texture of that size, in format `rgba8unorm`. */
  readonly writeTo: (device: GPUDevice, texture: GPUTexture) => void;
}

const op = 'fromImage';
const kinds =
  'ImageBitmap, ImageData, HTMLImageElement, HTMLCanvasElement, OffscreenCanvas, HTMLVideoElement or VideoFrame';

/** @throws ArgumentError for what is no image, and for an image that is not ready or has no pixels. */
export function pixelsOf(source: ImageSource): Pixels {
  const pixels = isPixelData(source) ? fromData(source) : fromBrowser(source);
  if (pixels.width > 0 && pixels.height > 0) return pixels;
  throw new ArgumentError(`${op}: the image is ${pixels.width} by ${pixels.height} pixels`, {
    op,
    received: source,
    fix: notReady[tagOf(source)] ?? 'pass an image with pixels',
  });
}

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/** Elements have no size before they have loaded. */
const notReady: Readonly<Record<string, string>> = {
  HTMLImageElement: 'wait until it has loaded: await image.decode()',
  HTMLVideoElement: "wait for its first frame: the event 'loadeddata', or video.requestVideoFrameCallback",
};

type Size = readonly [width: number, height: number];

/** Width and height in pixels of each kind that browsers bring along. */
const sizes: Readonly<Record<string, (source: never) => Size>> = {
  ImageBitmap: ({ width, height }: ImageBitmap): Size => [width, height],
  ImageData: ({ width, height }: ImageData): Size => [width, height],
  HTMLImageElement: ({ naturalWidth, naturalHeight }: HTMLImageElement): Size => [
    naturalWidth,
    naturalHeight,
  ],
  HTMLCanvasElement: ({ width, height }: HTMLCanvasElement): Size => [width, height],
  OffscreenCanvas: ({ width, height }: OffscreenCanvas): Size => [width, height],
  HTMLVideoElement: ({ videoWidth, videoHeight }: HTMLVideoElement): Size => [videoWidth, videoHeight],
  VideoFrame: ({ displayWidth, displayHeight }: VideoFrame): Size => [displayWidth, displayHeight],
};

function fromBrowser(source: Exclude<ImageSource, PixelData>): Pixels {
  const kind = tagOf(source);
  const size = Object.hasOwn(sizes, kind) ? sizes[kind] : undefined;
  if (!size) {
    throw new ArgumentError(`${op}: this is not an image`, {
      op,
      received: source,
      fix: `pass an ${kinds}; where there are none, as in Node, decode the file and pass { data, width, height }, RGBA in bytes`,
    });
  }
  const [width, height] = size(source as never);
  const writeTo = (device: GPUDevice, texture: GPUTexture): void => {
    try {
      device.queue.copyExternalImageToTexture(
        { source },
        { texture, premultipliedAlpha: false, colorSpace: 'srgb' },
        [width, height],
      );
    } catch (cause) {
      throw new ArgumentError(
        `${op}: the browser does not hand out the pixels of this ${kind}: ${cause instanceof Error ? cause.message : cause}`,
        {
          op,
          received: source,
          cause,
          fix: "images of other sites need image.crossOrigin = 'anonymous' before their src, and the site's consent; bitmaps and frames that were closed are gone",
        },
      );
    }
  };
  return { width, height, writeTo };
}

/** Bytes that are on the host already are written as they are. */
function isPixelData(source: ImageSource): source is PixelData {
  const { data, colorSpace = 'srgb' } = (source ?? {}) as {
    readonly data?: unknown;
    readonly colorSpace?: string;
  };
  return (data instanceof Uint8ClampedArray || data instanceof Uint8Array) && colorSpace === 'srgb';
}

function fromData({ data, width, height }: PixelData): Pixels {
  if (data.length !== width * height * 4) {
    throw new ArgumentError(`${op}: ${data.length} bytes for ${width} by ${height} pixels`, {
      op,
      received: [data.length, width, height],
      fix: `pass 4 bytes (red, green, blue, alpha) for each pixel: ${width * height * 4}`,
    });
  }
  const writeTo = (device: GPUDevice, texture: GPUTexture): void =>
    device.queue.writeTexture({ texture }, data as Uint8Array<ArrayBuffer>, { bytesPerRow: width * 4 }, [
      width,
      height,
    ]);
  return { width, height, writeTo };
}
