/** Arithmetic of two operands, with broadcasting and promotion. */
import { ArgumentError, type DType, DTypeError, isFloat, isInteger } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import type { BinaryPrimitive } from './primitives.ts';
import { align, commonDType, computeDType, convert, filled, floatDType, type Operand } from './promote.ts';

/** Aligns two operands in the dtype that they are computed in, computes, and rounds to `dtype` where that is a 16-bit float. */
function arithmetic(
  op: string,
  a: Operand,
  b: Operand,
  dtype: DType,
  compute: (x: Tensor, y: Tensor) => Tensor,
): Tensor {
  return composite(() => {
    const [x, y] = align(op, [a, b], computeDType(dtype)) as [Tensor, Tensor];
    return convert(compute(x, y), dtype);
  });
}

const both =
  (primitive: BinaryPrimitive) =>
  (x: Tensor, y: Tensor): Tensor =>
    apply(primitive, [x, y], {});

function refuseBool(op: string, dtype: DType, instead: string): void {
  if (dtype !== 'bool') return;
  throw new DTypeError(`${op}: not defined for bool`, { op, received: dtype, fix: instead });
}

/** `a + b`. Broadcasts; bool + bool is logical or. @throws ShapeError, DTypeError */
export function add(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('add', [a, b]);
  return arithmetic('add', a, b, dtype, both(dtype === 'bool' ? 'or' : 'add'));
}

/** `a - b`. Broadcasts; unsigned integers wrap. @throws ShapeError; DTypeError for bool */
export function sub(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('sub', [a, b]);
  refuseBool('sub', dtype, "use logicalXor(a, b), or cast to a number first: x.cast('int32')");
  return arithmetic('sub', a, b, dtype, both('sub'));
}

/** `a * b`, element by element. Broadcasts; bool * bool is logical and. @throws ShapeError, DTypeError */
export function mul(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('mul', [a, b]);
  return arithmetic('mul', a, b, dtype, both(dtype === 'bool' ? 'and' : 'mul'));
}

/** `a / b`, true division: integers and bool give float32. Broadcasts. @throws ShapeError, DTypeError */
export function div(a: Operand, b: Operand): Tensor {
  return arithmetic('div', a, b, floatDType(commonDType('div', [a, b])), both('div'));
}

/** The larger of `a` and `b`; NaN wins. Broadcasts. Where they tie, each gets half of the gradient. @throws ShapeError, DTypeError */
export function maximum(a: Operand, b: Operand): Tensor {
  return arithmetic('maximum', a, b, commonDType('maximum', [a, b]), both('maximum'));
}

/** The smaller of `a` and `b`; NaN wins. Broadcasts. Where they tie, each gets half of the gradient. @throws ShapeError, DTypeError */
export function minimum(a: Operand, b: Operand): Tensor {
  return arithmetic('minimum', a, b, commonDType('minimum', [a, b]), both('minimum'));
}

/** Where a truncated quotient has to be stepped down: the remainder is not 0 and its sign is not the divisor's. */
function signsDiffer(rest: Tensor, divisor: Tensor): Tensor {
  const zero = filled('remainder', 0, rest.dtype, rest.shape, rest.device);
  const differ = apply('xor', [apply('lt', [rest, zero], {}), apply('lt', [divisor, zero], {})], {});
  return apply('and', [apply('ne', [rest, zero], {}), differ], {});
}

const isUnsigned = (dtype: DType): boolean => dtype === 'uint32' || dtype === 'uint8';

function pythonRemainder(x: Tensor, y: Tensor): Tensor {
  const rest = apply('rem', [x, y], {});
  if (isUnsigned(x.dtype)) return rest;
  return apply('where', [signsDiffer(rest, y), apply('add', [rest, y], {}), rest], {});
}

/**
 * `a - floor(a / b) * b`: has the sign of `b`, as in Python. Broadcasts. An integer by 0 gives 0, a float by 0 gives NaN.
 *
 * @throws ShapeError; DTypeError for bool
 */
export function remainder(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('remainder', [a, b]);
  refuseBool('remainder', dtype, "cast to a number first: x.cast('int32')");
  return arithmetic('remainder', a, b, dtype, pythonRemainder);
}

function floorQuotient(x: Tensor, y: Tensor): Tensor {
  if (isUnsigned(x.dtype)) return apply('idiv', [x, y], {});
  const one = filled('floorDivide', 1, x.dtype, x.shape, x.device);
  const rest = apply('rem', [x, y], {});
  if (isInteger(x.dtype)) {
    const quotient = apply('idiv', [x, y], {});
    return apply('where', [signsDiffer(rest, y), apply('sub', [quotient, one], {}), quotient], {});
  }
  // x - rest is a multiple of y, so this quotient is next to a whole number, which floor(x / y) is not when x / y rounds up.
  const quotient = apply('div', [apply('sub', [x, rest], {}), y], {});
  const stepped = apply('where', [signsDiffer(rest, y), apply('sub', [quotient, one], {}), quotient], {});
  const byZero = apply('eq', [y, filled('floorDivide', 0, x.dtype, x.shape, x.device)], {});
  return apply('where', [byZero, apply('div', [x, y], {}), apply('round', [stepped], {})], {});
}

/**
 * `floor(a / b)`, in the operands' dtype. Broadcasts. An integer by 0 gives 0, a float by 0 gives ±Inf or NaN.
 *
 * @throws ShapeError; DTypeError for bool
 */
export function floorDivide(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('floorDivide', [a, b]);
  refuseBool('floorDivide', dtype, "cast to a number first: x.cast('int32')");
  return arithmetic('floorDivide', a, b, dtype, floorQuotient);
}

/** x**n for an integer n >= 0 by repeated squaring: exact for integers, and differentiable at 0. */
function wholePower(x: Tensor, exponent: number): Tensor {
  let result: Tensor | undefined;
  let square = x;
  for (let rest = exponent; ; ) {
    if (rest % 2 === 1) result = result ? apply('mul', [result, square], {}) : square;
    rest = Math.floor(rest / 2);
    if (rest === 0) break;
    square = apply('mul', [square, square], {});
  }
  return result ?? filled('pow', 1, x.dtype, x.shape, x.device);
}

/** Integer x**y with wrapping products; a negative exponent truncates 1 / x**-y, as PyTorch does. */
function integerPower(x: Tensor, y: Tensor): Tensor {
  const { dtype, shape, device } = x;
  const number = (value: number): Tensor => filled('pow', value, dtype, shape, device);
  const odd = (bits: Tensor): Tensor => apply('ne', [apply('and', [bits, number(1)], {}), number(0)], {});
  const bitCount = dtype === 'uint8' ? 8 : 32;
  let result = number(1);
  let square = x;
  let rest = y;
  for (let bit = 0; bit < bitCount; bit++) {
    const factor = apply('where', [odd(rest), square, number(1)], {});
    result = apply('mul', [result, factor], {});
    square = apply('mul', [square, square], {});
    rest = apply('shr', [rest, number(1)], {}); // the same step each time: without fusion, one kernel serves for all
  }
  if (isUnsigned(dtype)) return result;
  const unit = apply('eq', [apply('abs', [x], {}), number(1)], {});
  const negative = apply('lt', [y, number(0)], {});
  return apply('where', [apply('and', [negative, apply('not', [unit], {})], {}), number(0), result], {});
}

/** Exponents that are multiplied out: within an ulp of pow there, and far cheaper. */
const smallExponents = [1, 2, 3, 4];

/**
 * `a ** b`. Broadcasts. Floats as C's pow: x ** 0 is 1 for every x, a negative base with a broken exponent is NaN. Integers
 * wrap; with an integer *tensor* of negative exponents the result is that of a truncated division (0 but for ±1).
 *
 * @throws ArgumentError for an integer tensor with a negative number as exponent.
 * @throws ShapeError; DTypeError for bool
 */
export function pow(a: Operand, b: Operand): Tensor {
  const dtype = commonDType('pow', [a, b]);
  refuseBool('pow', dtype, "cast to a number first: x.cast('float32')");
  if (a instanceof Tensor && typeof b === 'number') {
    if (isInteger(dtype) && b < 0) {
      throw new ArgumentError(`pow: ${dtype} to the power ${b} is not an integer`, {
        op: 'pow',
        received: b,
        fix: "cast the base first: x.cast('float32').pow(...)",
      });
    }
    if (isInteger(dtype) || smallExponents.includes(b)) {
      return composite(() => convert(wholePower(convert(a, computeDType(dtype)), b), dtype));
    }
  }
  return arithmetic('pow', a, b, dtype, isFloat(dtype) ? both('pow') : integerPower);
}
