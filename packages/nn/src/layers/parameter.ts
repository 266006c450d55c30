/** Helpers that layers make their parameters with. */
import { ArgumentError, type Device, type Generator, type Tensor, Variable } from '@tutti/core';
import type { OptionNames } from '@tutti/core/graph';
import * as init from '../init.ts';

/** What every layer with parameters takes. */
export interface LayerOptions {
  /** What first values and dropped elements are drawn from. Default: the generator that `manualSeed` seeds. */
  readonly generator?: Generator | undefined;
  /** Default: the default device. */
  readonly device?: Device | undefined;
}

export const layerOptions: OptionNames<LayerOptions> = { generator: true, device: true };

/** A parameter that starts with a value, which it takes over. */
export function parameter(value: Tensor, name: string): Variable {
  try {
    return new Variable(value, { name });
  } finally {
    value.dispose();
  }
}

/** A variable without gradient that starts with a value, which it takes over. */
export function state(value: Tensor, name: string): Variable {
  try {
    return new Variable(value, { name, requiresGrad: false });
  } finally {
    value.dispose();
  }
}

/** PyTorch's default for the weight of linear and convolution layers: uniform in (-b, b), `b = 1 / sqrt(fan in)`. */
export function defaultWeight(shape: readonly number[], { generator, device }: LayerOptions): Variable {
  return parameter(init.kaimingUniform(shape, { generator, device, slope: Math.sqrt(5) }), 'weight');
}

/** The bias beside such a weight: uniform in the same bounds. */
export function defaultBias(
  weightShape: readonly number[],
  size: number,
  { generator, device }: LayerOptions,
): Variable {
  const bound = 1 / Math.sqrt(Math.max(1, init.fans(weightShape).in));
  return parameter(init.uniform([size], -bound, bound, { generator, device }), 'bias');
}

/** @throws ArgumentError unless every value is an integer of at least `least`. */
export function checkSizes(op: string, sizes: Readonly<Record<string, number>>, least = 1): void {
  for (const [name, value] of Object.entries(sizes)) {
    if (Number.isInteger(value) && value >= least) continue;
    throw new ArgumentError(`${op}: ${name} is ${value}`, {
      op,
      received: value,
      fix: `${name} is an integer of at least ${least}`,
    });
  }
}
