import {
  ArgumentError,
  add,
  batchNorm,
  cast,
  layerNorm,
  mean,
  mul,
  noGrad,
  reciprocal,
  ShapeError,
  scope,
  sub,
  type Tensor,
  type Variable,
  variance,
} from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import * as init from '../init.ts';
import { Module } from '../module.ts';
import { buffer } from '../tree.ts';
import { checkSizes, type LayerOptions, layerOptions, parameter, state } from './parameter.ts';

export interface BatchNormOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Weight of the newest batch in the running statistics; null averages all batches. Default 0.1. */
  readonly momentum?: number | null;
  /** Whether there is a weight and a bias. Default true. */
  readonly affine?: boolean;
  /** Whether running statistics are kept for `eval()`. Default true. */
  readonly trackRunningStats?: boolean;
}

const batchNormOptions: OptionNames<BatchNormOptions> = {
  ...layerOptions,
  eps: true,
  momentum: true,
  affine: true,
  trackRunningStats: true,
};

/** What the layers for inputs of different rank have in common; they say the formula. */
abstract class BatchNorm extends Module {
  readonly weight: Variable | undefined;
  readonly bias: Variable | undefined;
  readonly runningMean: Variable | undefined;
  readonly runningVariance: Variable | undefined;
  readonly batchesTracked: Variable | undefined;
  readonly #eps: number;
  readonly #momentum: number | null;

  constructor(features: number, options: BatchNormOptions = {}) {
    super();
    checkOptions(new.target.name, options, batchNormOptions);
    const { eps = 1e-5, momentum = 0.1, affine = true, trackRunningStats = true, device } = options;
    checkSizes('BatchNorm', { features });
    if (momentum !== null && !(momentum >= 0 && momentum <= 1)) {
      throw new ArgumentError(`BatchNorm: momentum ${momentum}`, {
        op: 'BatchNorm',
        received: momentum,
        fix: 'momentum lies between 0 and 1; null averages all batches',
      });
    }
    if (affine) {
      this.weight = parameter(init.ones([features], { device }), 'weight');
      this.bias = parameter(init.zeros([features], { device }), 'bias');
    }
    if (trackRunningStats) {
      this.runningMean = buffer(state(init.zeros([features], { device }), 'running_mean'));
      this.runningVariance = buffer(state(init.ones([features], { device }), 'running_var'));
      const none = init.zeros([], { device });
      this.batchesTracked = buffer(state(cast(none, 'int32'), 'num_batches_tracked'));
      none.dispose();
    }
    this.#eps = eps;
    this.#momentum = momentum;
  }

  protected override stateName(field: string): string {
    return batchNormNames[field] ?? field;
  }

  /** The ranks of input that the layer takes. */
  protected abstract get ranks(): readonly number[];

  override forward(x: Tensor): Tensor {
    if (!this.ranks.includes(x.rank)) {
      throw new ShapeError(`${this.constructor.name}: input of shape [${x.shape}]`, {
        op: this.constructor.name,
        received: x.shape,
        fix: `the input has ${this.ranks.join(' or ')} axes: (N, C${this.ranks.includes(4) ? ', H, W)' : ') or (N, C, L)'}`,
      });
    }
    return scope(() => {
      const { runningMean, runningVariance, weight, bias } = this;
      const eps = this.#eps;
      if (!this.training && runningMean && runningVariance) {
        return batchNorm(x, { mean: runningMean, variance: runningVariance, weight, bias, eps });
      }
      const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
      const batchMean = mean(x, axes);
      const batchVariance = variance(x, axes, { correction: 0 });
      if (this.training) this.#track(x, batchMean, batchVariance);
      return batchNorm(x, { mean: batchMean, variance: batchVariance, weight, bias, eps });
    });
  }

  #track(x: Tensor, batchMean: Tensor, batchVariance: Tensor): void {
    const count = x.size / x.shape[1]!;
    if (count <= 1) {
      throw new ShapeError(
        `${this.constructor.name}: one value per channel in training, shape [${x.shape}]`,
        {
          op: this.constructor.name,
          received: x.shape,
          fix: 'a variance needs more values: train with larger batches, or call eval()',
        },
      );
    }
    const { runningMean, runningVariance, batchesTracked } = this;
    if (!runningMean || !runningVariance || !batchesTracked) return;
    noGrad(() => {
      const batches = add(batchesTracked, 1);
      const momentum = this.#momentum ?? reciprocal(cast(batches, 'float32'));
      const move = (running: Variable, batch: Tensor): void =>
        running.assign(add(running, mul(sub(batch, running), momentum)));
      move(runningMean, batchMean);
      move(runningVariance, mul(batchVariance, count / (count - 1)));
      batchesTracked.assign(batches);
    });
  }
}

const batchNormNames: Readonly<Record<string, string>> = {
  runningMean: 'running_mean',
  runningVariance: 'running_var',
  batchesTracked: 'num_batches_tracked',
};

/**
 * `y = (x - mean) / sqrt(variance + eps) * weight + bias` for each channel. Shape (N, C, H, W) -> the same; weight and bias (C).
 *
 * In training the statistics are those of the batch, with the biased variance, and the running ones are updated:
 * `running = (1 - momentum) * running + momentum * batch`, with the unbiased variance. In `eval()` the running ones are taken.
 *
 * @throws ArgumentError for a momentum outside of [0, 1]; in `forward` ShapeError for another rank or number of channels, and
 * in training for a single value per channel.
 */
export class BatchNorm2d extends BatchNorm {
  protected override get ranks(): readonly number[] {
    return [4];
  }
}

/** As {@link BatchNorm2d}, for shapes (N, C) and (N, C, L). */
export class BatchNorm1d extends BatchNorm {
  protected override get ranks(): readonly number[] {
    return [2, 3];
  }
}

export interface LayerNormOptions extends LayerOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
  /** Whether there is a weight (and a bias). Default true. */
  readonly affine?: boolean;
  /** Default true. */
  readonly bias?: boolean;
}

const layerNormOptions: OptionNames<LayerNormOptions> = {
  ...layerOptions,
  eps: true,
  affine: true,
  bias: true,
};

/**
 * `y = (x - mean) / sqrt(variance + eps) * weight + bias` over the last axes, with the biased variance.
 * Shapes: x (..., *normalizedShape) -> the same; weight and bias have the shape `normalizedShape`.
 */
export class LayerNorm extends Module {
  readonly weight: Variable | undefined;
  readonly bias: Variable | undefined;
  readonly #shape: readonly number[];
  readonly #eps: number;

  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    super();
    checkOptions('LayerNorm', options, layerNormOptions);
    const { eps = 1e-5, affine = true, bias = true, device } = options;
    const shape = [normalizedShape].flat() as number[];
    for (const extent of shape) checkSizes('LayerNorm', { normalizedShape: extent });
    if (affine) this.weight = parameter(init.ones(shape, { device }), 'weight');
    if (affine && bias) this.bias = parameter(init.zeros(shape, { device }), 'bias');
    this.#shape = shape;
    this.#eps = eps;
  }

  override forward(x: Tensor): Tensor {
    return layerNorm(x, this.#shape, { weight: this.weight, bias: this.bias, eps: this.#eps });
  }
}
