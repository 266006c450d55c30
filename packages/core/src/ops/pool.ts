/** Pooling: a reduction over windows of the last two axes. */
import { ArgumentError, type DType, isFloat, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { formatShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { perAxis, type Spatial } from './conv.ts';
import { indices } from './create.ts';
import { add, div, maximum, minimum, mul, sub } from './elementwise.ts';
import { windowCount } from './extents.ts';
import { padded } from './movement.ts';
import type { ReducePrimitive } from './primitives.ts';
import { computeDType, convert, floatDType, integerRange, requireKind, shaped } from './promote.ts';

export interface PoolOptions {
  /** Distance between windows. Default: their size. */
  readonly stride?: Spatial | undefined;
  /** Elements on both sides of each axis, at most half a window, default 0. They never win a maximum, and count as 0 in a mean. */
  readonly padding?: Spatial | undefined;
}

export interface AvgPoolOptions extends PoolOptions {
  /** Whether padding counts in the divisor. Default true. */
  readonly countIncludePad?: boolean | undefined;
}

const poolOptions: OptionNames<PoolOptions> = { stride: true, padding: true };
const avgPoolOptions: OptionNames<AvgPoolOptions> = { ...poolOptions, countIncludePad: true };

interface Windows {
  readonly size: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
}

function windowsOf(op: string, x: Tensor, size: Spatial, options: PoolOptions): Windows {
  requireTensor(op, x);
  if (x.rank !== 4) {
    throw new ShapeError(`${op}: shape ${formatShape(x.shape)}`, {
      op,
      received: x.shape,
      fix: 'x is (N, C, H, W); add missing axes with unsqueeze',
    });
  }
  const windows = {
    size: perAxis(op, 'size', size, 1, 2, 1),
    stride: perAxis(op, 'stride', options.stride ?? size, 1, 2, 1),
    padding: perAxis(op, 'padding', options.padding, 0, 2, 0),
  };
  if (windows.padding.some((width, i) => width * 2 > windows.size[i]!)) {
    throw new ArgumentError(
      `${op}: padding ${formatShape(windows.padding)} for windows of ${formatShape(windows.size)}`,
      {
        op,
        received: windows.padding,
        fix: 'the padding is at most half of the window',
      },
    );
  }
  const room = x.shape.slice(2).map((extent, i) => extent + 2 * windows.padding[i]!);
  if (room.some((extent, i) => extent < windows.size[i]!)) {
    throw new ShapeError(
      `${op}: windows of ${formatShape(windows.size)} do not fit the padded input ${formatShape(room)}`,
      {
        op,
        received: x.shape,
        fix: 'use a smaller window or more padding',
      },
    );
  }
  return windows;
}

/** A reduction over windows: (N, C, H, W) -> (N, C, H', W'), with `fill` as the padding. */
function reduceWindows(
  primitive: ReducePrimitive,
  x: Tensor,
  { size, stride, padding }: Windows,
  fill: number,
): Tensor {
  const [n, c, height, width] = x.shape as [number, number, number, number];
  const [kh, kw] = size as [number, number];
  const tiled =
    size.every((k, i) => stride[i] === k && padding[i] === 0) && height % kh === 0 && width % kw === 0;
  if (tiled) {
    // Windows that tile the plane are a reshape, and their gradient is elementwise.
    const tiles = shaped(x, [n, c, height / kh, kh, width / kw, kw]);
    const reduced = apply(primitive, [tiles], { axes: [3, 5] });
    return shaped(reduced, [n, c, height / kh, width / kw]);
  }
  const borders = [0, 0, ...padding];
  let windows = padded(x, borders, borders, fill);
  for (const [i, k] of size.entries()) {
    windows = apply('unfold', [windows], { axis: i + 2, size: k, step: stride[i]!, dilation: 1 });
  }
  const reduced = apply(primitive, [windows], { axes: [4, 5] });
  return shaped(reduced, windows.shape.slice(0, 4));
}

const lowest = (dtype: DType): number =>
  isFloat(dtype) ? Number.NEGATIVE_INFINITY : integerRange[dtype]![0];

/**
 * `max over each window of x`: (N, C, H, W) -> (N, C, H', W'), H' = (H + 2 padding - size) / stride + 1. NaN wins. Elements
 * that tie share the gradient equally.
 *
 * @throws ShapeError when no window fits; ArgumentError for sizes and strides below 1 and padding above half a window.
 * @throws DTypeError for bool.
 */
export function maxPool2d(x: Tensor, size: Spatial, options: PoolOptions = {}): Tensor {
  checkOptions('maxPool2d', options, poolOptions);
  const windows = windowsOf('maxPool2d', x, size, options);
  requireKind('maxPool2d', x.dtype, ['integer', 'float'], "cast to a number first: x.cast('float32')");
  const dtype = computeDType(x.dtype);
  return composite(() =>
    convert(reduceWindows('reduceMax', convert(x, dtype), windows, lowest(dtype)), x.dtype),
  );
}

/** How many elements that are not padding each window has along an axis: float32 (windows). */
function countsAlong(x: Tensor, axis: number, size: number, stride: number, padding: number): Tensor {
  const extent = x.shape[axis]!;
  const first = sub(
    mul(indices([windowCount(extent + 2 * padding, size, stride, 1)], 0, x.device), stride),
    padding,
  );
  return convert(sub(minimum(add(first, size), extent), maximum(first, 0)), 'float32');
}

/**
 * `sum over each window of x / (elements in the window)`: (N, C, H, W) -> (N, C, H', W'),
 * H' = (H + 2 padding - size) / stride + 1. Integers give float32.
 *
 * @throws ShapeError when no window fits; ArgumentError for sizes and strides below 1 and padding above half a window.
 */
export function avgPool2d(x: Tensor, size: Spatial, options: AvgPoolOptions = {}): Tensor {
  checkOptions('avgPool2d', options, avgPoolOptions);
  const windows = windowsOf('avgPool2d', x, size, options);
  const { size: extents, stride, padding } = windows;
  const countAll = options.countIncludePad !== false || padding.every((width) => width === 0);
  return composite(() => {
    const total = reduceWindows('reduceSum', convert(x, 'float32'), windows, 0);
    if (countAll) return convert(div(total, extents[0]! * extents[1]!), floatDType(x.dtype));
    const [rows, columns] = [2, 3].map((axis, i) =>
      countsAlong(x, axis, extents[i]!, stride[i]!, padding[i]!),
    ) as [Tensor, Tensor];
    const counts = mul(shaped(rows, [rows.size, 1]), columns);
    return convert(div(total, counts), floatDType(x.dtype));
  });
}
