import { ArgumentError, conv1d, conv2d, convTranspose2d, type Tensor, type Variable } from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';
import { checkSizes, defaultBias, defaultWeight, type LayerOptions, layerOptions } from './parameter.ts';

/** One number for both axes, or height and width. */
export type Pair = number | readonly [height: number, width: number];

const pair = (value: Pair): [number, number] =>
  typeof value === 'number' ? [value, value] : [value[0], value[1]];

function checkGroups(op: string, inChannels: number, outChannels: number, groups: number): void {
  checkSizes(op, { inChannels, outChannels, groups });
  if (inChannels % groups === 0 && outChannels % groups === 0) return;
  throw new ArgumentError(`${op}: ${inChannels} and ${outChannels} channels in ${groups} groups`, {
    op,
    received: groups,
    fix: 'both numbers of channels are multiples of groups',
  });
}

export interface Conv2dOptions extends LayerOptions {
  /** Default 1. */
  readonly stride?: Pair;
  /** Zeros around the image, 'same' (output as large as the input, stride 1) or 'valid'. Default 0. */
  readonly padding?: Pair | 'same' | 'valid';
  /** Default 1. */
  readonly dilation?: Pair;
  /** Default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
}

const conv2dOptions: OptionNames<Conv2dOptions> = {
  ...layerOptions,
  stride: true,
  padding: true,
  dilation: true,
  groups: true,
  bias: true,
};

/**
 * Cross-correlation with a kernel. Shapes: x (N, in, H, W), weight (out, in / groups, kh, kw), bias (out) -> (N, out, H', W'),
 * `H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1`.
 *
 * Weight and bias start uniform in (-b, b), `b = 1 / sqrt(in / groups * kh * kw)`.
 *
 * @throws ArgumentError for a size below 1, or channels that are no multiple of `groups`.
 */
export class Conv2d extends Module {
  readonly weight: Variable;
  readonly bias: Variable | undefined;
  readonly #options: Conv2dOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: Pair, options: Conv2dOptions = {}) {
    super();
    checkOptions('Conv2d', options, conv2dOptions);
    const { groups = 1 } = options;
    const [height, width] = pair(kernelSize);
    checkGroups('Conv2d', inChannels, outChannels, groups);
    checkSizes('Conv2d', { height, width });
    const shape = [outChannels, inChannels / groups, height, width];
    this.weight = defaultWeight(shape, options);
    this.bias = options.bias === false ? undefined : defaultBias(shape, outChannels, options);
    this.#options = options;
  }

  override forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = this.#options;
    return conv2d(x, this.weight, { bias: this.bias, stride, padding, dilation, groups });
  }
}

export interface Conv1dOptions extends LayerOptions {
  readonly stride?: number;
  readonly padding?: number | 'same' | 'valid';
  readonly dilation?: number;
  readonly groups?: number;
  readonly bias?: boolean;
}

const conv1dOptions: OptionNames<Conv1dOptions> = conv2dOptions;

/**
 * Cross-correlation along one axis. Shapes: x (N, in, L), weight (out, in / groups, k), bias (out) -> (N, out, L').
 * Otherwise as {@link Conv2d}.
 *
 * @throws ArgumentError for a size below 1, or channels that are no multiple of `groups`.
 */
export class Conv1d extends Module {
  readonly weight: Variable;
  readonly bias: Variable | undefined;
  readonly #options: Conv1dOptions;

  constructor(inChannels: number, outChannels: number, kernelSize: number, options: Conv1dOptions = {}) {
    super();
    checkOptions('Conv1d', options, conv1dOptions);
    const { groups = 1 } = options;
    checkGroups('Conv1d', inChannels, outChannels, groups);
    checkSizes('Conv1d', { kernelSize });
    const shape = [outChannels, inChannels / groups, kernelSize];
    this.weight = defaultWeight(shape, options);
    this.bias = options.bias === false ? undefined : defaultBias(shape, outChannels, options);
    this.#options = options;
  }

  override forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = this.#options;
    return conv1d(x, this.weight, { bias: this.bias, stride, padding, dilation, groups });
  }
}

export interface ConvTranspose2dOptions extends LayerOptions {
  readonly stride?: Pair;
  readonly padding?: Pair;
  /** Rows and columns added at the end, to choose among the sizes that a strided convolution maps to one. Default 0. */
  readonly outputPadding?: Pair;
  readonly dilation?: Pair;
  readonly groups?: number;
  readonly bias?: boolean;
}

const convTranspose2dOptions: OptionNames<ConvTranspose2dOptions> = { ...conv2dOptions, outputPadding: true };

/**
 * The transpose of {@link Conv2d}: its gradient with respect to the input. Shapes: x (N, in, H, W), weight
 * (in, out / groups, kh, kw), bias (out) -> (N, out, H', W'),
 * `H' = (H - 1) stride - 2 padding + dilation (kh - 1) + outputPadding + 1`.
 *
 * Weight and bias start uniform in (-b, b), `b = 1 / sqrt(out / groups * kh * kw)`.
 *
 * @throws ArgumentError for a size below 1, or channels that are no multiple of `groups`.
 */
export class ConvTranspose2d extends Module {
  readonly weight: Variable;
  readonly bias: Variable | undefined;
  readonly #options: ConvTranspose2dOptions;

  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Pair,
    options: ConvTranspose2dOptions = {},
  ) {
    super();
    checkOptions('ConvTranspose2d', options, convTranspose2dOptions);
    const { groups = 1 } = options;
    const [height, width] = pair(kernelSize);
    checkGroups('ConvTranspose2d', inChannels, outChannels, groups);
    checkSizes('ConvTranspose2d', { height, width });
    const shape = [inChannels, outChannels / groups, height, width];
    this.weight = defaultWeight(shape, options);
    this.bias = options.bias === false ? undefined : defaultBias(shape, outChannels, options);
    this.#options = options;
  }

  override forward(x: Tensor): Tensor {
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = this.#options;
    return convTranspose2d(x, this.weight, {
      bias: this.bias,
      stride,
      padding,
      outputPadding,
      dilation,
      groups,
    });
  }
}
