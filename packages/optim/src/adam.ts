import { add, div, expm1, mul, neg, sqrt, square, sub, type Tensor } from '@tutti/core';
import { requireNotNegative, requireThat } from './check.ts';
import type { ParametersInput } from './group.ts';
import { Optimizer, type Slots, type UpdateInput, type UpdateRule } from './optimizer.ts';
import { decayed } from './sgd.ts';

export interface AdamSettings {
  /** Default 1e-3. */
  readonly lr: number;
  /** Memory of the mean and of the mean square of the gradients. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Keeps the division finite. Default 1e-8. */
  readonly eps: number;
  /** Default 0 for Adam (added to the gradient), 0.01 for AdamW (taken off the parameter). */
  readonly weightDecay: number;
}

/**
 * Adam (Kingma and Ba, 2015), step t = 1, 2, ..:
 *
 *     g = gradient + weightDecay * p
 *     m = beta1 * m + (1 - beta1) * g
 *     v = beta2 * v + (1 - beta2) * g^2
 *     p = p - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * @throws ArgumentError for a negative setting, or a beta outside of [0, 1).
 * @example const optimizer = new Adam(model.parameters(), { lr: 3e-4 });
 */
export class Adam extends Optimizer<AdamSettings> {
  constructor(parameters: ParametersInput<AdamSettings>, options: Partial<AdamSettings> = {}) {
    super(adamRule('Adam', false), parameters, { ...defaults, weightDecay: 0 }, options);
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, 2019): `p = p * (1 - lr * weightDecay)` comes first, and the
 * gradient stays as it is. The rest as for {@link Adam}.
 *
 * @throws ArgumentError for a negative setting, or a beta outside of [0, 1).
 */
export class AdamW extends Optimizer<AdamSettings> {
  constructor(parameters: ParametersInput<AdamSettings>, options: Partial<AdamSettings> = {}) {
    super(adamRule('AdamW', true), parameters, { ...defaults, weightDecay: 0.01 }, options);
  }
}

const defaults = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8 } as const;

/** `1 - beta^t`, by way of expm1: the difference of two numbers close to 1 would lose most of its digits in float32. */
const correction = (steps: Tensor, beta: number): Tensor => neg(expm1(mul(steps, Math.log(beta))));

const adamRule = (name: string, decoupled: boolean): UpdateRule<AdamSettings> => ({
  name,
  check({ lr, betas, eps, weightDecay }) {
    requireNotNegative(name, { lr, eps, weightDecay });
    const legal = Array.isArray(betas) && betas.length === 2 && betas.every((beta) => beta >= 0 && beta < 1);
    requireThat(legal, name, 'betas', betas, 'two numbers from 0 to below 1');
  },
  slots: () => ['exp_avg', 'exp_avg_sq'],
  counts: () => true,
  shared: (steps, { betas }) => ({
    first: correction(steps, betas[0]),
    secondRoot: sqrt(correction(steps, betas[1])),
  }),
  update(input) {
    const { value, rate, shared, settings } = input;
    const gradient = decoupled ? input.gradient : decayed(input);
    const start = decoupled && settings.weightDecay > 0 ? shrunk(input) : value;
    const { mean, square: meanSquare } = moments(gradient, input.slots, settings.betas);
    const denominator = add(div(sqrt(meanSquare), shared['secondRoot']!), settings.eps);
    const step = div(rate, shared['first']!);
    return {
      value: sub(start, mul(step, div(mean, denominator))),
      slots: { exp_avg: mean, exp_avg_sq: meanSquare },
    };
  },
});

function shrunk({ value, rate, settings }: UpdateInput<AdamSettings>): Tensor {
  return mul(value, sub(1, mul(rate, settings.weightDecay)));
}

function moments(
  gradient: Tensor,
  slots: Slots,
  [beta1, beta2]: AdamSettings['betas'],
): { mean: Tensor; square: Tensor } {
  return {
    mean: add(mul(slots['exp_avg']!, beta1), mul(gradient, 1 - beta1)),
    square: add(mul(slots['exp_avg_sq']!, beta2), mul(square(gradient), 1 - beta2)),
  };
}
