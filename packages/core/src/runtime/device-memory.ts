/** Where tensors and the buffers of a backend meet. */
import { ArgumentError, checkDType, type DeviceBuffer, type DType, dtypeInfo } from '../backend/index.ts';
import { context, type TraceRefusal } from '../tensor/context.ts';
import type { Device } from '../tensor/device.ts';
import { GraphNode } from '../tensor/node.ts';
import { checkShape, formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { isOpen, raise } from './checks.ts';
import { executorOf } from './executor.ts';
import { realizeNodes } from './realize.ts';

export interface DeviceBufferOptions {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The device whose backend made the buffer. It is open. */
  readonly device: Device;
}

/**
 * A tensor whose elements, in row-major order, are in a buffer of its device. The buffer belongs to the tensor from now on:
 * the backend is told to free it when the last use of the value is over.
 *
 * @throws ArgumentError when the bytes of the buffer are not those of the shape; ShapeError, DTypeError; DeviceError for a
 * device that is not open.
 */
export function fromDeviceBuffer(
  buffer: DeviceBuffer,
  { shape, dtype, device }: DeviceBufferOptions,
): Tensor {
  checkShape(shape, 'fromDeviceBuffer');
  checkDType(dtype, 'fromDeviceBuffer');
  const bytes = sizeOf(shape) * dtypeInfo[dtype].bytes;
  if (buffer.bytes !== bytes) {
    throw new ArgumentError(
      `fromDeviceBuffer: a buffer of ${buffer.bytes} bytes for ${dtype} ${formatShape(shape)}, which has ${bytes}`,
      {
        op: 'fromDeviceBuffer',
        received: buffer.bytes,
        fix: 'pass a buffer of exactly the bytes of the shape',
      },
    );
  }
  device.backend; // throws unless it is open
  const node = new GraphNode('data', [], { shape, dtype }, device, { tracked: false, constant: false });
  node.fulfil(buffer);
  return new Tensor(node);
}

/**
 * The buffer with the elements of a tensor, computed first if need be: whatever is submitted to the device from now on finds
 * them there. It belongs to the tensor, and is valid until the tensor is disposed of; that of a variable, until something is
 * assigned to it.
 *
 * @param op The function that asks, for messages.
 * @throws IndexError when an index that the value was computed with turned out to be out of range; DisposedError also where the
 * tensor is disposed of before this resolves; TraceError inside of a function that is traced.
 */
export function deviceBufferOf(tensor: Tensor, op: string = 'deviceBufferOf'): Promise<DeviceBuffer> {
  context.trace?.refuse(op); // at once, because nobody there could wait for a promise
  return newestBuffer(tensor, op);
}

async function newestBuffer(tensor: Tensor, op: string): Promise<DeviceBuffer> {
  for (;;) {
    const { node } = requireTensor(op, tensor);
    const buffer = await withBuffer(node, (own) => own);
    if (requireTensor(op, tensor).node === node) return buffer; // otherwise something was assigned meanwhile
  }
}

/**
 * Hands the buffer with the elements that a tensor has now to `use`, once they are computed, and keeps them until what `use` gives
 * has settled. Meanwhile the tensor may be disposed of, and a variable assigned to.
 *
 * @param op The function that asks, for messages.
 * @throws as `deviceBufferOf`, and what `use` throws.
 */
export function useDeviceBuffer<T>(
  tensor: Tensor,
  op: string,
  use: (buffer: DeviceBuffer, device: Device) => T | PromiseLike<T>,
): Promise<T> {
  context.trace?.refuse(op);
  return useBuffer(tensor, op, use);
}

/** What is wrong with the tensor is a rejection, as all that is found later. */
async function useBuffer<T>(
  tensor: Tensor,
  op: string,
  use: (buffer: DeviceBuffer, device: Device) => T | PromiseLike<T>,
): Promise<T> {
  return withBuffer(requireTensor(op, tensor).node, use);
}

async function withBuffer<T>(
  node: GraphNode,
  use: (buffer: DeviceBuffer, device: Device) => T | PromiseLike<T>,
): Promise<T> {
  node.retain(); // its handle may be disposed while this waits
  try {
    const { device } = node;
    await device.open();
    await realizeNodes([node]);
    const executor = executorOf(device.backend);
    if (node.verdict && isOpen(node.verdict)) await executor.checks.settle();
    raise(node.verdict);
    return await use(executor.bufferOf(node), device);
  } finally {
    node.release();
  }
}

/** For what cannot be part of a plan. @throws TraceError inside of a function that is traced */
export function refuseInTrace(op: string, refusal?: TraceRefusal): void {
  context.trace?.refuse(op, refusal);
}
