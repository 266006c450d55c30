/** Tensors from host data and from rules. */
import {
  ArgumentError,
  checkDType,
  type DType,
  DTypeError,
  isFloat,
  ShapeError,
  toBfloat16Bits,
  toFloat16Bits,
} from '../backend/index.ts';
import { apply, fromHost } from '../tensor/apply.ts';
import { describe, isPromise } from '../tensor/describe.ts';
import type { Device } from '../tensor/device.ts';
import { type HostArray, hostArrays } from '../tensor/node.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { checkShape, formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import { requireTensor, type Tensor, Variable } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { checkScalar, computeDType, convert, filled } from './promote.ts';

/** Numbers or booleans in nested arrays, all of one length on each level. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Typed arrays that `tensor` takes. Float64Array rounds to float32. */
export type TypedData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Uint16Array
  | Uint32Array;

export interface CreateOptions {
  readonly dtype?: DType | undefined;
  /** Default: the default device. */
  readonly device?: Device | undefined;
}

export interface TensorOptions extends CreateOptions {
  /** Shape of the elements, in row-major order. Default: that of the nesting. */
  readonly shape?: Shape | undefined;
  /** Makes a {@link Variable}, which `backward()` gives a `grad`. */
  readonly requiresGrad?: boolean | undefined;
}

export const createOptions: OptionNames<CreateOptions> = { dtype: true, device: true };
const tensorOptions: OptionNames<TensorOptions> = { ...createOptions, shape: true, requiresGrad: true };

/** Puts a copy of the values in a host array of the dtype's element type, checking that each fits. */
function toHostArray(op: string, values: ArrayLike<number | boolean>, dtype: DType): HostArray {
  const host = new hostArrays[dtype](values.length);
  const sameType = values instanceof hostArrays[dtype] && dtype !== 'bool' && computeDType(dtype) === dtype;
  if (dtype === 'float32' || sameType) host.set(values as ArrayLike<number>);
  else if (dtype === 'float16')
    for (let i = 0; i < values.length; i++) host[i] = toFloat16Bits(Number(values[i]!));
  else if (dtype === 'bfloat16')
    for (let i = 0; i < values.length; i++) host[i] = toBfloat16Bits(Number(values[i]!));
  else for (let i = 0; i < values.length; i++) host[i] = checkScalar(op, values[i]!, dtype);
  return host;
}

/** Shape of nested arrays, read along their first elements. */
function nestedShape(data: NestedArray): number[] {
  const shape: number[] = [];
  for (let level: NestedArray = data; Array.isArray(level); level = level[0] as NestedArray) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  return shape;
}

/** The flat elements of nested arrays and their shape. @throws ShapeError, ArgumentError */
function flatten(data: NestedArray): { values: (number | boolean)[]; shape: number[] } {
  const shape = nestedShape(data);
  const values: (number | boolean)[] = [];
  const position: number[] = [];
  const ragged = (found: string): never => {
    const at = `at [${position.join(', ')}]`;
    const extent = shape[position.length];
    const expected = extent === undefined ? 'a number' : `an array of ${extent}`;
    throw new ShapeError(`tensor: ragged data, ${found} ${at} where there should be ${expected}`, {
      op: 'tensor',
      received: [...position],
      fix: 'all arrays of one level must have the same length; pad the short ones',
    });
  };
  const visit = (item: NestedArray): void => {
    if (Array.isArray(item)) {
      if (item.length !== shape[position.length]) ragged(`an array of ${item.length}`);
      for (let i = 0; i < item.length; i++) {
        position.push(i);
        visit(item[i] as NestedArray);
        position.pop();
      }
      return;
    }
    if (typeof item !== 'number' && typeof item !== 'boolean') {
      throw new ArgumentError(
        `tensor: ${describe(item)} at [${position.join(', ')}] is neither a number nor a boolean`,
        {
          op: 'tensor',
          received: item,
          fix: isPromise(item)
            ? 'await it first'
            : 'pass numbers, booleans, nested arrays of them, or a typed array',
        },
      );
    }
    if (position.length < shape.length) ragged(String(item));
    values.push(item);
  };
  visit(data);
  return { values, shape };
}

/** dtype of plain numbers and booleans: all of one kind. */
function inferDType(values: readonly (number | boolean)[]): DType {
  const booleans = values.reduce((count: number, value) => count + (typeof value === 'boolean' ? 1 : 0), 0);
  if (booleans === 0) return 'float32';
  if (booleans === values.length) return 'bool';
  throw new ArgumentError('tensor: numbers and booleans in one array', {
    op: 'tensor',
    fix: "give a dtype, for example tensor(data, { dtype: 'float32' })",
  });
}

function typedDType(data: ArrayBufferView): DType {
  if (data instanceof Float32Array || data instanceof Float64Array) return 'float32';
  if (data instanceof Uint32Array) return 'uint32';
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return 'uint8';
  if (
    data instanceof Int8Array ||
    data instanceof Int16Array ||
    data instanceof Int32Array ||
    data instanceof Uint16Array
  )
    return 'int32';
  throw new DTypeError(`tensor: ${data.constructor.name} holds no dtype of this library`, {
    op: 'tensor',
    received: data.constructor.name,
    fix: 'convert it, for example Int32Array.from(data, Number)',
  });
}

function readData(data: NestedArray | TypedData): {
  values: ArrayLike<number | boolean>;
  shape: number[];
  dtype: DType;
} {
  if (ArrayBuffer.isView(data)) {
    const dtype = typedDType(data);
    return { values: data as ArrayLike<number>, shape: [(data as ArrayLike<number>).length], dtype };
  }
  const { values, shape } = flatten(data as NestedArray);
  return { values, shape, dtype: inferDType(values) };
}

/**
 * A tensor with the elements of `data`, which is copied.
 *
 * Without `dtype`, numbers give float32 (integers too), booleans bool, and a typed array its own element type
 * (Float64Array float32, Int8Array, Int16Array and Uint16Array int32). `shape` arranges flat data in row-major order.
 * With `requiresGrad` the result is a {@link Variable}.
 *
 * @throws ShapeError for ragged arrays and where `shape` has another number of elements.
 * @throws ArgumentError for values that the dtype cannot hold and for anything that is not a number or a boolean.
 * @throws DTypeError for 64-bit integer arrays.
 *
 * @example tensor([[1, 2], [3, 4]]).shape // [2, 2]
 */
export function tensor(data: NestedArray | TypedData, options: TensorOptions = {}): Tensor {
  checkOptions('tensor', options, tensorOptions);
  const read =
    options.dtype === undefined || ArrayBuffer.isView(data)
      ? readData(data)
      : { ...flatten(data as NestedArray), dtype: options.dtype };
  const dtype = checkDType(options.dtype ?? read.dtype, 'tensor');
  const shape = [...checkShape(options.shape ?? read.shape, 'tensor')];
  if (sizeOf(shape) !== read.values.length) {
    throw new ShapeError(`tensor: ${read.values.length} elements do not fill shape ${formatShape(shape)}`, {
      op: 'tensor',
      received: shape,
      fix: `give ${sizeOf(shape)} elements or another shape`,
    });
  }
  const result = fromHost(toHostArray('tensor', read.values, dtype), shape, dtype, options.device);
  if (!options.requiresGrad) return result;
  try {
    return new Variable(result, { requiresGrad: true });
  } finally {
    result.dispose();
  }
}

/**
 * `value` everywhere. The dtype is float32 (bool for a boolean) unless given.
 *
 * @throws ShapeError when `shape` is not one.
 * @throws ArgumentError when the dtype cannot hold the value.
 */
export function full(shape: Shape, value: number | boolean, options: CreateOptions = {}): Tensor {
  return fill('full', shape, value, options, typeof value === 'boolean' ? 'bool' : 'float32');
}

function fill(
  op: string,
  shape: Shape,
  value: number | boolean,
  options: CreateOptions,
  usualDType: DType,
  usualDevice?: Device,
): Tensor {
  checkShape(shape, op);
  checkOptions(op, options, createOptions);
  const dtype = checkDType(options.dtype ?? usualDType, op);
  return composite(() => filled(op, value, dtype, [...shape], options.device ?? usualDevice));
}

/** 0 everywhere; float32 unless a dtype is given. @throws ShapeError */
export function zeros(shape: Shape, options: CreateOptions = {}): Tensor {
  return fill('zeros', shape, 0, options, 'float32');
}

/** 1 everywhere; float32 unless a dtype is given. @throws ShapeError */
export function ones(shape: Shape, options: CreateOptions = {}): Tensor {
  return fill('ones', shape, 1, options, 'float32');
}

/** `value` everywhere, with the shape, dtype and device of `x` unless given. @throws ArgumentError */
export function fullLike(x: Tensor, value: number | boolean, options: CreateOptions = {}): Tensor {
  return fillLike('fullLike', x, value, options);
}

function fillLike(op: string, x: Tensor, value: number | boolean, options: CreateOptions): Tensor {
  requireTensor(op, x);
  return fill(op, x.shape, value, options, x.dtype, x.device);
}

/** 0 everywhere, with the shape, dtype and device of `x` unless given. */
export function zerosLike(x: Tensor, options: CreateOptions = {}): Tensor {
  return fillLike('zerosLike', x, 0, options);
}

/** 1 everywhere, with the shape, dtype and device of `x` unless given. */
export function onesLike(x: Tensor, options: CreateOptions = {}): Tensor {
  return fillLike('onesLike', x, 1, options);
}

function requireFinite(op: string, ...values: number[]): void {
  for (const value of values) {
    if (typeof value === 'number' && Number.isFinite(value)) continue;
    throw new ArgumentError(`${op}: ${describe(value)} is not a finite number`, {
      op,
      received: value,
      fix: 'pass finite numbers',
    });
  }
}

function requireCount(op: string, count: number, name: string): void {
  if (Number.isInteger(count) && count >= 0) return;
  throw new ArgumentError(`${op}: ${name} is ${describe(count)}`, {
    op,
    received: count,
    fix: 'it must be an integer of at least 0',
  });
}

/** Up to this many floats are worked out on the host in double precision and rounded once. */
const hostLimit = 65536;

/** The int32 indices 0 .. extent-1 along one axis of a shape. */
export function indices(shape: Shape, axis: number, device?: Device): Tensor {
  return apply('iota', [], { shape, axis }, device);
}

/** start + i * step, in an integer dtype. */
function integerSteps(start: number, step: number, count: number, dtype: DType, device?: Device): Tensor {
  if (count > 0) for (const value of [start, start + (count - 1) * step]) checkScalar('arange', value, dtype);
  // int32 arithmetic wraps, so uint32 values beyond 2^31 come out right after the reinterpreting cast.
  const wrap = (value: number): Tensor => filled('arange', value | 0, 'int32', [count], device);
  const scaled = apply('mul', [indices([count], 0, device), wrap(step)], {});
  return convert(apply('add', [scaled, wrap(start)], {}), dtype);
}

/**
 * `start, start + step, ...` as long as it is before `stop`: shape [ceil((stop - start) / step)]. `arange(n)` counts from 0.
 *
 * The dtype is int32 when all three numbers are integers, otherwise float32, unless given. Beyond 65536 floats the steps
 * are taken in float32.
 *
 * @throws ArgumentError when step is 0, a number is not finite, or the dtype cannot hold the values.
 *
 * @example arange(2, 8, 2) // 2, 4, 6
 */
export function arange(start: number, stop?: number, step = 1, options: CreateOptions = {}): Tensor {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  requireFinite('arange', from, to, step);
  checkOptions('arange', options, createOptions);
  if (step === 0)
    throw new ArgumentError('arange: step is 0', {
      op: 'arange',
      received: step,
      fix: 'a step goes up or down',
    });
  const whole = [from, to, step].every(Number.isInteger);
  const dtype = checkDType(options.dtype ?? (whole ? 'int32' : 'float32'), 'arange');
  const count = Math.max(0, Math.ceil((to - from) / step));
  checkShape([count], 'arange');
  if (!isFloat(dtype) && dtype !== 'bool' && Number.isInteger(from) && Number.isInteger(step)) {
    return composite(() => integerSteps(from, step, count, dtype, options.device));
  }
  if (count <= hostLimit || !isFloat(dtype)) {
    const values = Array.from({ length: count }, (_, i) => from + i * step);
    return fromHost(toHostArray('arange', values, dtype), [count], dtype, options.device);
  }
  return composite(() => convert(floatSteps(from, step, count, options.device), dtype));
}

/** start + i * step in float32, computed on the device. */
function floatSteps(start: number, step: number, count: number, device?: Device): Tensor {
  const index = convert(indices([count], 0, device), 'float32');
  const scaled = apply('mul', [index, filled('arange', step, 'float32', [count], device)], {});
  return apply('add', [scaled, filled('arange', start, 'float32', [count], device)], {});
}

/**
 * `count` numbers at equal distances from `start` to `stop`, both included: shape [count]. dtype float32 unless another
 * float dtype is given. Beyond 65536 elements they are computed in float32, from the nearer end, so that both ends are exact.
 *
 * @throws ArgumentError when count is not an integer of at least 0 or an end is not finite.
 * @throws DTypeError for a dtype that is not a float.
 */
export function linspace(start: number, stop: number, count: number, options: CreateOptions = {}): Tensor {
  requireFinite('linspace', start, stop);
  requireCount('linspace', count, 'count');
  checkOptions('linspace', options, createOptions);
  checkShape([count], 'linspace');
  const { device } = options;
  const dtype = checkDType(options.dtype ?? 'float32', 'linspace');
  if (!isFloat(dtype)) {
    throw new DTypeError(`linspace: dtype ${dtype} is not a float`, {
      op: 'linspace',
      received: dtype,
      fix: 'use arange for integers',
    });
  }
  const step = count > 1 ? (stop - start) / (count - 1) : 0;
  const half = Math.ceil(count / 2);
  if (count <= hostLimit) {
    const values = Array.from({ length: count }, (_, i) =>
      i < half ? start + i * step : stop - (count - 1 - i) * step,
    );
    return fromHost(toHostArray('linspace', values, dtype), [count], dtype, device);
  }
  return composite(() => {
    const before = apply(
      'lt',
      [indices([count], 0, device), filled('linspace', half, 'int32', [count], device)],
      {},
    );
    const down = apply('flip', [floatSteps(stop, -step, count, device)], { axes: [0] });
    return convert(apply('where', [before, floatSteps(start, step, count, device), down], {}), dtype);
  });
}

/**
 * 1 where row = column, 0 elsewhere: shape [n, m], m = n unless given; float32 unless a dtype is given.
 *
 * @throws ArgumentError when n or m is not an integer of at least 0.
 */
export function eye(n: number, m: number = n, options: CreateOptions = {}): Tensor {
  requireCount('eye', n, 'n');
  requireCount('eye', m, 'm');
  checkOptions('eye', options, createOptions);
  checkShape([n, m], 'eye');
  const dtype = checkDType(options.dtype ?? 'float32', 'eye');
  return composite(() => {
    const diagonal = apply(
      'eq',
      [indices([n, m], 0, options.device), indices([n, m], 1, options.device)],
      {},
    );
    return convert(diagonal, dtype);
  });
}
