/** Comparison, logic, bits and selection. */
import { ArgumentError, DTypeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { broadcastShapes } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import type { BinaryPrimitive } from './primitives.ts';
import {
  align,
  commonDType,
  computeDType,
  convert,
  filled,
  grown,
  type Operand,
  requireKind,
} from './promote.ts';

function compare(op: string, primitive: 'lt' | 'le' | 'eq' | 'ne', a: Operand, b: Operand): Tensor {
  const dtype = computeDType(commonDType(op, [a, b]));
  return composite(() => apply(primitive, align(op, [a, b], dtype), {}));
}

/** `a == b`, bool. Broadcasts; NaN equals nothing. @throws ShapeError, DTypeError */
export function eq(a: Operand, b: Operand): Tensor {
  return compare('eq', 'eq', a, b);
}

/** `a != b`, bool. Broadcasts; true for NaN. @throws ShapeError, DTypeError */
export function ne(a: Operand, b: Operand): Tensor {
  return compare('ne', 'ne', a, b);
}

/** `a < b`, bool. Broadcasts; false for NaN. @throws ShapeError, DTypeError */
export function lt(a: Operand, b: Operand): Tensor {
  return compare('lt', 'lt', a, b);
}

/** `a <= b`, bool. Broadcasts; false for NaN. @throws ShapeError, DTypeError */
export function le(a: Operand, b: Operand): Tensor {
  return compare('le', 'le', a, b);
}

/** `a > b`, bool. Broadcasts; false for NaN. @throws ShapeError, DTypeError */
export function gt(a: Operand, b: Operand): Tensor {
  return compare('gt', 'lt', b, a);
}

/** `a >= b`, bool. Broadcasts; false for NaN. @throws ShapeError, DTypeError */
export function ge(a: Operand, b: Operand): Tensor {
  return compare('ge', 'le', b, a);
}

/** `x != 0` as bool: NaN is true. */
export function truth(x: Tensor): Tensor {
  return convert(convert(x, computeDType(x.dtype)), 'bool');
}

function logical(op: string, primitive: 'and' | 'or' | 'xor', a: Operand, b: Operand): Tensor {
  commonDType(op, [a, b]);
  const truthOf = (operand: Operand): Operand =>
    operand instanceof Tensor ? truth(operand) : operand !== 0 && operand !== false;
  return composite(() => apply(primitive, align(op, [truthOf(a), truthOf(b)], 'bool'), {}));
}

/** `a != 0 and b != 0`, bool. Broadcasts. @throws ShapeError */
export function logicalAnd(a: Operand, b: Operand): Tensor {
  return logical('logicalAnd', 'and', a, b);
}

/** `a != 0 or b != 0`, bool. Broadcasts. @throws ShapeError */
export function logicalOr(a: Operand, b: Operand): Tensor {
  return logical('logicalOr', 'or', a, b);
}

/** True where exactly one of `a` and `b` is not 0. Broadcasts. @throws ShapeError */
export function logicalXor(a: Operand, b: Operand): Tensor {
  return logical('logicalXor', 'xor', a, b);
}

/** `x == 0`, bool; false for NaN. */
export function logicalNot(x: Tensor): Tensor {
  requireTensor('logicalNot', x);
  return composite(() => apply('not', [truth(x)], {}));
}

function bitwise(op: string, primitive: BinaryPrimitive, a: Operand, b: Operand, bool: boolean): Tensor {
  const dtype = commonDType(op, [a, b]);
  requireKind(
    op,
    dtype,
    bool ? ['bool', 'integer'] : ['integer'],
    "bits belong to integers; cast first, for example x.cast('int32')",
  );
  return composite(() => apply(primitive, align(op, [a, b], dtype), {}));
}

/** `a & b` of integers or bool. Broadcasts. @throws ShapeError; DTypeError for floats */
export function bitwiseAnd(a: Operand, b: Operand): Tensor {
  return bitwise('bitwiseAnd', 'and', a, b, true);
}

/** `a | b` of integers or bool. Broadcasts. @throws ShapeError; DTypeError for floats */
export function bitwiseOr(a: Operand, b: Operand): Tensor {
  return bitwise('bitwiseOr', 'or', a, b, true);
}

/** `a ^ b` of integers or bool. Broadcasts. @throws ShapeError; DTypeError for floats */
export function bitwiseXor(a: Operand, b: Operand): Tensor {
  return bitwise('bitwiseXor', 'xor', a, b, true);
}

/** `~x` of integers or bool. @throws DTypeError for floats */
export function bitwiseNot(x: Tensor): Tensor {
  requireTensor('bitwiseNot', x);
  requireKind(
    'bitwiseNot',
    x.dtype,
    ['bool', 'integer'],
    "bits belong to integers; cast first, for example x.cast('int32')",
  );
  return apply('not', [x], {});
}

/** `a << b` of integers; `b` counts modulo 32. Broadcasts. @throws ShapeError; DTypeError for floats and bool */
export function leftShift(a: Operand, b: Operand): Tensor {
  return bitwise('leftShift', 'shl', a, b, false);
}

/** `a >> b` of integers, keeping the sign of int32; `b` counts modulo 32. Broadcasts. @throws ShapeError; DTypeError for floats and bool */
export function rightShift(a: Operand, b: Operand): Tensor {
  return bitwise('rightShift', 'shr', a, b, false);
}

/**
 * `condition ? a : b`, element by element. All three broadcast; the dtype is that of `a` and `b` together. What is not
 * selected has no influence, NaN included, and gets gradient 0.
 *
 * @throws DTypeError unless `condition` is bool.
 * @throws ShapeError
 *
 * @example where(x.gt(0), x, 0)
 */
export function where(condition: Tensor | boolean, a: Operand, b: Operand): Tensor {
  if (!(condition instanceof Tensor) && typeof condition !== 'boolean') {
    throw new ArgumentError(`where: the condition is ${describe(condition)}`, {
      op: 'where',
      received: condition,
      fix: 'pass a bool tensor',
    });
  }
  if (condition instanceof Tensor && requireTensor('where', condition).dtype !== 'bool') {
    throw new DTypeError(`where: the condition has dtype ${condition.dtype}`, {
      op: 'where',
      received: condition.dtype,
      fix: 'compare first, for example x.ne(0)',
    });
  }
  const dtype = commonDType('where', [a, b]);
  const tensors = [condition, a, b].filter((operand) => operand instanceof Tensor);
  const shape = broadcastShapes('where', ...tensors.map((operand) => operand.shape));
  const device = tensors[0]?.device;
  return composite(() => {
    const select =
      condition instanceof Tensor
        ? grown(condition, shape)
        : filled('where', condition, 'bool', shape, device);
    const sides = [a, b].map((side) =>
      side instanceof Tensor
        ? grown(convert(side, dtype), shape)
        : filled('where', side, dtype, shape, device),
    );
    return apply('where', [select, ...sides], {});
  });
}
