/** Buffers of the user as tensors, and tensors as buffers. */
import { ArgumentError, checkDType, type DeviceBuffer, type DType, dtypeInfo } from '@tutti/core/backend';
import {
  checkShape,
  type Device,
  defaultDevice,
  describe,
  deviceBufferOf,
  formatShape,
  fromDeviceBuffer,
  type OptionNames,
  requireOptions,
  type Shape,
  sizeOf,
  type Tensor,
} from '@tutti/core/interop';
import { backendOf } from './device.ts';

export interface FromGPUBufferOptions {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The device that the buffer was made with, as `gpuDeviceOf` gives it. Default: the default device. */
  readonly device?: Device;
  /** Where the elements begin, in bytes: a multiple of 256. Default 0. */
  readonly offset?: number;
}

/** `GPUBufferUsage.COPY_SRC` and `STORAGE`: the names are globals in browsers only. */
const copySource = 0x04;
const storage = 0x80;

/** Every device can bind a buffer from multiples of this. */
const alignment = 256;
/** Kernels read 16 bytes at a time. */
const granularity = 16;

/**
 * A tensor whose elements, in row-major order, are in a `GPUBuffer`, without a copy. uint8 and bool take a byte each, float16
 * and bfloat16 two, all others four.
 *
 * The buffer stays yours: nothing here writes to it or destroys it, and `memory()` does not count it. As long as the tensor,
 * or what is computed from it, has not been computed, the buffer must be neither mapped, destroyed nor written to:
 * operations are lazy, and see what is in the buffer when they run (`await realize(y)` makes sure that they did).
 *
 * @param buffer Its usage has `STORAGE` and `COPY_SRC`. From the offset on it has the bytes of the elements, rounded up to a
 * multiple of 16.
 * @throws ArgumentError when the buffer is too small, is mapped, or lacks a usage; ShapeError, DTypeError; DeviceError when
 * the device is not an open one of WebGPU.
 *
 * @example
 * const positions = fromGPUBuffer(buffer, { shape: [1000, 3], dtype: 'float32' });
 */
export function fromGPUBuffer(buffer: GPUBuffer, options: FromGPUBufferOptions): Tensor {
  requireOptions(op, options, optionNames);
  const { shape, dtype, device = defaultDevice(), offset = 0 } = options;
  checkShape(shape, op);
  checkDType(dtype, op);
  const backend = backendOf(device, op);
  checkBuffer(buffer);
  const bytes = sizeOf(shape) * dtypeInfo[dtype].bytes;
  checkExtent(buffer, offset, bytes, `${dtype} ${formatShape(shape)}`);
  return fromDeviceBuffer(backend.adopt(buffer, offset, bytes), { shape, dtype, device });
}

const op = 'fromGPUBuffer';
const optionNames: OptionNames<FromGPUBufferOptions> = {
  shape: true,
  dtype: true,
  device: true,
  offset: true,
};

function checkBuffer(buffer: GPUBuffer): void {
  if (Object.prototype.toString.call(buffer) !== '[object GPUBuffer]') {
    throw new ArgumentError(`${op}: expected a GPUBuffer, received ${describe(buffer)}`, {
      op,
      received: buffer,
      fix: 'pass what gpuDeviceOf().createBuffer(...) gave; host data becomes a tensor with tensor(data)',
    });
  }
  const missing = [buffer.usage & storage ? '' : 'STORAGE', buffer.usage & copySource ? '' : 'COPY_SRC'];
  if (missing.some(Boolean)) {
    throw new ArgumentError(`${op}: the buffer's usage lacks ${missing.filter(Boolean).join(' and ')}`, {
      op,
      received: buffer.usage,
      fix: 'create it with usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC, and what else you need',
    });
  }
  if (buffer.mapState !== 'unmapped') {
    throw new ArgumentError(`${op}: the buffer is mapped`, {
      op,
      received: buffer.mapState,
      fix: 'call buffer.unmap() first',
    });
  }
}

function checkExtent(buffer: GPUBuffer, offset: number, bytes: number, what: string): void {
  if (!(Number.isInteger(offset / alignment) && offset >= 0)) {
    throw new ArgumentError(`${op}: offset ${offset} is not a multiple of ${alignment}`, {
      op,
      received: offset,
      fix: `copy the elements to an offset that is a multiple of ${alignment}`,
    });
  }
  const end = offset + Math.max(granularity, Math.ceil(bytes / granularity) * granularity);
  if (end <= buffer.size) return;
  throw new ArgumentError(
    `${op}: the buffer has ${buffer.size} bytes, and ${what} at offset ${offset} needs ${end}`,
    {
      op,
      received: buffer.size,
      fix: `create the buffer with a size of ${end} or more (bytes are rounded up to a multiple of ${granularity})`,
    },
  );
}

/** Where the elements of a tensor are. */
export interface TensorMemory {
  /** Usage: `STORAGE`, `COPY_SRC` and `COPY_DST`. It may be larger than the tensor. */
  readonly buffer: GPUBuffer;
  /** Where the elements begin, in bytes. */
  readonly offset: number;
  /** Bytes of the elements, in row-major order. A binding may span them rounded up to a multiple of 16. */
  readonly size: number;
}

/**
 * The memory of a tensor on WebGPU, once it is computed: what is submitted from now on to the queue of `gpuDeviceOf(x.device)`
 * finds the elements there. For reading: the same memory may be the value of other tensors.
 *
 * It is valid until the tensor is disposed of, which a `scope` or `using` declaration may do; that of a variable, until
 * something is assigned to it. Then the memory goes to another tensor, and the buffer may be destroyed.
 *
 * @throws ArgumentError for what is no tensor; DeviceError for one on a device of another backend; IndexError when an index that the value was computed with
 * turned out to be out of range.
 *
 * @example
 * const { buffer, offset, size } = await gpuBufferOf(x);
 * encoder.copyBufferToBuffer(buffer, offset, vertices, 0, size);
 */
export function gpuBufferOf(tensor: Tensor): Promise<TensorMemory> {
  return memoryOf(tensor, deviceBufferOf(tensor, 'gpuBufferOf'));
}

async function memoryOf(tensor: Tensor, computed: Promise<DeviceBuffer>): Promise<TensorMemory> {
  const own = await computed;
  const { gpu, offset } = backendOf(tensor.device, 'gpuBufferOf').memoryOf(own);
  return { buffer: gpu, offset, size: own.bytes };
}
