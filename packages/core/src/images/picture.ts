/** Tensors that are drawn, and what they are drawn on: the checks of `toCanvas` on every backend that draws. */
import { ArgumentError, DTypeError, ShapeError } from '../backend/index.ts';
import { describe } from '../tensor/describe.ts';
import { formatShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import type { PixelDType } from './options.ts';

/** A tensor `[height, width]` or `[height, width, channels]`. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  /** 1, 3 or 4. */
  readonly channels: number;
  readonly dtype: PixelDType;
}

const op = 'toCanvas';

/** @throws ArgumentError for what is no tensor; ShapeError, DTypeError. */
export function checkPicture(tensor: Tensor): Picture {
  if (typeof (tensor as { readonly getContext?: unknown } | undefined)?.getContext === 'function') {
    throw new ArgumentError(`${op}: expected a tensor, received ${describe(tensor)}`, {
      op,
      received: tensor,
      fix: 'the tensor comes first: toCanvas(tensor, canvas)',
    });
  }
  const { shape, dtype } = requireTensor(op, tensor);
  const [height = 0, width = 0, channels = 1] = shape;
  const drawable = (shape.length === 2 || shape.length === 3) && height > 0 && width > 0;
  if (!drawable || ![1, 3, 4].includes(channels)) {
    throw new ShapeError(`${op}: shape ${formatShape(shape)} is not that of an image`, {
      op,
      received: shape,
      fix: 'draw [height, width] or [height, width, channels] with 1, 3 or 4 channels; x.permute([1, 2, 0]) moves the channels to the end',
    });
  }
  if (dtype === 'uint8' || dtype === 'float32') return { height, width, channels, dtype };
  throw new DTypeError(`${op}: pixels of dtype ${dtype}`, {
    op,
    received: dtype,
    fix: "cast them: x.cast('float32') for values from 0 to 1, x.cast('uint8') for 0 to 255",
  });
}

/** @throws ShapeError for more pixels in a row or a column than a device draws. */
export function checkPictureSize({ width, height }: Picture, most: number): void {
  if (width <= most && height <= most) return;
  throw new ShapeError(`${op}: ${width} by ${height} pixels; this device draws up to ${most} by ${most}`, {
    op,
    received: [height, width],
    fix: 'draw a part of it, x.slice([0, 1000], [0, 1000]), or every other pixel, x.slice([0, null, 2], [0, null, 2])',
  });
}

/** Every context of a canvas knows it. */
const isContext = (value: unknown): boolean =>
  typeof (value as { readonly canvas?: { readonly getContext?: unknown } } | null)?.canvas?.getContext ===
  'function';

/**
 * The context of a kind of a canvas that is the user's.
 *
 * @throws ArgumentError for what is no canvas, and for one that gives no such context; `fix` is what to do where it has another.
 */
export function contextOfCanvas(
  canvas: HTMLCanvasElement | OffscreenCanvas,
  kind: string,
  fix: string,
): RenderingContext | OffscreenRenderingContext {
  const { getContext } = (canvas ?? {}) as Partial<OffscreenCanvas>;
  if (typeof getContext !== 'function') {
    throw new ArgumentError(`${op}: expected a canvas, received ${describe(canvas)}`, {
      op,
      received: canvas,
      fix: isContext(canvas)
        ? 'pass its canvas: context.canvas'
        : 'pass a canvas of the page or an OffscreenCanvas; where there are none, as in Node, read the pixels with await x.data()',
    });
  }
  let context: RenderingContext | OffscreenRenderingContext | null;
  try {
    context = canvas.getContext(kind as '2d');
  } catch (cause) {
    throw new ArgumentError(
      `${op}: the canvas gives no context: ${cause instanceof Error ? cause.message : cause}`,
      {
        op,
        received: canvas,
        cause,
        fix: 'after transferControlToOffscreen, draw on the OffscreenCanvas that it gave',
      },
    );
  }
  if (context) return context;
  throw new ArgumentError(`${op}: the canvas has a context of another kind`, { op, received: canvas, fix });
}
