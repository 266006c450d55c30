/**
 * What a page of tests does with images, for every backend that takes them. What each check gives JSON can hold; `cases.ts` has what
 * it should be.
 */
import { type Device, jit, scope, type Tensor, tensor } from '@tutti/core';
import type { ImageOptions, ImageSource, PixelDType } from '@tutti/core/interop';
import { type Refusal, refusal, refusals } from './refusals.ts';
import {
  height,
  type Kind,
  offscreen,
  onCanvas,
  pageCanvas,
  pattern,
  playing,
  type ShownKind,
  shownOtherwise,
  sources,
  width,
} from './sources.ts';

/** Of a backend's package. */
export interface ImageFunctions {
  readonly fromImage: (source: ImageSource, options?: ImageOptions) => Tensor;
  readonly toCanvas: (tensor: Tensor, canvas: HTMLCanvasElement | OffscreenCanvas) => Promise<void>;
}

export interface ImageSubject extends ImageFunctions {
  /** The device of the backend, once it is the default device. */
  readonly ready: Promise<Device>;
  /** A kind of context that its `toCanvas` does not draw with. */
  readonly otherContext: string;
}

/** A tensor. */
export interface Read {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly values: readonly number[];
}

/** A tensor, and the RGBA bytes that it was made of. */
export interface Taken extends Read {
  readonly pixels: readonly number[];
}

/** What a canvas shows, and the RGBA bytes that were drawn on it. */
export interface Drawn {
  readonly size: readonly number[];
  readonly values: readonly number[];
  readonly pixels: readonly number[];
}

export type ImageChecks = {
  /** The pattern as a source of one kind gives it. */
  source(kind: Kind, channels: number, alpha?: number): Promise<Taken>;
  /** Two halves, red and blue, that are shown in another size than their pixels have: whole, and scaled to two rows of four. */
  shown(kind: ShownKind): Promise<Read & { readonly whole: readonly number[]; readonly failure: string }>;
  video(): Promise<Read & { readonly whole: readonly number[] }>;
  /** The pattern on a canvas that is painted over at once. */
  painted(): Promise<Taken>;
  normalised(mean: readonly number[], std: readonly number[]): Promise<Taken>;
  /** The means of frames that a compiled function halves. */
  inTraining(): Promise<number[]>;
  /** Bytes of so many pixels. */
  bytes(
    size: readonly [width: number, height: number],
    channels: number,
    dtype: PixelDType,
    shape?: readonly number[],
  ): Promise<Taken>;
  /** What `fromImage` and `toCanvas` say inside of a function that is traced. */
  traced(): Promise<readonly Refusal[]>;
  /** What a canvas shows of tensors that are disposed of at once, in several ways. */
  disposed(): Promise<readonly (readonly number[])[]>;
  drawn(dtype: PixelDType, channels: number, alpha?: number): Promise<Drawn>;
  /** As a page shows it: the canvas is in the document, and the browser takes frames of it. */
  presented(): Promise<{ readonly values: readonly number[][]; readonly failure: string }>;
  /** A second picture of another size, with values out of range. */
  drawnAgain(): Promise<Omit<Drawn, 'pixels'>>;
  roundTrip(): Promise<{ readonly before: Read; readonly after: Read }>;
  /** @param foreign The address of an image of another site. */
  failures(foreign: string): Promise<Record<string, Refusal>>;
};

const read = async (x: Tensor): Promise<Read> => ({
  shape: x.shape,
  dtype: x.dtype,
  values: [...(await x.data())],
});

/** Checks by name, for `globalThis.checks` of a page. */
export const imageChecks = (subject: ImageSubject): ImageChecks => ({
  ...takingChecks(subject),
  ...drawingChecks(subject),
  async failures(foreign) {
    await subject.ready;
    return refusals(subject, foreign, subject.otherContext);
  },
});

type Taking = 'source' | 'shown' | 'traced' | 'video' | 'painted' | 'normalised' | 'inTraining' | 'bytes';

const takingChecks = ({ ready, fromImage, toCanvas }: ImageSubject): Pick<ImageChecks, Taking> => ({
  async source(kind, channels, alpha) {
    await ready;
    const image = pattern(alpha);
    const source = await sources[kind](image);
    const x = fromImage(source, { shape: [height, width, channels] });
    if ('close' in source) source.close(); // nobody needs it any more
    return { ...(await read(x)), pixels: [...image.data] };
  },

  async shown(kind) {
    const device = await ready;
    const source = await shownOtherwise[kind]();
    const whole = fromImage(source).shape;
    const scaled = await read(fromImage(source, { shape: [2, 4, 3] }));
    if ('close' in source) source.close();
    return { ...scaled, whole, failure: String(device.backend.failure) };
  },

  async traced() {
    await ready;
    const canvas = new OffscreenCanvas(1, 1);
    const one = tensor([[1]]);
    const functions = [
      (x: Tensor) => x.add(fromImage(pattern()).cast('float32').sum()),
      (x: Tensor) => {
        void toCanvas(x, canvas);
        return x;
      },
    ];
    return Promise.all(functions.map((each) => refusal(() => jit(each)(one))));
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
    canvas.getContext('2d')!.fillRect(0, 0, width, height);
    return { ...(await read(x)), pixels: [...pattern().data] };
  },

  async normalised(mean, std) {
    await ready;
    const x = fromImage(offscreen(pattern()), { normalize: { mean, std } });
    return { ...(await read(x)), pixels: [...pattern().data] };
  },

  async inTraining() {
    await ready;
    const darken = jit((x: Tensor) => x.cast('float32').mul(0.5));
    const image = pattern();
    const means: number[] = [];
    for (let i = 0; i < 3; i++) {
      using x = fromImage(await createImageBitmap(image));
      using y = await darken(x);
      means.push(await y.mean().item());
    }
    return means;
  },

  async bytes([w, h], channels, dtype, shape = [h, w, channels]) {
    await ready;
    const data = Uint8Array.from({ length: w * h * 4 }, (_, i) => (i * 37 + 11) % 256);
    const x = fromImage({ data, width: w, height: h }, { shape, dtype });
    return { ...(await read(x)), pixels: [...data] };
  },
});

type Drawing = 'disposed' | 'drawn' | 'presented' | 'drawnAgain' | 'roundTrip';

const drawingChecks = ({ ready, fromImage, toCanvas }: ImageSubject): Pick<ImageChecks, Drawing> => ({
  async drawn(dtype, channels, alpha) {
    await ready;
    const image = pattern(alpha);
    const x = fromImage(image, { shape: [height, width, channels], dtype });
    const canvas = document.createElement('canvas');
    await toCanvas(x, canvas);
    return { size: [canvas.width, canvas.height], values: onCanvas(canvas), pixels: [...image.data] };
  },

  async disposed() {
    await ready;
    const grey = (): Tensor => scope(() => tensor([[0.1]]).add(0.1));
    const ways: ((canvas: OffscreenCanvas) => Promise<void>)[] = [
      (canvas) => {
        const x = grey();
        const shown = toCanvas(x, canvas);
        x.dispose();
        return shown;
      },
      (canvas) => scope(() => ({ shown: [toCanvas(grey(), canvas)] })).shown[0]!,
      async (canvas) => {
        const x = await grey().realize();
        const shown = toCanvas(x, canvas);
        x.dispose();
        await shown;
      },
    ];
    return Promise.all(
      ways.map(async (show) => {
        const canvas = new OffscreenCanvas(1, 1);
        await show(canvas);
        return onCanvas(canvas.transferToImageBitmap());
      }),
    );
  },

  async presented() {
    const device = await ready;
    const canvas = document.body.appendChild(document.createElement('canvas'));
    const values: number[][] = [];
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
});
