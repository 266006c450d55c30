/** Images and canvases, as far as there are any without a browser. */
import { asPixels, checkPicture, contextOfCanvas, keptPixels } from '@tutti/core/interop';
import { describe, expect, it } from 'vitest';

/** What a browser would call so. */
const kind = <T extends object>(name: string, fields: T = {} as T): never =>
  Object.assign(Object.create({ [Symbol.toStringTag]: name }), fields) as never;

describe('what is handed to a GPU', () => {
  const size = { width: 4, height: 2, from: { kind: 'browser', source: kind('ImageBitmap') } } as const;
  const frame = { displayWidth: 4, displayHeight: 2, visibleRect: { width: 4, height: 2 } };

  it.each([
    ['an ImageBitmap', kind('ImageBitmap')],
    ['a canvas', kind('HTMLCanvasElement')],
    ['a video', kind('HTMLVideoElement')],
    ['a frame', kind('VideoFrame', frame)],
    ['a frame of a part', kind('VideoFrame', { ...frame, codedWidth: 100, rotation: 0, flip: false })],
  ])('is %s itself', (_, image) => {
    expect(asPixels(image, size)).toBe(image);
  });

  it.each([
    ['an image element', kind('HTMLImageElement')],
    ['a frame of another width', kind('VideoFrame', { ...frame, displayWidth: 8 })],
    ['a frame of another height', kind('VideoFrame', { ...frame, displayHeight: 8 })],
    ['a frame that is turned', kind('VideoFrame', { ...frame, rotation: 180 })],
    ['a frame that is mirrored', kind('VideoFrame', { ...frame, flip: true })],
  ])('is a canvas with %s on it', (_, image) => {
    const drawn: unknown[] = [];
    class Canvas {
      readonly size: readonly number[];
      constructor(...size: number[]) {
        this.size = size;
      }
      getContext = (): unknown => ({ drawImage: (...args: unknown[]) => drawn.push(args) });
    }
    const { OffscreenCanvas } = globalThis;
    Object.assign(globalThis, { OffscreenCanvas: Canvas });
    try {
      expect(asPixels(image, size)).toMatchObject({ size: [4, 2] });
    } finally {
      Object.assign(globalThis, { OffscreenCanvas });
    }
    expect(drawn).toEqual([[image, 0, 0, 4, 2]]);
  });
});

it('pixels that a browser keeps are those of other sites only where it says so', () => {
  const image = kind('HTMLImageElement');
  const foreign = Object.assign(new RangeError('no'), { name: 'SecurityError' });
  expect(keptPixels(image, foreign).fix).toContain('crossOrigin');
  const broken = keptPixels(image, Object.assign(new RangeError('no'), { name: 'InvalidStateError' }));
  expect(broken.fix).toContain('draw it on a canvas');
  expect(broken.fix).not.toContain('crossOrigin');
  expect(keptPixels(kind('HTMLCanvasElement'), broken).fix).toContain('canvas.getContext');
});

it('a tensor and a canvas that changed places are told', () => {
  const canvas = { getContext: () => null };
  expect(() => checkPicture(canvas as never)).toThrow(/expected a tensor.*\n.*toCanvas\(tensor, canvas\)/);
  expect(() => contextOfCanvas({ canvas } as never, '2d', '')).toThrow(
    /\n.*pass its canvas: context\.canvas/,
  );
});
