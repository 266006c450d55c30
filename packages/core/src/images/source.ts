/** Where pixels come from: what the kinds of images have in common, and what is wrong with one that gives none. */
import { ArgumentError } from '../backend/index.ts';
import { describe } from '../tensor/describe.ts';

/** RGBA, 8 bits each, row by row: an `ImageData`, or an object like it, such as decoders of image files give in Node. */
export interface PixelData {
  readonly data: Uint8ClampedArray | Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What `fromImage` takes. */
export type ImageSource =
  | PixelData
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame;

/** What is in an image. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly from:
    | { readonly kind: 'bytes'; readonly data: PixelData['data'] }
    | { readonly kind: 'browser'; readonly source: BrowserImage };
}

/** A kind of image that browsers bring along, and hand over themselves. */
export type BrowserImage = Exclude<ImageSource, PixelData> | ImageData;

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
    fix: emptiness[tagOf(source)]?.(source as never) ?? 'pass an image with pixels',
  });
}

const sizeOfDrawing = (address: string): string =>
  /svg/i.test(address)
    ? '; an SVG also needs a width and a height, which some browsers do not do without'
    : '';

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

const closed = (): string => 'it has been closed: call close() after this, or make another';
const sizeless = (): string => 'give the canvas a width and a height';

/** Why a source may have no pixels. Elements have no size before they have loaded. */
const emptiness: Readonly<Record<string, (source: never) => string>> = {
  HTMLImageElement: ({ src, complete }: HTMLImageElement): string =>
    !src
      ? 'set image.src, and wait until it has loaded: await image.decode()'
      : complete
        ? `it did not load: look at its address, ${src.slice(0, 100)} (await image.decode() throws where that happens)${sizeOfDrawing(src)}`
        : 'wait until it has loaded: await image.decode()',
  HTMLVideoElement: () =>
    "wait for its first frame: the event 'loadeddata', or video.requestVideoFrameCallback",
  ImageBitmap: closed,
  VideoFrame: closed,
  HTMLCanvasElement: sizeless,
  OffscreenCanvas: sizeless,
};

/** What to do with things that images come from or go to. */
const almost: Readonly<Record<string, string>> = {
  Null: 'there is no such element: look at the selector, and run this when the page has loaded',
  Promise: 'await it first',
  String: "load it: const image = new Image(); image.src = '...'; await image.decode()",
  Blob: 'decode it: await createImageBitmap(blob)',
  File: 'decode it: await createImageBitmap(file)',
  Response: 'decode it: await createImageBitmap(await response.blob())',
  CanvasRenderingContext2D: 'pass its canvas: context.canvas',
  OffscreenCanvasRenderingContext2D: 'pass its canvas: context.canvas',
};

function noImage(source: unknown): ArgumentError {
  const data = (source as { readonly data?: unknown } | null | undefined)?.data;
  if (data !== undefined && typeof data !== 'function') {
    return new ArgumentError(`${op}: expected data of bytes, received ${describe(data)}`, {
      op,
      received: source,
      fix: 'pass { data, width, height } with a Uint8Array of red, green, blue and alpha, 0 to 255; other numbers become a tensor with tensor(data)',
    });
  }
  return new ArgumentError(`${op}: expected an image, received ${describe(source)}`, {
    op,
    received: source,
    fix:
      almost[tagOf(source)] ??
      `pass an ${kinds}; where there are none, as in Node, decode the file and pass { data, width, height }, RGBA in bytes`,
  });
}

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

function fromBrowser(source: BrowserImage): Pixels {
  const kind = tagOf(source);
  const size = Object.hasOwn(sizes, kind) ? sizes[kind] : undefined;
  if (!size) throw noImage(source);
  const [width, height] = size(source as never);
  return { width, height, from: { kind: 'browser', source } };
}

const foreign =
  "images of other sites need image.crossOrigin = 'anonymous' before their src, and the site's consent";
const undrawn =
  'a canvas has no pixels before canvas.getContext, nor any to read once an image of another site was drawn on it';

const byHand =
  "it may be broken, closed or without a size: make it anew, or draw it on a canvas and pass that: canvas.getContext('2d').drawImage(image, 0, 0)";

/** What to do about an image that the browser refused. For security is why it keeps those of other sites. */
function fixOfKept(kind: string, cause: unknown): string {
  if (kind.includes('Canvas')) return `${undrawn}; ${foreign}`;
  return (cause as Partial<Error> | undefined)?.name === 'SecurityError' ? foreign : byHand;
}

/** What to throw when the browser refuses to hand an image over. */
export function keptPixels(source: BrowserImage, cause: unknown): ArgumentError {
  const kind = tagOf(source);
  return new ArgumentError(
    `${op}: the browser does not hand out the pixels of this ${kind}: ${cause instanceof Error ? cause.message : cause}`,
    {
      op,
      received: source,
      cause,
      fix: fixOfKept(kind, cause),
    },
  );
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
  if (!(Number.isInteger(width) && Number.isInteger(height))) {
    throw new ArgumentError(`${op}: a width of ${describe(width)} and a height of ${describe(height)}`, {
      op,
      received: [width, height],
      fix: 'pass { data, width, height }, with whole numbers of pixels',
    });
  }
  if (data.length !== width * height * 4) {
    throw new ArgumentError(`${op}: ${data.length} bytes for ${width} by ${height} pixels`, {
      op,
      received: [data.length, width, height],
      fix: `pass 4 bytes (red, green, blue, alpha) for each pixel: ${width * height * 4}`,
    });
  }
  return { width, height, from: { kind: 'bytes', data } };
}
