/** Images, canvases and videos as tensors. */
import { describe, expect, it } from 'vitest';
import type { Checks } from './browser/images.ts';
import { pageOf } from './support/page.ts';

/** Without Vulkan, this browser gives no frames of a video to the GPU. */
const videoFrames = ['--enable-features=Vulkan', '--use-vulkan=swiftshader'];
const { ask, opened } = pageOf<Checks>('images', videoFrames);

/** RGBA without the channels that are not wanted. */
const channelsOf = (pixels: readonly number[], channels: number): number[] =>
  pixels.filter((_, i) => i % 4 < channels);

function expectNear(got: readonly number[], want: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(want.length);
  const wrong = want.findIndex((value, i) => !(Math.abs(got[i]! - value) <= tolerance));
  expect(wrong, `${got[wrong]} for ${want[wrong]}`).toBe(-1);
}

describe('fromImage', () => {
  const exact = ['ImageData', 'ImageBitmap', 'HTMLImageElement', 'HTMLCanvasElement', 'OffscreenCanvas'];
  it.each(exact)('takes the pixels of an %s as they are', async (kind) => {
    for (const channels of [3, 4]) {
      const { shape, dtype, values, pixels } = await ask('source', kind, channels);
      expect({ shape, dtype }).toEqual({ shape: [5, 7, channels], dtype: 'uint8' });
      expect(values).toEqual(channelsOf(pixels, channels));
    }
  });

  it('takes a frame, which may be closed at once', async () => {
    const { values, pixels } = await ask('source', 'VideoFrame', 3);
    expectNear(values, channelsOf(pixels, 3), 2);
  });

  it('takes what a video shows', async () => {
    const { values, whole } = await ask('video');
    expect(whole).toEqual([48, 64, 3]);
    expectNear(
      values,
      [0, 1, 2, 3].flatMap(() => [200, 100, 50]),
      4,
    );
  });

  it.each(['ImageData', 'ImageBitmap', 'HTMLCanvasElement'])(
    'does not multiply the alpha of an %s in',
    async (kind) => {
      const { values, pixels } = await ask('source', kind, 4, 128);
      expectNear(values, pixels, 1); // a canvas keeps its colours multiplied, and loses the last bit
    },
  );

  it('looks at a canvas before it returns', async () => {
    const { values, pixels } = await ask('painted');
    expect(values).toEqual(channelsOf(pixels, 3));
  });

  it('normalises', async () => {
    const { dtype, values, pixels } = await ask('normalised');
    expect(dtype).toBe('float32');
    const [mean, std] = [
      [0.5, 0.4, 0.3],
      [0.2, 0.3, 0.4],
    ];
    const want = channelsOf(pixels, 3).map((value, i) => (value / 255 - mean[i % 3]!) / std[i % 3]!);
    expectNear(values, want, 1e-5);
  });

  it('gives frame after frame to a compiled function', async () => {
    const { pixels } = await ask('source', 'ImageData', 3);
    const rgb = channelsOf(pixels, 3);
    const mean = rgb.reduce((sum, value) => sum + value / 2, 0) / rgb.length;
    expectNear(await ask('inTraining'), [mean, mean, mean], 1e-3);
  });

  it.each([1, 3, 4])('takes bytes in sizes that fill no texel, with %i channels', async (channels) => {
    for (const [width, height] of [
      [1, 1],
      [5, 3],
      [67, 9],
      [300, 70],
    ] as const) {
      const { values, pixels } = await ask('bytes', [width, height], channels, 'uint8');
      const floats = await ask('bytes', [width, height], channels, 'float32');
      const grey = (i: number) => 0.299 * pixels[i]! + 0.587 * pixels[i + 1]! + 0.114 * pixels[i + 2]!;
      const want =
        channels === 1
          ? Array.from({ length: width * height }, (_, i) => grey(4 * i))
          : channelsOf(pixels, channels);
      expectNear(values, want, channels === 1 ? 0.501 : 0);
      expectNear(
        floats.values.map((value) => value * 255),
        want,
        1e-3,
      );
    }
  });

  it('scales between the four nearest pixels', async () => {
    const { shape, values, pixels } = await ask('bytes', [2, 1], 4, 'float32', [1, 4, 4]);
    expect(shape).toEqual([1, 4, 4]);
    const [a, b] = [pixels.slice(0, 4), pixels.slice(4)];
    const mixed = (part: number) => a.map((value, i) => (value * (1 - part) + b[i]! * part) / 255);
    expectNear(values, [0, 0.25, 0.75, 1].flatMap(mixed), 1e-5);
  });
});

describe('toCanvas', () => {
  it.each(['uint8', 'float32'] as const)(
    'draws %s pixels in colour, and makes the canvas fit',
    async (dtype) => {
      const { size, values, pixels } = await ask('drawn', dtype, 3);
      expect(size).toEqual([7, 5]);
      expect(values).toEqual(pixels);
    },
  );

  it('draws grey, and clamps what is out of range', async () => {
    const { size, values } = await ask('drawnAgain');
    expect(size).toEqual([4, 1]);
    expect(values).toEqual([0, 51, 255, 255].flatMap((grey) => [grey, grey, grey, 255]));
  });

  it('draws on a canvas of the document, frame by frame', async () => {
    const { values, failure } = await ask('presented');
    expect(values).toEqual([0, 51, 255].map((grey) => [grey, grey, grey, 255]));
    expect(failure).toBe('undefined');
  });

  it('draws what is half transparent', async () => {
    const { values, pixels } = await ask('drawn', 'uint8', 4, 128);
    expectNear(values, pixels, 2); // the canvas keeps its colours multiplied
  });

  it('and fromImage give the same pixels again', async () => {
    const { before, after } = await ask('roundTrip');
    expect(after).toEqual(before);
  });
});

it('says what is wrong with an image', async () => {
  const { origin, page } = await opened();
  const foreign = `${origin.replace('127.0.0.1', 'localhost')}test/browser/dot.svg`;
  const found = await ask('failures', foreign);
  const argument = (message: string, fix: string) => ({
    code: 'TUTTI_ARGUMENT',
    message: expect.stringContaining(message),
    fix: expect.stringContaining(fix),
  });
  expect(found).toEqual({
    tainted: argument('the browser does not hand out the pixels of this HTMLImageElement', 'crossOrigin'),
    notLoaded: argument('the image is 0 by 0 pixels', 'set image.src'),
    loading: argument('the image is 0 by 0 pixels', 'wait until it has loaded: await image.decode()'),
    broken: argument('the image is 0 by 0 pixels', 'it did not load: look at its address, data:image/png,no'),
    noFrame: argument('the image is 0 by 0 pixels', 'requestVideoFrameCallback'),
    closed: argument('the image is 0 by 0 pixels', 'it has been closed'),
    sizeless: argument('the image is 0 by 150 pixels', 'a width and a height'),
    given: argument('the canvas gives no context', 'transferControlToOffscreen'),
    solid: argument('the canvas has a context of another kind', "getContext('2d')"),
    large: { ...argument('100000 by 1 pixels', 'x.slice'), code: 'TUTTI_SHAPE' },
    noImage: argument('expected an image, received an HTMLParagraphElement', 'HTMLImageElement'),
    brush: argument('received a CanvasRenderingContext2D', 'context.canvas'),
    stained: argument('the browser does not hand out the pixels of this HTMLCanvasElement', 'crossOrigin'),
  });
  expect(page.errors).toEqual([]);
});
