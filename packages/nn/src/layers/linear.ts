import { linear, type Tensor, type Variable } from '@tutti/core';
import { checkOptions, type OptionNames } from '@tutti/core/graph';
import { Module } from '../module.ts';
import { checkSizes, defaultBias, defaultWeight, type LayerOptions, layerOptions } from './parameter.ts';

export interface LinearOptions extends LayerOptions {
  /** Default true. */
  readonly bias?: boolean;
}

const linearOptions: OptionNames<LinearOptions> = { ...layerOptions, bias: true };

/**
 * `y = x W^T + b`. Shapes: x (..., in), weight (out, in), bias (out) -> (..., out).
 *
 * Weight and bias start uniform in (-1 / sqrt(in), 1 / sqrt(in)).
 *
 * @throws ArgumentError for a size below 1.
 */
export class Linear extends Module {
  readonly weight: Variable;
  readonly bias: Variable | undefined;

  constructor(inFeatures: number, outFeatures: number, options: LinearOptions = {}) {
    super();
    checkOptions('Linear', options, linearOptions);
    checkSizes('Linear', { inFeatures, outFeatures });
    const shape = [outFeatures, inFeatures];
    this.weight = defaultWeight(shape, options);
    this.bias = options.bias === false ? undefined : defaultBias(shape, outFeatures, options);
  }

  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
