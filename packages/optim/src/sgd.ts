import { add, eq, mul, sub, type Tensor, where } from '@tutti/core';
import { requireNotNegative, requireThat } from './check.ts';
import type { ParametersInput } from './group.ts';
import { Optimizer, type UpdateInput, type UpdateRule } from './optimizer.ts';

export interface SGDSettings {
  /** Default 1e-3. */
  readonly lr: number;
  /** Share of the last update in the next. Default 0. */
  readonly momentum: number;
  /** What is taken off a gradient's share in the momentum. Default 0. */
  readonly dampening: number;
  /** Looks one momentum ahead. Default false. */
  readonly nesterov: boolean;
  /** Weight of the L2 penalty, which is added to the gradient. Default 0. */
  readonly weightDecay: number;
}

/**
 * Stochastic gradient descent:
 *
 *     g = gradient + weightDecay * p
 *     b = momentum * b + (1 - dampening) * g      (b = g in the first step)
 *     p = p - lr * (nesterov ? g + momentum * b : momentum > 0 ? b : g)
 *
 * The defaults are lr 1e-3, and plain descent: no momentum, no weight decay.
 *
 * @throws ArgumentError for a negative setting, or Nesterov without momentum or with dampening.
 * @example const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
 */
export class SGD extends Optimizer<SGDSettings> {
  constructor(parameters: ParametersInput<SGDSettings>, options: Partial<SGDSettings> = {}) {
    super(rule, parameters, defaults, options);
  }
}

const defaults: SGDSettings = { lr: 1e-3, momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 };

const rule: UpdateRule<SGDSettings> = {
  name: 'SGD',
  check({ lr, momentum, dampening, nesterov, weightDecay }) {
    requireNotNegative('SGD', { lr, momentum, weightDecay });
    requireThat(Number.isFinite(dampening), 'SGD', 'dampening', dampening, 'a number');
    const possible = !nesterov || (momentum > 0 && dampening === 0);
    requireThat(possible, 'SGD', 'nesterov', nesterov, 'for momentum above 0 and dampening 0');
  },
  slots: ({ momentum }) => (momentum === 0 ? [] : ['momentum_buffer']),
  // Without dampening the first step needs no case of its own: momentum * 0 + g is g.
  counts: ({ momentum, dampening }) => momentum !== 0 && dampening !== 0,
  shared: (steps, { dampening }) => ({ share: where(eq(steps, 1), 1, 1 - dampening) }),
  update(input) {
    const { value, rate, settings } = input;
    const { momentum, nesterov } = settings;
    const gradient = decayed(input);
    if (momentum === 0) return { value: sub(value, mul(rate, gradient)), slots: {} };
    const { share } = input.shared;
    const buffer = add(
      mul(input.slots['momentum_buffer']!, momentum),
      share ? mul(share, gradient) : gradient,
    );
    const direction = nesterov ? add(gradient, mul(buffer, momentum)) : buffer;
    return { value: sub(value, mul(rate, direction)), slots: { momentum_buffer: buffer } };
  },
};

/** The gradient of the loss with its L2 penalty. */
export function decayed<S extends { readonly weightDecay: number }>({
  value,
  gradient,
  settings,
}: UpdateInput<S>): Tensor {
  return settings.weightDecay === 0 ? gradient : add(gradient, mul(value, settings.weightDecay));
}
