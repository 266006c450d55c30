import { ArgumentError, DeviceError, type DType, dtypeInfo } from '../backend/index.ts';
import type { Primitive, PrimitiveAttributes } from '../ops/primitives.ts';
import { context, defaultDevice } from './context.ts';
import { Device, undecided } from './device.ts';
import { GraphNode, type HostArray, type NodeFlags } from './node.ts';
import { type Shape, sizeOf } from './shape.ts';
import { requireTensor, Tensor } from './tensor.ts';

function flagsFor(op: Primitive, inputs: readonly GraphNode[]): NodeFlags {
  if (!context.gradEnabled || op === 'detach') return { tracked: false, constant: true };
  return { tracked: op === 'alias' || inputs.some((input) => input.tracked), constant: false };
}

function checkDevice(op: string, device: unknown): void {
  if (device instanceof Device) return;
  throw new ArgumentError(`${op}: device is ${JSON.stringify(device)}, not a device`, {
    op,
    received: device,
    fix: 'open one with `await device(id)`, or leave it out and call `await setDefaultDevice(id)` once',
  });
}

/** A device that failed and was opened again has the name of the old one. */
export function differentDevices(op: string, one: Device, other: Device): DeviceError {
  const { id } = one;
  const received = [id, other.id];
  const chosen = [id, other.id].find((each) => each !== undecided);
  if (chosen !== undefined && received.includes(undecided)) {
    return new DeviceError(
      `${op}: operands on different devices, ${id} and ${other.id}; what is on ${undecided} was made before a device was set`,
      {
        op,
        received,
        fix: `call await setDefaultDevice('${chosen}') before tensors and models are made, or move what is on ${undecided}: await x.to('${chosen}')`,
      },
    );
  }
  if (id !== other.id) {
    return new DeviceError(`${op}: operands on different devices, ${id} and ${other.id}`, {
      op,
      received,
      fix: `move one of them first: x.to('${id}')`,
    });
  }
  return new DeviceError(
    `${op}: operands on two devices called ${id}, of which one was opened after the other had ended`,
    {
      op,
      received,
      fix: 'make the tensors of the old one anew, also the parameters and the state of optimisers',
    },
  );
}

/** Adds a node to the graph. All operands must be on one device. @throws DeviceError */
export function applyNode<P extends Primitive>(
  op: P,
  inputs: readonly GraphNode[],
  attributes: PrimitiveAttributes[P],
  device: Device = inputs[0]?.device ?? defaultDevice(),
): GraphNode<P> {
  checkDevice(op, device);
  for (const input of inputs) {
    if (input.device.same(device)) continue;
    throw differentDevices(op, device, input.device);
  }
  return new GraphNode(op, inputs, attributes, device, flagsFor(op, inputs));
}

/** A tensor for one primitive applied to tensors that already agree in shape and dtype. */
export function apply<P extends Primitive>(
  op: P,
  inputs: readonly Tensor[],
  attributes: PrimitiveAttributes[P],
  device?: Device,
): Tensor {
  const nodes = inputs.map((input) => requireTensor(op, input).node);
  return new Tensor(applyNode(op, nodes, attributes, device));
}

/** A tensor whose elements are in a host array of the dtype's own element type. The array now belongs to the tensor. */
export function fromHost(
  host: HostArray,
  shape: Shape,
  dtype: DType,
  device: Device = defaultDevice(),
): Tensor {
  if (host.length !== sizeOf(shape) || host.BYTES_PER_ELEMENT !== dtypeInfo[dtype].bytes) {
    throw new ArgumentError(
      `fromHost: ${host.length} elements of ${host.BYTES_PER_ELEMENT} bytes do not fill ${dtype} [${shape.join(', ')}]`,
    );
  }
  checkDevice('tensor', device);
  const node = new GraphNode('data', [], { shape, dtype }, device, { tracked: false, constant: false });
  node.host = host;
  return new Tensor(node);
}

/** A scalar constant, part of the graph's structure. */
export function constant(value: number, dtype: DType, device: Device = defaultDevice()): Tensor {
  return apply('const', [], { value, dtype }, device);
}
