/** Functions of one operand. */
import { checkDType, type DType, DTypeError, dtypeInfo, isFloat } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { div, mul } from './elementwise.ts';
import type { UnaryPrimitive } from './primitives.ts';
import {
  align,
  commonDType,
  computeDType,
  convert,
  filled,
  floatDType,
  type Operand,
  requireKind,
  widen,
} from './promote.ts';

/** A function of floats: other dtypes give float32, 16-bit floats are computed in float32. */
export function floatFunction(op: string, x: Tensor, compute: (x: Tensor) => Tensor): Tensor {
  requireTensor(op, x);
  const dtype = floatDType(x.dtype);
  return composite(() => convert(compute(convert(x, 'float32')), dtype));
}

const floating = (primitive: UnaryPrimitive, x: Tensor): Tensor =>
  floatFunction(primitive, x, (value) => apply(primitive, [value], {}));

const numberFix = "cast to a number first: x.cast('int32')";

function numeric(primitive: UnaryPrimitive, x: Tensor): Tensor {
  requireTensor(primitive, x);
  requireKind(primitive, x.dtype, ['integer', 'float'], numberFix);
  return composite(() => convert(apply(primitive, [widen(x)], {}), x.dtype));
}

/** Rounding to whole numbers: integers and bool are whole already. */
function rounding(primitive: UnaryPrimitive, x: Tensor): Tensor {
  requireTensor(primitive, x);
  return composite(() => (isFloat(x.dtype) ? convert(apply(primitive, [widen(x)], {}), x.dtype) : x));
}

/** `-x`; unsigned integers wrap. @throws DTypeError for bool */
export function neg(x: Tensor): Tensor {
  requireTensor('neg', x);
  requireKind('neg', x.dtype, ['integer', 'float'], 'use logicalNot(x)');
  return numeric('neg', x);
}

/** `|x|`; the gradient at 0 is 0. The least int32 is its own. @throws DTypeError for bool */
export function abs(x: Tensor): Tensor {
  return numeric('abs', x);
}

/** -1, 0 or 1; NaN for NaN, and ±0 for ±0. @throws DTypeError for bool */
export function sign(x: Tensor): Tensor {
  return numeric('sign', x);
}

/** The largest whole number that is not above x. Integers stay. */
export function floor(x: Tensor): Tensor {
  return rounding('floor', x);
}

/** The smallest whole number that is not below x. Integers stay. */
export function ceil(x: Tensor): Tensor {
  return rounding('ceil', x);
}

/** The nearest whole number, ties to even. Integers stay. */
export function round(x: Tensor): Tensor {
  return rounding('round', x);
}

/** x without its fraction. Integers stay. */
export function trunc(x: Tensor): Tensor {
  return rounding('trunc', x);
}

/** The square root; NaN below 0. Integers give float32. */
export function sqrt(x: Tensor): Tensor {
  return floating('sqrt', x);
}

/** `1 / sqrt(x)`; Inf at 0, NaN below. Integers give float32. */
export function rsqrt(x: Tensor): Tensor {
  return floating('rsqrt', x);
}

/** `x * x`, in the dtype of x. */
export function square(x: Tensor): Tensor {
  requireTensor('square', x);
  return mul(x, x);
}

/** `1 / x`. Integers give float32. */
export function reciprocal(x: Tensor): Tensor {
  requireTensor('reciprocal', x);
  return div(1, x);
}

/** `e ** x`. Integers give float32. */
export function exp(x: Tensor): Tensor {
  return floating('exp', x);
}

/** The natural logarithm: -Inf at 0, NaN below. Integers give float32. */
export function log(x: Tensor): Tensor {
  return floating('log', x);
}

/** `log(1 + x)`, accurate near 0. Integers give float32. */
export function log1p(x: Tensor): Tensor {
  return floating('log1p', x);
}

/** `exp(x) - 1`, accurate near 0. Integers give float32. */
export function expm1(x: Tensor): Tensor {
  return floating('expm1', x);
}

/** The logarithm to base 2, as `log(x) / log(2)`. Integers give float32. */
export function log2(x: Tensor): Tensor {
  return floatFunction('log2', x, (value) => mul(apply('log', [value], {}), Math.LOG2E));
}

/** The sine of x radians. Integers give float32. */
export function sin(x: Tensor): Tensor {
  return floating('sin', x);
}

/** The cosine of x radians. Integers give float32. */
export function cos(x: Tensor): Tensor {
  return floating('cos', x);
}

/** The tangent of x radians, `sin(x) / cos(x)`. Integers give float32. */
export function tan(x: Tensor): Tensor {
  return floatFunction('tan', x, (value) => div(apply('sin', [value], {}), apply('cos', [value], {})));
}

/** The hyperbolic tangent. Integers give float32. */
export function tanh(x: Tensor): Tensor {
  return floating('tanh', x);
}

/** `2 / sqrt(pi) * (integral of exp(-t**2) from 0 to x)`. Integers give float32. */
export function erf(x: Tensor): Tensor {
  return floating('erf', x);
}

/**
 * `min(max(x, low), high)`: x below `low` becomes `low`, above `high` becomes `high` (also where low > high). NaN stays. A
 * limit that is left out does not limit. The gradient of x is 1 from `low` to `high`, both included, and 0 outside.
 *
 * @throws ShapeError, DTypeError
 *
 * @example clamp(x, 0, 1)
 */
export function clamp(x: Tensor, low?: Operand, high?: Operand): Tensor {
  requireTensor('clamp', x);
  const dtype = commonDType('clamp', [x, ...[low, high].filter((limit) => limit !== undefined)]);
  const limit = (value: Tensor, bound: Operand | undefined, primitive: 'maximum' | 'minimum'): Tensor => {
    if (bound === undefined) return value;
    const [v, b] = align('clamp', [value, bound], value.dtype) as [Tensor, Tensor];
    if (!isFloat(dtype)) return apply(primitive, [v, b], {});
    // A select, where maximum would split the gradient between x and the limit.
    const outside = apply('lt', primitive === 'maximum' ? [v, b] : [b, v], {});
    return apply('where', [outside, b, v], {});
  };
  return composite(() => {
    const value = convert(x, computeDType(dtype));
    return convert(limit(limit(value, low, 'maximum'), high, 'minimum'), dtype);
  });
}

/** bool for every element: `x` is NaN. False for integers. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name that the field knows it by
export function isNaN(x: Tensor): Tensor {
  requireTensor('isNaN', x);
  return composite(() => {
    if (!isFloat(x.dtype)) return filled('isNaN', false, 'bool', x.shape, x.device);
    const value = widen(x);
    return apply('ne', [value, value], {});
  });
}

const infinite = (x: Tensor): Tensor =>
  filled('isInf', Number.POSITIVE_INFINITY, 'float32', x.shape, x.device);

/** bool for every element: `x` is Inf or -Inf. False for integers. */
export function isInf(x: Tensor): Tensor {
  requireTensor('isInf', x);
  return composite(() => {
    if (!isFloat(x.dtype)) return filled('isInf', false, 'bool', x.shape, x.device);
    return apply('eq', [apply('abs', [widen(x)], {}), infinite(x)], {});
  });
}

/** bool for every element: `x` is neither NaN nor infinite. True for integers. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the name that the field knows it by
export function isFinite(x: Tensor): Tensor {
  requireTensor('isFinite', x);
  return composite(() => {
    if (!isFloat(x.dtype)) return filled('isFinite', true, 'bool', x.shape, x.device);
    return apply('lt', [apply('abs', [widen(x)], {}), infinite(x)], {});
  });
}

/**
 * The elements in another dtype.
 *
 * - float to integer: truncated toward 0, then the nearest value that the dtype has (uint8: -5 -> 0, 300 -> 255), NaN -> 0;
 * - integer to integer: the low bits (int32 300 -> uint8 44, int32 -1 -> uint32 2^32 - 1);
 * - anything to bool: `x != 0`, NaN is true; bool to a number: 0 or 1;
 * - to a 16-bit float: rounded to the nearest, ties to even.
 *
 * @throws DTypeError for a dtype that does not exist.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  requireTensor('cast', x);
  checkDType(dtype, 'cast');
  return composite(() => convert(x, dtype));
}

/**
 * The same bits read as another dtype: between float32, int32 and uint32.
 *
 * @throws DTypeError for any other dtype.
 */
export function bitcast(x: Tensor, dtype: DType): Tensor {
  requireTensor('bitcast', x);
  checkDType(dtype, 'bitcast');
  for (const each of [x.dtype, dtype]) {
    if (dtypeInfo[each].bytes === 4) continue;
    throw new DTypeError(`bitcast: dtype ${each} is not supported`, {
      op: 'bitcast',
      received: each,
      fix: 'only float32, int32 and uint32 can be reinterpreted as each other',
    });
  }
  return composite(() => (x.dtype === dtype ? x : apply('bitcast', [x], { dtype })));
}
