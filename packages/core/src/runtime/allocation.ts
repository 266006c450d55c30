/** Memory that the runtime asks for, and what it was for where there is none. */
import {
  type Backend,
  type DeviceBuffer,
  type DType,
  dtypeInfo,
  OutOfMemoryError,
  TuttiError,
} from '../backend/index.ts';
import type { Device } from '../tensor/device.ts';
import { formatShape, type Shape, sizeOf } from '../tensor/shape.ts';

/** What some memory is for: backends see bytes, and cannot say. */
export interface Purpose {
  readonly op: string;
  /** `float32 [2, 3]`, `an intermediate value`. */
  readonly what: string;
  readonly device: Device;
}

/** Of the elements of a tensor. */
export const elements = (
  op: string,
  { shape, dtype, device }: { readonly shape: Shape; readonly dtype: DType; readonly device: Device },
): Purpose => ({ op, what: `${dtype} ${formatShape(shape)}`, device });

/** A buffer. @throws OutOfMemoryError, which says what it is for */
export function allocate(backend: Backend, bytes: number, purpose: () => Purpose): DeviceBuffer {
  try {
    return backend.allocate(bytes);
  } catch (error) {
    throw withPurpose(error, purpose);
  }
}

/** Buffers of these sizes: all of them, or none. @throws OutOfMemoryError */
export function allocateAll(
  backend: Backend,
  sizes: readonly number[],
  purpose: (index: number) => Purpose,
): DeviceBuffer[] {
  const buffers: DeviceBuffer[] = [];
  try {
    for (const [i, bytes] of sizes.entries()) buffers.push(allocate(backend, bytes, () => purpose(i)));
  } catch (error) {
    for (const buffer of buffers) backend.free(buffer);
    throw error;
  }
  return buffers;
}

/**
 * A buffer for the elements of a tensor of this shape and dtype, on a device that is open.
 *
 * @throws OutOfMemoryError, which names the operation, the shape, the dtype and the device.
 */
export function allocateElements(
  op: string,
  tensor: { readonly shape: Shape; readonly dtype: DType; readonly device: Device },
): DeviceBuffer {
  const bytes = sizeOf(tensor.shape) * dtypeInfo[tensor.dtype].bytes;
  return allocate(tensor.device.backend, bytes, () => elements(op, tensor));
}

/** An error of a backend that has no memory, with what it was for; any other as it is. `bytes` are what was asked for. */
export function withPurpose(error: unknown, purpose: (bytes: unknown) => Purpose): unknown {
  const known = TuttiError.isInstance(error) && error.code === 'TUTTI_OUT_OF_MEMORY' && !error.op;
  if (!known) return error;
  const { received, fix } = error;
  const { op, what, device } = purpose(received);
  const [why] = error.message.split('\n  fix: ');
  return new OutOfMemoryError(`${op}: no memory for ${what} on ${device}: ${why}`, {
    op,
    received,
    fix,
    cause: error,
  });
}
