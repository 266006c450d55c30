/** Where tensors and the buffers of a backend meet. */
import { ArgumentError, checkDType, type DeviceBuffer, type DType, dtypeInfo } from '../backend/index.ts';
import { context } from '../tensor/context.ts';
import type { Device } from '../tensor/device.ts';
import { GraphNode } from '../tensor/node.ts';
import { checkShape, formatShape, type Shape, sizeOf } from '../tensor/shape.ts';
import { Tensor } from '../tensor/tensor.ts';
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
 * @throws IndexError when an index that the value was computed with turned out to be out of range; TraceError inside of a
 * function that is traced.
 */
export function deviceBufferOf(tensor: Tensor): Promise<DeviceBuffer> {
  context.trace?.refuse('deviceBufferOf'); // at once, because nobody there could wait for a promise
  return computedBuffer(tensor);
}

async function computedBuffer(tensor: Tensor): Promise<DeviceBuffer> {
  for (;;) {
    const { node } = tensor;
    await node.device.open();
    await realizeNodes([node]);
    const executor = executorOf(node.device.backend);
    if (node.verdict && isOpen(node.verdict)) await executor.checks.settle();
    raise(node.verdict);
    if (tensor.node === node) return executor.bufferOf(node); // otherwise something was assigned meanwhile
  }
}
