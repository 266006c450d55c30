/** What the browser's test asks the page to do: each check gives what JSON can hold. */
import { type Device, jit, registerBackend, setDefaultDevice, type Tensor, tensor, zeros } from '@tutti/core';
import { createWebglBackend, fromImage, type ImageSource, toCanvas } from '../../src/index.ts';

const width = 7;
const height = 5;

/** A pattern in which every pixel and channel has a value of its own. */
function pattern(alpha = 255): ImageData {
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

const pageCanvas = (image: ImageData): HTMLCanvasElement => painted(document.createElement('canvas'), image);
const offscreen = (image: ImageData): OffscreenCanvas => painted(new OffscreenCanvas(1, 1), image);

async function decoded(image: ImageData): Promise<HTMLImageElement> {
  const element = new Image();
  element.src = pageCanvas(image).toDataURL('image/png');
  await element.decode();
  return element;
}

/** One colour all over, because video is compressed. */
async function playing(colour: string): Promise<HTMLVideoElement> {
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

interface Read {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: readonly number[];
}

async function read(x: Tensor): Promise<Read> {
  return { shape: x.shape, dtype: x.dtype, values: [...(await x.data())] };
}

/** What is on a canvas that has just been drawn. */
function onCanvas(source: CanvasImageSource & { readonly width: number; readonly height: number }): number[] {
  const copy = new OffscreenCanvas(source.width, source.height).getContext('2d')!;
  copy.drawImage(source, 0, 0);
  return [...copy.getImageData(0, 0, source.width, source.height).data];
}

const failure = async (action: () => unknown): Promise<object> => {
  try {
    await action();
    return {};
  } catch (error) {
    const { code, message, fix } = error as { code: string; message: string; fix: string };
    return { code, message, fix };
  }
};

const ready: Promise<Device> = (async () => {
  registerBackend(createWebglBackend());
  return setDefaultDevice('webgl');
})();

const makers: Readonly<Record<string, (image: ImageData) => ImageSource | Promise<ImageSource>>> = {
  ImageData: (image) => image,
  ImageBitmap: (image) => createImageBitmap(image),
  HTMLImageElement: decoded,
  HTMLCanvasElement: pageCanvas,
  OffscreenCanvas: offscreen,
  VideoFrame: (image) => new VideoFrame(offscreen(image), { timestamp: 0 }),
};

const checks = {
  /** The pattern as its values are, and as a source of one kind gives them. */
  async source(kind: string, channels: number, alpha = 255) {
    await ready;
    const image = pattern(alpha);
    const source = await makers[kind]!(image);
    const x = fromImage(source, { shape: [height, width, channels] });
    if ('close' in source) source.close(); // nobody needs it any more
    return { ...(await read(x)), pixels: [...image.data] };
  },

  async video() {
    await ready;
    const video = await playing('rgb(200, 100, 50)');
    const x = fromImage(video, { shape: [2, 2, 3] });
    return { ...(await read(x)), whole: fromImage(video).shape };
  },

  async painted() {
    await ready;
    const canvas = pageCanvas(pattern());
    const x = fromImage(canvas);
    const context = canvas.getContext('2d')!;
    context.fillRect(0, 0, width, height);
    return { ...(await read(x)), pixels: [...pattern().data] };
  },

  async normalised() {
    await ready;
    const x = fromImage(offscreen(pattern()), { normalize: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] } });
    return { ...(await read(x)), pixels: [...pattern().data] };
  },

  async inTraining() {
    await ready;
    const darken = jit((x: Tensor) => x.cast('float32').mul(0.5));
    const image = pattern();
    const means = [];
    for (let i = 0; i < 3; i++) {
      using x = fromImage(await createImageBitmap(image));
      using y = await darken(x);
      means.push(await y.mean().item());
    }
    return means;
  },

  async drawn(dtype: 'uint8' | 'float32', channels: number, alpha = 255) {
    await ready;
    const image = pattern(alpha);
    const x = fromImage(image, { shape: [height, width, channels], dtype });
    const canvas = document.createElement('canvas');
    await toCanvas(x, canvas);
    return { size: [canvas.width, canvas.height], values: onCanvas(canvas), pixels: [...image.data] };
  },

  /** As a page shows it: the canvas is in the document, and the browser takes frames of it. */
  async presented() {
    const device = await ready;
    const canvas = document.body.appendChild(document.createElement('canvas'));
    const values = [];
    for (const grey of [0, 0.2, 1]) {
      await toCanvas(tensor([[grey]]), canvas);
      values.push(onCanvas(canvas));
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
    }
    canvas.remove();
    return { values, failure: String(device.backend.failure) };
  },

  async drawnAgain() {
    await ready;
    const canvas = new OffscreenCanvas(1, 1);
    await toCanvas(tensor([[0]]), canvas);
    await toCanvas(tensor([[-1, 0.2, Infinity, 1]]), canvas);
    const size = [canvas.width, canvas.height];
    return { size, values: onCanvas(canvas.transferToImageBitmap()) };
  },

  async roundTrip() {
    await ready;
    const canvas = new OffscreenCanvas(1, 1);
    const x = fromImage(pattern());
    await toCanvas(x, canvas);
    return { before: await read(x), after: await read(fromImage(canvas)) };
  },

  /** Sizes that fill no texel, and what is scaled. */
  async bytes(
    size: readonly [number, number],
    channels: number,
    dtype: 'uint8' | 'float32',
    shape?: number[],
  ) {
    await ready;
    const [w, h] = size;
    const data = Uint8Array.from({ length: w * h * 4 }, (_, i) => (i * 37 + 11) % 256);
    const x = fromImage({ data, width: w, height: h }, { shape: shape ?? [h, w, channels], dtype });
    return { ...(await read(x)), pixels: [...data] };
  },

  async failures(foreign: string) {
    await ready;
    const tainted = new Image();
    tainted.src = foreign;
    await tainted.decode();
    const closed = await createImageBitmap(pattern());
    closed.close();
    const broken = new Image();
    broken.src = 'data:image/png,no';
    await broken.decode().catch(() => {});
    const loading = new Image();
    loading.src = `${foreign}?later`;
    const early = await failure(() => fromImage(loading));
    const sizeless = document.createElement('canvas');
    sizeless.width = 0;
    const stained = document.createElement('canvas');
    stained.getContext('2d')!.drawImage(tainted, 0, 0);
    const given = document.createElement('canvas');
    given.transferControlToOffscreen();
    const solid = new OffscreenCanvas(1, 1);
    solid.getContext('webgl2');
    const brush = document.createElement('canvas').getContext('2d');
    return {
      tainted: await failure(() => fromImage(tainted)),
      notLoaded: await failure(() => fromImage(new Image())),
      loading: early,
      broken: await failure(() => fromImage(broken)),
      noFrame: await failure(() => fromImage(document.createElement('video'))),
      closed: await failure(() => fromImage(closed)),
      sizeless: await failure(() => fromImage(sizeless)),
      stained: await failure(() => fromImage(stained)),
      brush: await failure(() => fromImage(brush as unknown as ImageSource)),
      given: await failure(() => toCanvas(tensor([[1]]), given)),
      solid: await failure(() => toCanvas(tensor([[1]]), solid)),
      large: await failure(() => toCanvas(zeros([1, 100_000]), new OffscreenCanvas(1, 1))),
      noImage: await failure(() => fromImage(document.createElement('p') as unknown as ImageSource)),
    };
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;
