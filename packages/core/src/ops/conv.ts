/** Convolutions, by PyTorch's conventions: cross-correlation, channels before space. */
import { ArgumentError, type DType, DTypeError, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { formatShape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { add } from './elementwise.ts';
import { paddedExtent } from './extents.ts';
import type { PrimitiveAttributes } from './primitives.ts';
import { commonDType, convert, shaped } from './promote.ts';

type ConvAttributes = PrimitiveAttributes['conv'];

/** One number for every spatial axis, or one for each. */
export type Spatial = number | readonly number[];

export interface ConvOptions {
  /** (out channels) */
  readonly bias?: Tensor | undefined;
  /** Distance between windows, default 1. */
  readonly stride?: Spatial | undefined;
  /** Zeros on both sides of each axis, default 0. `same` keeps the extents (stride 1 only), `valid` is 0. */
  readonly padding?: Spatial | 'same' | 'valid' | undefined;
  /** Distance between the elements of the kernel, default 1. */
  readonly dilation?: Spatial | undefined;
  /** Number of groups that the channels are divided into, default 1. */
  readonly groups?: number | undefined;
}

export interface ConvTransposeOptions extends Omit<ConvOptions, 'padding'> {
  /** What the convolution that this one reverses was padded with, default 0: it is cut off here. */
  readonly padding?: Spatial | undefined;
  /** Added to the extents at the high end, default 0: which of the sizes that a stride makes equal. */
  readonly outputPadding?: Spatial | undefined;
}

const convOptions: OptionNames<ConvOptions> = {
  bias: true,
  stride: true,
  padding: true,
  dilation: true,
  groups: true,
};
const convTransposeOptions: OptionNames<ConvTransposeOptions> = { ...convOptions, outputPadding: true };

/** One integer for each spatial axis. @throws ArgumentError */
export function perAxis(
  op: string,
  name: string,
  value: Spatial | undefined,
  fallback: number,
  axes: number,
  least: number,
): number[] {
  const list =
    typeof value === 'number' || value === undefined
      ? new Array<number>(axes).fill(value ?? fallback)
      : [...value];
  if (list.length === axes && list.every((each) => Number.isInteger(each) && each >= least)) return list;
  throw new ArgumentError(
    `${op}: ${name} is ${describe(value)} ${Array.isArray(value) ? formatShape(value) : ''}`.trimEnd(),
    {
      op,
      received: value,
      fix: `${name} is an integer of at least ${least}, or one for each of the ${axes} spatial axes`,
    },
  );
}

interface Operands {
  readonly x: Tensor;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly groups: number;
  readonly dtype: DType;
}

/** Checks ranks, dtypes and the number of groups. `layout` describes the shapes in messages. */
function operandsOf(
  op: string,
  x: Tensor,
  weight: Tensor,
  axes: number,
  options: ConvOptions | ConvTransposeOptions,
  layout: string,
): Operands {
  requireTensor(op, x);
  requireTensor(op, weight, 'the weight');
  const { bias, groups = 1 } = options;
  if (bias !== undefined) requireTensor(op, bias, 'the bias');
  if (x.rank !== axes + 2 || weight.rank !== axes + 2) {
    throw new ShapeError(`${op}: shapes ${formatShape(x.shape)} and ${formatShape(weight.shape)}`, {
      op,
      received: [x.shape, weight.shape],
      fix: layout,
    });
  }
  if (!Number.isInteger(groups) || groups < 1) {
    throw new ArgumentError(`${op}: groups is ${describe(groups)}`, {
      op,
      received: groups,
      fix: 'groups is an integer of at least 1',
    });
  }
  const dtype = commonDType(op, bias ? [x, weight, bias] : [x, weight]);
  if (!['float32', 'float16', 'bfloat16'].includes(dtype)) {
    throw new DTypeError(`${op}: ${x.dtype} with a weight of ${weight.dtype}`, {
      op,
      received: dtype,
      fix: "convolutions take floats; cast first: x.cast('float32')",
    });
  }
  return { x, weight, bias, groups, dtype };
}

function channelError(op: string, { x, weight, groups }: Operands, fix: string): ShapeError {
  return new ShapeError(
    `${op}: channels of ${formatShape(x.shape)} and weight ${formatShape(weight.shape)} do not fit with ${groups} group${groups === 1 ? '' : 's'}`,
    {
      op,
      received: [x.shape, weight.shape, groups],
      fix,
    },
  );
}

function checkBias(op: string, bias: Tensor | undefined, channels: number): void {
  if (!bias || (bias.rank === 1 && bias.shape[0] === channels)) return;
  throw new ShapeError(`${op}: bias of shape ${formatShape(bias.shape)} for ${channels} output channels`, {
    op,
    received: bias.shape,
    fix: `the bias has shape [${channels}]`,
  });
}

/** The primitive in float32, with the bias, back in the operands' dtype. */
function convolve({ x, bias, dtype }: Operands, kernel: Tensor, attributes: ConvAttributes): Tensor {
  const result = apply('conv', [convert(x, 'float32'), kernel], attributes);
  if (!bias) return convert(result, dtype);
  const line = shaped(convert(bias, 'float32'), [1, bias.shape[0]!, ...attributes.stride.map(() => 1)]);
  return convert(add(result, line), dtype);
}

function paddingOf(
  op: string,
  padding: ConvOptions['padding'],
  stride: number[],
  span: number[],
): { padLow: number[]; padHigh: number[] } {
  if (padding !== 'same') {
    const sides =
      padding === 'valid' ? span.map(() => 0) : perAxis(op, 'padding', padding, 0, span.length, 0);
    return { padLow: sides, padHigh: sides };
  }
  if (stride.some((step) => step !== 1)) {
    throw new ArgumentError(`${op}: padding 'same' with stride ${formatShape(stride)}`, {
      op,
      received: stride,
      fix: "use stride 1 with 'same', or give the padding in numbers",
    });
  }
  const padLow = span.map((extent) => Math.floor((extent - 1) / 2));
  return { padLow, padHigh: span.map((extent, i) => extent - 1 - padLow[i]!) };
}

function forward(
  op: string,
  x: Tensor,
  weight: Tensor,
  axes: number,
  options: ConvOptions,
  layout: string,
): Tensor {
  checkOptions(op, options, convOptions);
  const operands = operandsOf(op, x, weight, axes, options, layout);
  const { bias, groups } = operands;
  const [outChannels, inChannels, ...kernelSize] = weight.shape as [number, number, ...number[]];
  if (x.shape[1] !== inChannels * groups || outChannels % groups !== 0) {
    throw channelError(
      op,
      operands,
      `x has groups * ${inChannels} channels, and the ${outChannels} output channels are a multiple of groups`,
    );
  }
  checkBias(op, bias, outChannels);
  const stride = perAxis(op, 'stride', options.stride, 1, axes, 1);
  const kernelDilation = perAxis(op, 'dilation', options.dilation, 1, axes, 1);
  const span = kernelSize.map((extent, i) => (extent - 1) * kernelDilation[i]! + 1);
  const { padLow, padHigh } = paddingOf(op, options.padding, stride, span);
  const room = x.shape.slice(2).map((extent, i) => extent + padLow[i]! + padHigh[i]!);
  if (kernelSize.includes(0) || span.some((extent, i) => extent > room[i]!)) {
    throw new ShapeError(
      `${op}: a kernel of ${formatShape(span)} (dilated) does not fit the padded input ${formatShape(room)}`,
      {
        op,
        received: [x.shape, weight.shape],
        fix: 'use a smaller kernel or dilation (at least 1 element), or more padding',
      },
    );
  }
  const attributes = { stride, padLow, padHigh, inputDilation: stride.map(() => 1), kernelDilation, groups };
  return composite(() => convolve(operands, convert(weight, 'float32'), attributes));
}

/**
 * `out[n, o, y, x] = bias[o] + sum over c, i, j of x[n, c, y*stride + i*dilation - padding, ..] * weight[o, c, i, j]`:
 * (N, C, H, W) with weight (O, C / groups, kh, kw) -> (N, O, H', W'), H' = (H + 2 padding - dilation (kh - 1) - 1) / stride + 1.
 * 16-bit floats are computed in float32.
 *
 * @throws ShapeError when channels, groups or bias do not fit, or the kernel is larger than the padded input.
 * @throws ArgumentError for a stride, dilation or group below 1, negative padding, and 'same' with a stride.
 * @throws DTypeError unless the operands promote to a float.
 */
export function conv2d(x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  return forward(
    'conv2d',
    x,
    weight,
    2,
    options,
    'x is (N, C, H, W), the weight (O, C / groups, kh, kw); add missing axes with unsqueeze',
  );
}

/** As {@link conv2d} with one spatial axis: (N, C, L) with weight (O, C / groups, k) -> (N, O, L'). @throws ShapeError, ArgumentError, DTypeError */
export function conv1d(x: Tensor, weight: Tensor, options: ConvOptions = {}): Tensor {
  return forward(
    'conv1d',
    x,
    weight,
    1,
    options,
    'x is (N, C, L), the weight (O, C / groups, k); add missing axes with unsqueeze',
  );
}

/** (C, O / G, ..k) -> (O, C / G, ..k) with the spatial axes reversed: the kernel of the convolution that is the transpose. */
function transposedKernel(weight: Tensor, groups: number): Tensor {
  const [inChannels, perGroup, ...kernel] = weight.shape as [number, number, ...number[]];
  const flipped = apply('flip', [weight], { axes: kernel.map((_, i) => i + 2) });
  const grouped = shaped(flipped, [groups, inChannels / groups, perGroup, ...kernel]);
  const swapped = apply('permute', [grouped], { axes: [0, 2, 1, ...kernel.map((_, i) => i + 3)] });
  return shaped(swapped, [groups * perGroup, inChannels / groups, ...kernel]);
}

/** Attributes of the convolution that is the transpose: the stride becomes a dilation of the input. @throws ArgumentError */
function transposedAttributes(
  op: string,
  kernelSize: readonly number[],
  groups: number,
  options: ConvTransposeOptions,
): ConvAttributes {
  const inputDilation = perAxis(op, 'stride', options.stride, 1, 2, 1);
  const kernelDilation = perAxis(op, 'dilation', options.dilation, 1, 2, 1);
  const padding = perAxis(op, 'padding', options.padding, 0, 2, 0);
  const extra = perAxis(op, 'outputPadding', options.outputPadding, 0, 2, 0);
  if (extra.some((amount, i) => amount > 0 && amount >= Math.max(inputDilation[i]!, kernelDilation[i]!))) {
    throw new ArgumentError(`${op}: outputPadding ${formatShape(extra)}`, {
      op,
      received: extra,
      fix: 'outputPadding is smaller than the stride or the dilation',
    });
  }
  const padLow = kernelSize.map((extent, i) => (extent - 1) * kernelDilation[i]! - padding[i]!);
  const padHigh = padLow.map((width, i) => width + extra[i]!);
  return { stride: [1, 1], padLow, padHigh, inputDilation, kernelDilation, groups };
}

/** @throws ShapeError unless input, kernel and result have elements. */
function requireResult(
  op: string,
  x: Tensor,
  kernelSize: readonly number[],
  attributes: ConvAttributes,
): void {
  const { padLow, padHigh, inputDilation, kernelDilation } = attributes;
  const inSize = x.shape.slice(2);
  const fits = inSize.every((extent, i) => {
    const room = paddedExtent(extent, padLow[i]!, padHigh[i]!, inputDilation[i]! - 1);
    return extent > 0 && kernelSize[i]! > 0 && room > (kernelSize[i]! - 1) * kernelDilation[i]!;
  });
  if (fits) return;
  throw new ShapeError(
    `${op}: nothing is left of ${formatShape(x.shape)} with a kernel of ${formatShape(kernelSize)}`,
    {
      op,
      received: [x.shape, kernelSize],
      fix: 'input, kernel and result need at least one element along each spatial axis; use less padding',
    },
  );
}

/**
 * The transpose of {@link conv2d}, its gradient with respect to x: (N, C, H, W) with weight (C, O / groups, kh, kw) ->
 * (N, O, H', W'), H' = (H - 1) stride - 2 padding + dilation (kh - 1) + outputPadding + 1.
 *
 * @throws ShapeError when channels, groups or bias do not fit, or nothing would be left.
 * @throws ArgumentError for a stride, dilation or group below 1, a negative padding, and outputPadding >= max(stride, dilation).
 * @throws DTypeError unless the operands promote to a float.
 */
export function convTranspose2d(x: Tensor, weight: Tensor, options: ConvTransposeOptions = {}): Tensor {
  const op = 'convTranspose2d';
  const layout = 'x is (N, C, H, W), the weight (C, O / groups, kh, kw); add missing axes with unsqueeze';
  checkOptions(op, options, convTransposeOptions);
  const operands = operandsOf(op, x, weight, 2, options, layout);
  const { bias, groups } = operands;
  const [inChannels, perGroup, ...kernelSize] = weight.shape as [number, number, ...number[]];
  if (x.shape[1] !== inChannels || inChannels % groups !== 0) {
    throw channelError(op, operands, `x has the ${inChannels} channels of the weight, a multiple of groups`);
  }
  checkBias(op, bias, perGroup * groups);
  const attributes = transposedAttributes(op, kernelSize, groups, options);
  requireResult(op, x, kernelSize, attributes);
  return composite(() =>
    convolve(operands, transposedKernel(convert(weight, 'float32'), groups), attributes),
  );
}
