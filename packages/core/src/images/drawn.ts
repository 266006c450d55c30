/** Images that browsers show otherwise than they keep them, and the canvases that show them as pixels. */
import type { BrowserImage, Pixels } from './source.ts';

/** A canvas that is in no page. There is no page in a worker, and in older browsers no canvas outside of one. */
export function newCanvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (typeof OffscreenCanvas !== 'undefined') return new OffscreenCanvas(width, height);
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** What an image looks like, as a canvas of its size. */
export function drawn({
  source,
  width,
  height,
}: {
  readonly source: BrowserImage;
  readonly width: number;
  readonly height: number;
}): OffscreenCanvas | HTMLCanvasElement {
  const canvas = newCanvas(width, height);
  const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.drawImage(source as CanvasImageSource, 0, 0, width, height);
  return canvas;
}

/** Newer than the types of browsers. */
type Frame = VideoFrame & { readonly rotation?: number; readonly flip?: boolean };

/**
 * Kinds whose pixels, as a GPU is given them, may be others than those of the size that they tell. Of an element's image nobody is
 * told which it is: `srcset` and the density that a photograph brings along make it smaller than its file, and a drawing of vectors
 * has no pixels of its own.
 */
const shown: Readonly<Record<string, (source: never) => boolean>> = {
  HTMLImageElement: () => true,
  VideoFrame: ({ displayWidth, displayHeight, visibleRect, rotation, flip }: Frame) =>
    displayWidth !== visibleRect?.width ||
    displayHeight !== visibleRect.height ||
    Boolean(rotation) ||
    flip === true,
};

/** What to hand to a GPU, which has exactly the pixels of `width` by `height`. @throws what browsers throw that do not draw it */
export function asPixels(image: BrowserImage, { width, height }: Pixels): BrowserImage {
  const kind = Object.prototype.toString.call(image).slice(8, -1);
  const isOther = Object.hasOwn(shown, kind) && shown[kind]!(image as never);
  return isOther ? drawn({ source: image, width, height }) : image;
}
