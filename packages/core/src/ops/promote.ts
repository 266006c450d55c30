/** What happens to operands before a primitive sees them: one dtype, one shape, one device. */
import {
  ArgumentError,
  type DType,
  DTypeError,
  dtypeInfo,
  isFloat,
  promote,
  roundToBfloat16,
  roundToFloat16,
} from '../backend/index.ts';
import { apply, constant } from '../tensor/apply.ts';
import { defaultDevice } from '../tensor/context.ts';
import { describe } from '../tensor/describe.ts';
import type { Device } from '../tensor/device.ts';
import { broadcastShapes, type Shape, sameShape } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';

/**
 * What an elementwise operation takes. Numbers and booleans are weakly typed: they follow the dtype of the tensor beside
 * them, as long as it can hold them.
 */
export type Operand = Tensor | number | boolean;

/** The dtype that arithmetic runs in: 16-bit floats are storage formats. */
export const computeDType = (dtype: DType): DType => (isFloat(dtype) ? 'float32' : dtype);

/** The dtype of functions that have no integer form (exp, mean, ...): floats keep theirs, everything else gives float32. */
export const floatDType = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'float32');

/** dtype of `value op other` where `other` has this dtype. */
function besideScalar(dtype: DType, value: number | boolean): DType {
  if (typeof value === 'boolean' || isFloat(dtype)) return dtype;
  if (!Number.isInteger(value)) return 'float32';
  return dtype === 'bool' ? 'int32' : dtype;
}

/**
 * The dtype in which operands meet: {@link promote} over the tensors, then the weakly typed numbers. An integer keeps an
 * integer tensor's dtype, any other number makes it float32; beside bool an integer gives int32. Numbers alone are
 * float32, booleans alone bool.
 *
 * @throws DTypeError, ArgumentError
 */
export function commonDType(op: string, operands: readonly Operand[]): DType {
  let result: DType | undefined;
  for (const operand of operands) {
    if (operand instanceof Tensor) {
      const { dtype } = requireTensor(op, operand);
      result = result === undefined ? dtype : promote(result, dtype, op);
    } else if (typeof operand !== 'number' && typeof operand !== 'boolean') requireTensor(op, operand);
  }
  if (result === undefined)
    return operands.some((operand) => typeof operand === 'number') ? 'float32' : 'bool';
  for (const operand of operands) if (!(operand instanceof Tensor)) result = besideScalar(result, operand);
  return result;
}

/** Least and greatest value of the integer dtypes. */
export const integerRange: Readonly<Partial<Record<DType, readonly [number, number]>>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1],
  uint8: [0, 255],
};

/**
 * `value` as an element of `dtype`: floats rounded, bool as 0 or 1.
 *
 * @throws ArgumentError when an integer dtype cannot hold it.
 */
export function checkScalar(op: string, value: number | boolean, dtype: DType): number {
  if (typeof value !== 'number' && typeof value !== 'boolean') {
    throw new ArgumentError(`${op}: expected a number, received ${describe(value)}`, {
      op,
      received: value,
      fix: 'pass a number or a boolean',
    });
  }
  const number = Number(value);
  if (dtype === 'float32') return Math.fround(number);
  if (dtype === 'float16') return roundToFloat16(number);
  if (dtype === 'bfloat16') return roundToBfloat16(number);
  if (dtype === 'bool') return number === 0 ? 0 : 1;
  const [least, greatest] = integerRange[dtype]!;
  if (Number.isInteger(number) && number >= least && number <= greatest) return number + 0; // -0 has no integer form
  throw new ArgumentError(`${op}: ${number} does not fit ${dtype}`, {
    op,
    received: value,
    fix: `${dtype} holds the integers from ${least} to ${greatest}; use another dtype, for example x.cast('float32')`,
  });
}

/** A tensor of shape [] with this value and dtype. @throws ArgumentError */
export function scalar(
  op: string,
  value: number | boolean,
  dtype: DType,
  device: Device = defaultDevice(),
): Tensor {
  const number = checkScalar(op, value, dtype);
  if (dtype === computeDType(dtype)) return constant(number, dtype, device);
  return apply('cast', [constant(number, 'float32', device)], { dtype });
}

/** `x` in another dtype; `x` itself where it has that one. */
export function convert(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply('cast', [x], { dtype });
}

/** `x` in the dtype in which it can be computed with. */
export const widen = (x: Tensor): Tensor => convert(x, computeDType(x.dtype));

/** `x` in another shape of as many elements; `x` itself where it has that one. */
export function shaped(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply('reshape', [x], { shape });
}

/** `x` grown to a shape that it broadcasts to. */
export function grown(x: Tensor, shape: Shape): Tensor {
  const aligned = shaped(x, [...new Array<number>(shape.length - x.rank).fill(1), ...x.shape]);
  return sameShape(aligned.shape, shape) ? aligned : apply('expand', [aligned], { shape });
}

/** A value in every element of a shape. */
export function filled(
  op: string,
  value: number | boolean,
  dtype: DType,
  shape: Shape,
  device?: Device,
): Tensor {
  return grown(scalar(op, value, dtype, device), shape);
}

/** The operands as tensors of one dtype and of the shape that they broadcast to. @throws ShapeError, ArgumentError */
export function align(op: string, operands: readonly Operand[], dtype: DType): Tensor[] {
  const tensors = operands.filter((operand) => operand instanceof Tensor);
  const shape = broadcastShapes(op, ...tensors.map((tensor) => tensor.shape));
  const device = tensors[0]?.device;
  return operands.map((operand) =>
    operand instanceof Tensor
      ? grown(convert(operand, dtype), shape)
      : filled(op, operand, dtype, shape, device),
  );
}

/** Refuses dtypes of the wrong kind. @throws DTypeError */
export function requireKind(
  op: string,
  dtype: DType,
  kinds: readonly ('bool' | 'integer' | 'float')[],
  fix: string,
): void {
  if (kinds.includes(dtypeInfo[dtype].kind)) return;
  throw new DTypeError(`${op}: dtype ${dtype} is not supported`, { op, received: dtype, fix });
}
