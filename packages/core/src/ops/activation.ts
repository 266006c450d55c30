/** Activation functions, in forms that neither overflow nor lose their gradient. */
import { ArgumentError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { gt, le, where } from './compare.ts';
import { composite, withGradient } from './composite.ts';
import { add, div, maximum, minimum, mul, sub } from './elementwise.ts';
import { floatFunction } from './math.ts';
import { computeDType, convert, requireKind } from './promote.ts';

const exp = (x: Tensor): Tensor => apply('exp', [x], {});
const neg = (x: Tensor): Tensor => apply('neg', [x], {});

/** 1 / (1 + exp(-x)) of a float32 tensor. Its chain rule would multiply 0 by an infinite exp. */
export function logistic(x: Tensor): Tensor {
  const value = (): Tensor => div(1, add(exp(neg(x)), 1));
  return withGradient([x], value, (gradient, y) => [mul(gradient, mul(y, sub(1, y)))]);
}

/** log(1 + exp(-|x|)) of a float32 tensor. */
const softTail = (x: Tensor): Tensor => apply('log1p', [exp(neg(apply('abs', [x], {})))], {});

/** log(1 + exp(x)) of a float32 tensor; its derivative is the logistic function, also at 0, where |x| has none. */
function softRamp(x: Tensor): Tensor {
  const value = (): Tensor => add(maximum(x, 0), softTail(x));
  return withGradient([x], value, (gradient, _, input) => [mul(gradient, logistic(input))]);
}

/** `1 / (1 + exp(-x))`. Integers give float32. */
export function sigmoid(x: Tensor): Tensor {
  return floatFunction('sigmoid', x, logistic);
}

/** `log(1 / (1 + exp(-x)))` as -softplus(-x): about x for very negative x. Integers give float32. */
export function logSigmoid(x: Tensor): Tensor {
  return floatFunction('logSigmoid', x, (value) => neg(softRamp(neg(value))));
}

/** `log(1 + exp(x))` as max(x, 0) + log1p(exp(-|x|)): does not overflow. Integers give float32. */
export function softplus(x: Tensor): Tensor {
  return floatFunction('softplus', x, softRamp);
}

/** `max(x, 0)`; NaN stays; the gradient at 0 is 0. @throws DTypeError for bool */
export function relu(x: Tensor): Tensor {
  requireTensor('relu', x);
  requireKind('relu', x.dtype, ['integer', 'float'], "cast to a number first: x.cast('float32')");
  return composite(() => {
    const value = convert(x, computeDType(x.dtype));
    // A select, where maximum would give half of the gradient at 0, and NaN <= 0 is false.
    return convert(where(le(value, 0), 0, value), x.dtype);
  });
}

function requireNumber(op: string, name: string, value: number): void {
  if (typeof value === 'number' && Number.isFinite(value)) return;
  throw new ArgumentError(`${op}: ${name} is ${describe(value)}`, {
    op,
    received: value,
    fix: `${name} is a finite number`,
  });
}

/** `x > 0 ? x : slope * x`. Integers give float32. @throws ArgumentError */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  requireNumber('leakyRelu', 'slope', slope);
  return floatFunction('leakyRelu', x, (value) => where(gt(value, 0), value, mul(value, slope)));
}

/** `x > 0 ? x : alpha * (exp(x) - 1)`. Integers give float32. @throws ArgumentError */
export function elu(x: Tensor, alpha = 1): Tensor {
  requireNumber('elu', 'alpha', alpha);
  return floatFunction('elu', x, (value) => {
    const positive = gt(value, 0);
    // The side that is not taken is kept finite, or its gradient would be 0 * Inf.
    const below = apply('expm1', [where(positive, 0, value)], {});
    return where(positive, value, mul(below, alpha));
  });
}

export interface GeluOptions {
  /** `tanh` takes the approximation of the paper, which some trained models were trained with. */
  readonly approximate?: 'none' | 'tanh' | undefined;
}

const geluOptions: OptionNames<GeluOptions> = { approximate: true };

/** x times the normal distribution function, given as (1 + f(x)) / 2. */
function gated(x: Tensor, curve: (x: Tensor) => Tensor): Tensor {
  // Beyond 10 the curve is ±1 in float32. Held there, x = -Inf gives -0 and not Inf * 0, and large x no Inf * 0 in the gradient.
  const low = maximum(x, -10);
  return mul(mul(low, 0.5), add(curve(minimum(low, 10)), 1));
}

/**
 * `x / 2 * (1 + erf(x / sqrt(2)))`, or with `approximate: 'tanh'`
 * `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`. Integers give float32. (Hendrycks and Gimpel 2016)
 *
 * @throws ArgumentError
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions('gelu', options, geluOptions);
  const approximate = options.approximate ?? 'none';
  if (approximate !== 'none' && approximate !== 'tanh') {
    throw new ArgumentError(`gelu: approximate is ${describe(approximate)}`, {
      op: 'gelu',
      received: approximate,
      fix: "use 'none' or 'tanh'",
    });
  }
  const exact = (value: Tensor): Tensor => apply('erf', [mul(value, Math.SQRT1_2)], {});
  const byTanh = (value: Tensor): Tensor => {
    const cubic = add(mul(mul(value, value), 0.044715), 1);
    return apply('tanh', [mul(mul(value, Math.sqrt(2 / Math.PI)), cubic)], {});
  };
  return floatFunction('gelu', x, (value) => gated(value, approximate === 'tanh' ? byTanh : exact));
}

/** `x / (1 + exp(-x))`, also called swish; -0 at -Inf. Integers give float32. */
export function silu(x: Tensor): Tensor {
  // Below -110 the result is 0 in float32; held there, -Inf gives -0 and not Inf * 0.
  return floatFunction('silu', x, (value) => mul(maximum(value, -110), logistic(value)));
}
