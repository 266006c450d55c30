import { ArgumentError, type Device, type DType, DTypeError, ShapeError, type Tensor } from '@tutti/core';
import { fromHost } from '@tutti/core/graph';

/** Typed arrays that a sample may hold. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

/** Elements on the host in row-major order, and their shape. */
export interface NdArray<T extends TypedArray = TypedArray> {
  readonly data: T;
  readonly shape: readonly number[];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

/**
 * Puts a typed array and its shape together. Without a shape the array has one axis.
 *
 * @throws ShapeError when the number of elements is not the product of the extents.
 * @example ndarray(new Uint8Array(28 * 28), [1, 28, 28])
 */
export function ndarray<T extends TypedArray>(data: T, shape: readonly number[] = [data.length]): NdArray<T> {
  const legal = Array.isArray(shape) && shape.every((extent) => Number.isInteger(extent) && extent >= 0);
  if (!legal || sizeOf(shape) !== data.length) {
    throw new ShapeError(`ndarray: ${data.length} elements do not fill the shape [${shape}]`, {
      op: 'ndarray',
      received: shape,
      fix: 'pass extents whose product is the number of elements',
    });
  }
  return { data, shape };
}

export function isNdArray(value: unknown): value is NdArray {
  if (typeof value !== 'object' || value === null) return false;
  const { data, shape } = value as Partial<NdArray>;
  return ArrayBuffer.isView(data) && !(data instanceof DataView) && Array.isArray(shape);
}

/** A new typed array of the kind of `like`. */
export function emptyLike<T extends TypedArray>(like: T, length: number): T {
  return new (like.constructor as new (length: number) => T)(length);
}

/**
 * A tensor with the elements of an array. The array now belongs to the tensor: change a copy.
 *
 * dtype: Float32Array and Float64Array -> float32, Int32Array -> int32, Uint32Array -> uint32, Uint8Array and
 * Uint8ClampedArray -> uint8.
 *
 * @throws DTypeError for any other array.
 */
export function toTensor({ data, shape }: NdArray, device?: Device): Tensor {
  const make = (host: Float32Array | Int32Array | Uint32Array | Uint8Array, dtype: DType): Tensor =>
    fromHost(host, shape, dtype, device);
  if (data instanceof Float32Array) return make(data, 'float32');
  if (data instanceof Float64Array) return make(Float32Array.from(data), 'float32');
  if (data instanceof Int32Array) return make(data, 'int32');
  if (data instanceof Uint32Array) return make(data, 'uint32');
  if (data instanceof Uint8Array) return make(data, 'uint8');
  if (data instanceof Uint8ClampedArray) return make(new Uint8Array(data), 'uint8');
  throw new DTypeError(`toTensor: a ${data.constructor.name} has no dtype`, {
    op: 'toTensor',
    received: data.constructor.name,
    fix: 'convert it first, for example Int32Array.from(data) or Float32Array.from(data)',
  });
}

/** Throws ArgumentError unless `value` is an integer of at least `least`. */
export function checkInteger(value: number, least: number, op: string, what: string): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new ArgumentError(`${op}: ${what} is ${value}`, {
    op,
    received: value,
    fix: `${what} is an integer of at least ${least}`,
  });
}
