/** How operations are composed: who owns the tensors in between, and how a composition brings its own gradient rule. */

import { apply } from '../tensor/apply.ts';
import { context } from '../tensor/context.ts';
import { Tensor } from '../tensor/tensor.ts';

/**
 * Runs `build` and gives its results to the caller, as new handles. Those that `build` made are given up at once: left to
 * the garbage collector they would hold the memory of whatever they were computed from. An operand that is handed through
 * comes back as a handle of its own, so that disposing of it leaves the operand alone. Only the outermost composition does
 * this; those inside of it are part of it.
 */
function collect(build: () => readonly Tensor[]): Tensor[] {
  const outer = context.scope;
  const made = new Set<Tensor>();
  context.scope = made;
  context.transient = true;
  try {
    const results = build();
    context.scope = outer;
    context.transient = false;
    return results.map((result) => new Tensor(result.node));
  } finally {
    context.scope = outer;
    context.transient = false;
    for (const tensor of made) tensor.dispose();
  }
}

/** An operation with one result, composed of others. The tensors in between are disposed of. */
export function composite(build: () => Tensor): Tensor {
  return context.transient ? build() : collect(() => [build()])[0]!;
}

/** An operation with several results. */
export function compositeList(build: () => readonly Tensor[]): Tensor[] {
  return context.transient ? [...build()] : collect(build);
}

/** Runs `fn` with no gradients recorded. */
export function untracked<T>(fn: () => T): T {
  const outer = context.gradEnabled;
  context.gradEnabled = false;
  try {
    return fn();
  } finally {
    context.gradEnabled = outer;
  }
}

/** The gradient of each argument from the gradient of the result; undefined where there is none. */
export type Rule = (gradient: Tensor, result: Tensor, ...args: Tensor[]) => readonly (Tensor | undefined)[];

/**
 * A composition whose gradient is `rule`, for where the chain rule over its parts would give 0 * Inf or lose digits. The
 * rule gets handles of its own for the result and the arguments: a caller's `dispose()` cannot reach a backward pass. It is
 * differentiable itself when it is composed of these. `value` and all arguments are float32.
 */
export function withGradient(args: readonly Tensor[], value: () => Tensor, rule: Rule): Tensor {
  if (!context.gradEnabled || !args.some((arg) => arg.node.tracked)) return value();
  const result: Tensor = apply('custom', [untracked(value), ...args], {
    rule: (gradient, operands): readonly unknown[] =>
      rule(gradient as Tensor, new Tensor(node), ...(operands.slice(1) as Tensor[])),
    arguments: args.length,
  });
  const node = result.node;
  return result;
}
