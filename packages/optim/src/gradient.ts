import {
  ArgumentError,
  add,
  clamp,
  div,
  minimum,
  mul,
  noGrad,
  norm,
  scope,
  stack,
  type Tensor,
  type Variable,
  zeros,
} from '@tutti/core';
import { checkOptions, context, type OptionNames } from '@tutti/core/graph';
import { isIterable, requireVariable, withoutParameters } from './parameters.ts';

/** Puts another gradient, or none, in place of a parameter's, and gives the old one's memory back. */
export function replaceGradient(parameter: Variable, gradient: Tensor | undefined): void {
  const old = parameter.grad;
  parameter.grad = gradient;
  // A trace puts the gradient from before it back when it ends, so it must live on.
  if (!context.trace) old?.dispose();
}

export const dropGradient = (parameter: Variable): void => replaceGradient(parameter, undefined);

export interface ClipNormOptions {
  /** Order of the norm: above 0, or Infinity for the largest magnitude. Default 2. */
  readonly p?: number;
}

const clipOptions: OptionNames<ClipNormOptions> = { p: true };

/**
 * Scales all gradients by one factor so that their common norm is at most `maxNorm`:
 * `g *= min(1, maxNorm / (norm + 1e-6))`. Gives the norm from before, a scalar.
 *
 * A NaN or an infinity in any gradient makes the norm NaN or infinite and is not hidden: with NaN all gradients become NaN.
 *
 * @throws ArgumentError for a `maxNorm` that is not above 0, or a `p` that is not.
 * @example
 * loss.backward();
 * clipGradNorm(model.parameters(), 1);
 * optimizer.step();
 */
export function clipGradNorm(
  parameters: Iterable<Variable>,
  maxNorm: number,
  options: ClipNormOptions = {},
): Tensor {
  checkLimit('clipGradNorm', maxNorm);
  checkOptions('clipGradNorm', options, clipOptions);
  const due = withGradient('clipGradNorm', parameters);
  if (due.length === 0) return zeros([]);
  return noGrad(() =>
    scope(() => {
      const of = (x: Tensor): Tensor => norm(x, undefined, { p: options.p ?? 2 });
      const total = of(stack(due.map(({ gradient }) => of(gradient))));
      const factor = minimum(div(maxNorm, add(total, 1e-6)), 1);
      for (const { parameter, gradient } of due) replaceGradient(parameter, mul(gradient, factor));
      return total;
    }),
  );
}

/**
 * Limits every element of every gradient: `g = min(max(g, -limit), limit)`. NaN stays.
 *
 * @throws ArgumentError for a limit that is not above 0.
 */
export function clipGradValue(parameters: Iterable<Variable>, limit: number): void {
  checkLimit('clipGradValue', limit);
  noGrad(() => {
    for (const { parameter, gradient } of withGradient('clipGradValue', parameters)) {
      replaceGradient(parameter, clamp(gradient, -limit, limit));
    }
  });
}

function withGradient(
  op: string,
  parameters: Iterable<Variable>,
): { parameter: Variable; gradient: Tensor }[] {
  if (!isIterable(parameters)) throw withoutParameters(op, parameters);
  return [...parameters].flatMap((parameter) => {
    const gradient = requireVariable(op, parameter).grad;
    return gradient ? [{ parameter, gradient }] : [];
  });
}

function checkLimit(op: string, value: number): void {
  if (value > 0) return;
  throw new ArgumentError(`${op}: limit ${value}`, { op, received: value, fix: 'the limit is above 0' });
}
