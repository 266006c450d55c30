import { avgPool2d, maxPool2d, type Tensor } from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';
import type { Pair } from './conv.ts';

export interface PoolOptions {
  /** Default: the size of the window. */
  readonly stride?: Pair;
  /** Default 0. */
  readonly padding?: Pair;
}

const poolOptions: OptionNames<PoolOptions> = { stride: true, padding: true };

/** The largest value of each window. Shape (N, C, H, W) -> (N, C, H', W'), `H' = floor((H + 2 padding - size) / stride) + 1`. */
export class MaxPool2d extends Module {
  readonly #size: Pair;
  readonly #options: PoolOptions;

  constructor(size: Pair, options: PoolOptions = {}) {
    super();
    checkOptions('MaxPool2d', options, poolOptions);
    this.#size = size;
    this.#options = options;
  }

  override forward(x: Tensor): Tensor {
    return maxPool2d(x, this.#size, this.#options);
  }
}

export interface AvgPoolOptions extends PoolOptions {
  /** Whether the zeros of the padding count in the mean. Default true. */
  readonly countIncludePad?: boolean;
}

const avgPoolOptions: OptionNames<AvgPoolOptions> = { ...poolOptions, countIncludePad: true };

/** The mean of each window. Shapes as for {@link MaxPool2d}. */
export class AvgPool2d extends Module {
  readonly #size: Pair;
  readonly #options: AvgPoolOptions;

  constructor(size: Pair, options: AvgPoolOptions = {}) {
    super();
    checkOptions('AvgPool2d', options, avgPoolOptions);
    this.#size = size;
    this.#options = options;
  }

  override forward(x: Tensor): Tensor {
    return avgPool2d(x, this.#size, this.#options);
  }
}
