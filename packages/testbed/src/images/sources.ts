/** Images of every kind that a page has, and what canvases show. */
import type { ImageSource } from '@tutti/core/interop';

export const width = 7;
export const height = 5;

/** A pattern in which every pixel and channel has a value of its own. */
export function pattern(alpha: number = 255): ImageData {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set([(i * 37) % 256, (i * 59 + 10) % 256, (i * 83 + 20) % 256, alpha], i * 4);
  }
  return image;
}

function painted<C extends HTMLCanvasElement | OffscreenCanvas>(canvas: C, image: ImageData): C {
  canvas.width = image.width;
  canvas.height = image.height;
  (canvas.getContext('2d') as OffscreenCanvasRenderingContext2D).putImageData(image, 0, 0);
  return canvas;
}

export const pageCanvas = (image: ImageData): HTMLCanvasElement =>
  painted(document.createElement('canvas'), image);
export const offscreen = (image: ImageData): OffscreenCanvas => painted(new OffscreenCanvas(1, 1), image);

async function decoded(image: ImageData): Promise<HTMLImageElement> {
  const element = new Image();
  element.src = pageCanvas(image).toDataURL('image/png');
  await element.decode();
  return element;
}

export type Kind =
  | 'ImageData'
  | 'ImageBitmap'
  | 'HTMLImageElement'
  | 'HTMLCanvasElement'
  | 'OffscreenCanvas'
  | 'VideoFrame';

/** An image as a source of each kind. */
export const sources: Readonly<Record<Kind, (image: ImageData) => ImageSource | Promise<ImageSource>>> = {
  ImageData: (image) => image,
  ImageBitmap: (image) => createImageBitmap(image),
  HTMLImageElement: decoded,
  HTMLCanvasElement: pageCanvas,
  OffscreenCanvas: offscreen,
  VideoFrame: (image) => new VideoFrame(offscreen(image), { timestamp: 0 }),
};

export type ShownKind = 'density' | 'width' | 'picture' | 'drawing' | 'frame';

/** Red on the left, blue on the right. */
function halves(w: number, h: number): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext('2d')!;
  context.fillStyle = 'rgb(255, 0, 0)';
  context.fillRect(0, 0, w / 2, h);
  context.fillStyle = 'rgb(0, 0, 255)';
  context.fillRect(w / 2, 0, w / 2, h);
  return canvas;
}

async function element(attributes: Readonly<Record<string, string>>): Promise<HTMLImageElement> {
  const image = new Image();
  for (const [name, value] of Object.entries(attributes)) image.setAttribute(name, value);
  await image.decode();
  return image;
}

async function inPicture(srcset: string): Promise<HTMLImageElement> {
  const [picture, source, image] = [
    document.createElement('picture'),
    document.createElement('source'),
    new Image(),
  ];
  source.srcset = srcset;
  picture.append(source, image);
  await image.decode();
  return image;
}

/** A drawing that has no size of its own. */
const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 4">
<rect width="4" height="4" fill="rgb(255,0,0)"/><rect x="4" width="4" height="4" fill="rgb(0,0,255)"/></svg>`;

/** Images of two halves that are shown in another size than their pixels have. */
export const shownOtherwise: Readonly<Record<ShownKind, () => ImageSource | Promise<ImageSource>>> = {
  density: () => element({ srcset: `${halves(8, 4).toDataURL()} 2x` }),
  width: () => element({ srcset: `${halves(8, 4).toDataURL()} 8w`, sizes: '4px' }),
  picture: () => inPicture(`${halves(8, 4).toDataURL()} 2x`),
  drawing: () => element({ src: `data:image/svg+xml,${encodeURIComponent(drawing)}` }),
  frame: () => new VideoFrame(halves(8, 4), { timestamp: 0, displayWidth: 16, displayHeight: 8 }),
};

/** A video of 64 by 48 pixels, of one colour all over, because video is compressed. */
export async function playing(colour: string): Promise<HTMLVideoElement> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [64, 48];
  const context = canvas.getContext('2d')!;
  const paint = (): void => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 64, 48);
  };
  const painting = setInterval(paint, 20);
  const video = document.createElement('video');
  video.muted = true;
  video.srcObject = canvas.captureStream(50);
  const framed = new Promise<void>((resolve) => void video.requestVideoFrameCallback(() => resolve()));
  await video.play();
  await framed;
  clearInterval(painting);
  return video;
}

/** What is on a canvas that has just been drawn. */
export function onCanvas(
  source: CanvasImageSource & { readonly width: number; readonly height: number },
): number[] {
  const copy = new OffscreenCanvas(source.width, source.height).getContext('2d')!;
  copy.drawImage(source, 0, 0);
  return [...copy.getImageData(0, 0, source.width, source.height).data];
}
