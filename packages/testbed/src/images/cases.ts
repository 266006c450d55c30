/** What the checks of images should give, as tests in Node: every backend that takes images passes all of them. */
import { deepEqual, ok } from 'node:assert/strict';
import type { Ask } from '../site/index.ts';
import type { ImageChecks } from './checks.ts';
import type { Refusal } from './refusals.ts';
import type { Kind, ShownKind } from './sources.ts';

export type AskImages = Ask<ImageChecks>;

export interface ImageCase {
  readonly name: string;
  /** @throws AssertionError */
  readonly check: (ask: AskImages) => Promise<void>;
}

/** RGBA without the channels that are not wanted. */
const channelsOf = (pixels: readonly number[], channels: number): number[] =>
  pixels.filter((_, i) => i % 4 < channels);

function near(got: readonly number[], want: readonly number[], tolerance: number): void {
  deepEqual(got.length, want.length);
  const wrong = want.findIndex((value, i) => !(Math.abs(got[i]! - value) <= tolerance));
  ok(wrong < 0, `value ${wrong} is ${got[wrong]}, and should be ${want[wrong]}`);
}

const exactKinds: readonly Kind[] = [
  'ImageData',
  'ImageBitmap',
  'HTMLImageElement',
  'HTMLCanvasElement',
  'OffscreenCanvas',
];
const exact = exactKinds.map(
  (kind): ImageCase => ({
    name: `takes the pixels of an ${kind} as they are`,
    async check(ask) {
      for (const channels of [3, 4]) {
        const { shape, dtype, values, pixels } = await ask('source', kind, channels);
        deepEqual({ shape, dtype }, { shape: [5, 7, channels], dtype: 'uint8' });
        deepEqual(values, channelsOf(pixels, channels));
      }
    },
  }),
);

const transparentKinds: readonly Kind[] = ['ImageData', 'ImageBitmap', 'HTMLCanvasElement'];
const transparent = transparentKinds.map(
  (kind): ImageCase => ({
    name: `does not multiply the alpha of an ${kind} in`,
    async check(ask) {
      const { values, pixels } = await ask('source', kind, 4, 128);
      near(values, pixels, 1); // a canvas keeps its colours multiplied, and loses the last bit
    },
  }),
);

const ragged = [1, 3, 4].map(
  (channels): ImageCase => ({
    name: `takes bytes in sizes that fill no word and no texel, with ${channels} channels`,
    async check(ask) {
      for (const [width, height] of [
        [1, 1],
        [5, 3],
        [67, 9],
        [300, 70],
      ] as const) {
        const { values, pixels } = await ask('bytes', [width, height], channels, 'uint8');
        const floats = await ask('bytes', [width, height], channels, 'float32');
        const grey = (i: number): number =>
          0.299 * pixels[i]! + 0.587 * pixels[i + 1]! + 0.114 * pixels[i + 2]!;
        const want =
          channels === 1
            ? Array.from({ length: width * height }, (_, i) => grey(4 * i))
            : channelsOf(pixels, channels);
        // A grey level that lies between two may go to either.
        near(values, want, channels === 1 ? 0.501 : 0);
        near(
          floats.values.map((value) => value * 255),
          want,
          1e-3,
        );
      }
    },
  }),
);

const shownSizes: Readonly<Record<ShownKind, readonly number[] | undefined>> = {
  density: [2, 4, 3],
  width: [2, 4, 3],
  picture: [2, 4, 3],
  drawing: undefined, // browsers differ
  frame: [8, 16, 3],
};
const shown = (Object.keys(shownSizes) as ShownKind[]).map(
  (kind): ImageCase => ({
    name: `takes what is shown in another size than its pixels have: ${kind}`,
    async check(ask) {
      const { whole, values, failure } = await ask('shown', kind);
      const want = shownSizes[kind];
      if (want) deepEqual(whole, want);
      deepEqual(whole[1], 2 * whole[0]!);
      const column = (x: number): number[] =>
        [0, 1].flatMap((y) => values.slice(y * 12 + x * 3, y * 12 + x * 3 + 3));
      near(column(0), [255, 0, 0, 255, 0, 0], 3);
      near(column(3), [0, 0, 255, 0, 0, 255], 3);
      deepEqual(failure, 'undefined');
    },
  }),
);

/** Of `fromImage`. */
export const takingCases: readonly ImageCase[] = [
  ...shown,
  {
    name: 'is not for functions that are traced, as toCanvas is not',
    async check(ask) {
      const [from, to] = await ask('traced');
      const message = 'fromImage inside a function that jit is tracing: it would look at the image once';
      checkRefusal('fromImage', from, [message, 'call fromImage outside', 'TUTTI_TRACE']);
      checkRefusal('toCanvas', to, ['toCanvas inside a function that jit', 'read it outside', 'TUTTI_TRACE']);
    },
  },
  ...exact,
  ...transparent,
  ...ragged,
  {
    name: 'takes a frame, which may be closed at once',
    async check(ask) {
      const { values, pixels } = await ask('source', 'VideoFrame', 3);
      near(values, channelsOf(pixels, 3), 2);
    },
  },
  {
    name: 'takes what a video shows',
    async check(ask) {
      const { values, whole } = await ask('video');
      deepEqual(whole, [48, 64, 3]);
      const pixels = [0, 1, 2, 3].flatMap(() => [200, 100, 50]);
      near(values, pixels, 4);
    },
  },
  {
    name: 'looks at a canvas before it returns',
    async check(ask) {
      const { values, pixels } = await ask('painted');
      deepEqual(values, channelsOf(pixels, 3));
    },
  },
  {
    name: 'normalises',
    async check(ask) {
      const [mean, std] = [
        [0.5, 0.4, 0.3],
        [0.2, 0.3, 0.4],
      ] as const;
      const { dtype, values, pixels } = await ask('normalised', mean, std);
      deepEqual(dtype, 'float32');
      const want = channelsOf(pixels, 3).map((value, i) => (value / 255 - mean[i % 3]!) / std[i % 3]!);
      near(values, want, 1e-5);
    },
  },
  {
    name: 'gives frame after frame to a compiled function',
    async check(ask) {
      const { pixels } = await ask('source', 'ImageData', 3);
      const rgb = channelsOf(pixels, 3);
      const mean = rgb.reduce((sum, value) => sum + value / 2, 0) / rgb.length;
      near(await ask('inTraining'), [mean, mean, mean], 1e-3);
    },
  },
  {
    name: 'scales between the four nearest pixels',
    async check(ask) {
      const { shape, values, pixels } = await ask('bytes', [2, 1], 4, 'float32', [1, 4, 4]);
      deepEqual(shape, [1, 4, 4]);
      const [a, b] = [pixels.slice(0, 4), pixels.slice(4)];
      const mixed = (part: number): number[] =>
        a.map((value, i) => (value * (1 - part) + b[i]! * part) / 255);
      near(values, [0, 0.25, 0.75, 1].flatMap(mixed), 1e-5);
    },
  },
];

const inColour = (['uint8', 'float32'] as const).map(
  (dtype): ImageCase => ({
    name: `draws ${dtype} pixels in colour, and makes the canvas fit`,
    async check(ask) {
      const { size, values, pixels } = await ask('drawn', dtype, 3);
      deepEqual(size, [7, 5]);
      deepEqual(values, pixels);
    },
  }),
);

/** Of `toCanvas`. */
export const drawingCases: readonly ImageCase[] = [
  ...inColour,
  {
    name: 'draws tensors that are disposed of at once',
    async check(ask) {
      const pixel = [51, 51, 51, 255];
      deepEqual(await ask('disposed'), [pixel, pixel, pixel]);
    },
  },
  {
    name: 'draws grey, and clamps what is out of range',
    async check(ask) {
      const { size, values } = await ask('drawnAgain');
      deepEqual(size, [4, 1]);
      const pixels = [0, 51, 255, 255].flatMap((grey) => [grey, grey, grey, 255]);
      deepEqual(values, pixels);
    },
  },
  {
    name: 'draws on a canvas of the document, frame by frame',
    async check(ask) {
      const { values, failure } = await ask('presented');
      const pixels = [0, 51, 255].map((grey) => [grey, grey, grey, 255]);
      deepEqual(values, pixels);
      deepEqual(failure, 'undefined');
    },
  },
  {
    name: 'draws what is half transparent',
    async check(ask) {
      const { values, pixels } = await ask('drawn', 'uint8', 4, 128);
      near(values, pixels, 2); // the canvas keeps its colours multiplied
    },
  },
  {
    name: 'and fromImage give the same pixels again',
    async check(ask) {
      const { before, after } = await ask('roundTrip');
      deepEqual(after, before);
    },
  },
];

type Said = readonly [message: string, fix: string, code?: string];

const said: Readonly<Record<string, Said>> = {
  tainted: ['the browser does not hand out the pixels of this HTMLImageElement', 'crossOrigin'],
  notLoaded: ['the image is 0 by 0 pixels', 'set image.src'],
  loading: ['the image is 0 by 0 pixels', 'wait until it has loaded: await image.decode()'],
  broken: ['the image is 0 by 0 pixels', 'it did not load: look at its address, data:image/png,no'],
  noFrame: ['the image is 0 by 0 pixels', 'requestVideoFrameCallback'],
  closed: ['the image is 0 by 0 pixels', 'it has been closed'],
  sizeless: ['the image is 0 by 150 pixels', 'a width and a height'],
  stained: ['the browser does not hand out the pixels of this HTMLCanvasElement', 'crossOrigin'],
  noImage: ['expected an image, received an HTMLParagraphElement', 'HTMLImageElement'],
  brush: ['received a CanvasRenderingContext2D', 'context.canvas'],
  given: ['the canvas gives no context', 'transferControlToOffscreen'],
  large: ['100000 by 1 pixels', 'x.slice', 'TUTTI_SHAPE'],
  huge: ['fromImage: no memory for float32 [30000, 30000, 4] on ', 'split the tensor', 'TUTTI_OUT_OF_MEMORY'],
  swapped: [
    'expected a tensor, received an OffscreenCanvas',
    'the tensor comes first: toCanvas(tensor, canvas)',
  ],
  drawnWith: ['received a CanvasRenderingContext2D', 'pass its canvas: context.canvas'],
};

/** @throws AssertionError where an error does not say what it should. */
export function checkRefusal(
  name: string,
  found: Refusal | undefined,
  [message, fix, code = 'TUTTI_ARGUMENT']: Said,
): void {
  const { message: ownMessage = '', fix: ownFix = '' } = found ?? {};
  ok(ownMessage.includes(message), `${name}: "${ownMessage}" should say "${message}"`);
  ok(ownFix.includes(fix), `${name}: "${ownFix}" should say "${fix}"`);
  deepEqual(found?.code, code, name);
}

/**
 * What is said of images and canvases that nothing can be done with.
 *
 * @param origin The address of the page, at 127.0.0.1: under its other name, it is another site.
 * @param image The path of an image there.
 * @param taken What is advised for a canvas that has a context of another kind.
 */
export async function checkRefusals(
  ask: AskImages,
  origin: string,
  image: string,
  taken: string,
): Promise<void> {
  const found = await ask('failures', `${origin.replace('127.0.0.1', 'localhost')}${image}`);
  const wanted: typeof said = { ...said, taken: ['a context of another kind', taken] };
  deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
  for (const [name, each] of Object.entries(wanted)) checkRefusal(name, found[name], each);
}
