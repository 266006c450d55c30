/** Computing and reading values. */
import {
  type DeviceBuffer,
  DeviceError,
  type DType,
  type Fence,
  ShapeError,
  widenBfloat16,
  widenFloat16,
} from '../backend/index.ts';
import { fromHost } from '../tensor/apply.ts';
import { context } from '../tensor/context.ts';
import { Device } from '../tensor/device.ts';
import { GraphNode, type HostArray, hostArrays } from '../tensor/node.ts';
import { formatShape, type Shape } from '../tensor/shape.ts';
import { requireTensor, Tensor } from '../tensor/tensor.ts';
import { allocateElements, elements, withPurpose } from './allocation.ts';
import { isOpen, raise } from './checks.ts';
import { bytesOf, type Executor, executorOf, type PreparedRun } from './executor.ts';
import { device as openDevice } from './registry.ts';

/** Elements as they are read: 16-bit floats as float32, bool as 0 and 1. */
export type DataArray = Float32Array | Int32Array | Uint32Array | Uint8Array;

/** Nested arrays of numbers or booleans, as deep as the tensor has axes; a bare value for a scalar. */
export type NestedValues = number | boolean | NestedValues[];

/**
 * Computes the values of tensors, in one plan for each device, so that they need not be computed again; what is still on the
 * host is uploaded, beside the work where the device can. Resolves when the work is submitted; errors of the device reach
 * whoever reads a value.
 */
export async function realize(...tensors: Tensor[]): Promise<void> {
  context.trace?.refuse('realize');
  const nodes = tensors.map((tensor) => requireTensor('realize', tensor).node);
  for (const node of nodes) node.retain();
  try {
    await realizeNodes(nodes);
    for (const node of nodes) if (node.host) await upload(node);
  } finally {
    for (const node of nodes) node.release();
  }
}

async function upload(node: GraphNode): Promise<void> {
  executorOf(await node.device.open()).bufferOf(node);
}

/** @internal */
export async function realizeNodes(nodes: readonly GraphNode[]): Promise<void> {
  for (const node of nodes) node.retain(); // their handles may be disposed while this waits
  try {
    for (const node of nodes) if (!node.computed) await node.device.open();
    for (const [device, group] of byDevice(nodes)) {
      const fence = await compute(executorOf(device.backend), group);
      await fence?.pace; // a failed device fails every later read
    }
  } finally {
    for (const node of nodes) node.release();
  }
}

/** What goes wrong with variables that wait for their value must not keep a value that was asked for from being computed. */
async function compute(executor: Executor, nodes: readonly GraphNode[]): Promise<Fence | undefined> {
  const run = executor.prepare(nodes);
  try {
    return await submitWhenReady(run);
  } catch (error) {
    if (!run?.hasWaiting) throw error;
    return submitWhenReady(executor.prepareWith(nodes, []));
  }
}

async function submitWhenReady(run: PreparedRun | undefined): Promise<Fence | undefined> {
  try {
    if (run?.isPending) await run.ready();
  } catch (error) {
    run?.end();
    throw error;
  }
  return run?.submit();
}

function realizeNodesSync(nodes: readonly GraphNode[]): void {
  for (const [device, group] of byDevice(nodes)) {
    const executor = executorOf(device.backend);
    const run = executor.prepare(group);
    try {
      submitNow(device, run);
    } catch (error) {
      if (!run?.hasWaiting) throw error;
      submitNow(device, executor.prepareWith(group, []));
    }
  }
}

function submitNow(device: Device, run: PreparedRun | undefined): void {
  if (!run) return;
  finishNow(device, run);
  run.submit();
}

function finishNow(device: Device, run: PreparedRun): void {
  let finished = false;
  try {
    finished = run.finish();
  } finally {
    if (!finished) run.end();
  }
  if (finished) return;
  throw new DeviceError(`dataSync: device ${device} compiles while nobody waits, and has not compiled this`, {
    op: 'dataSync',
    received: device.id,
    fix: 'call await realize(x) first, or read it with await x.data()',
  });
}

function byDevice(nodes: readonly GraphNode[]): Map<Device, GraphNode[]> {
  const groups = new Map<Device, GraphNode[]>();
  for (const node of nodes) {
    if (node.computed) continue;
    const key = [...groups.keys()].find((device) => device.same(node.device)) ?? node.device;
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  return groups;
}

/** What `use` makes of a node whose value exists. @throws what the data that it was computed from is at fault with */
async function withValue<T>(node: GraphNode, use: () => T | Promise<T>): Promise<T> {
  node.retain();
  try {
    await realizeNodes([node]);
    const { verdict } = node;
    if (verdict && isOpen(verdict)) await executorOf(node.device.backend).checks.settle();
    raise(verdict);
    return await use();
  } finally {
    node.release();
  }
}

/** The host's copy of a node's elements, in the dtype's own form. */
const readNode = (node: GraphNode): Promise<HostArray> =>
  withValue(node, async () => {
    if (node.host) return node.host.slice();
    return fromBytes(await node.device.backend.read(node.storage!, 0, bytesOf(node)), node.dtype);
  });

/** A tensor of a device that is open with the value of a node: without a way over the host, where there is one. */
const copyNode = (node: GraphNode, device: Device): Promise<Tensor> =>
  withValue(node, async () => {
    const { shape, dtype } = node;
    const storage = node.storage && copyStorage(node.storage, node, device);
    if (!storage) return fromHost(await readNode(node), shape, dtype, device);
    const copy = new GraphNode('data', [], { shape, dtype }, device, { tracked: false, constant: false });
    copy.fulfil(storage);
    return new Tensor(copy);
  });

/** What a device holds, on the same one or on another of its kind. */
function copyStorage(source: DeviceBuffer, node: GraphNode, target: Device): DeviceBuffer | undefined {
  const bytes = bytesOf(node);
  const { backend } = target;
  const tensor = { shape: node.shape, dtype: node.dtype, device: target };
  if (bytes === 0) return undefined;
  if (backend !== node.device.backend) {
    try {
      return backend.copyFrom?.(node.device.backend, source, bytes);
    } catch (error) {
      throw withPurpose(error, () => elements('to()', tensor));
    }
  }
  const copy = allocateElements('to()', tensor);
  try {
    backend.submit([{ kind: 'copy', source, target: copy, bytes }]);
  } catch (error) {
    backend.free(copy);
    throw error;
  }
  return copy;
}

function readNodeSync(node: GraphNode): HostArray {
  if (node.host) return node.host.slice();
  const { backend } = node.device;
  if (!backend.readSync) {
    throw new DeviceError(`dataSync: device ${node.device} cannot wait for a result`, {
      op: 'dataSync',
      received: node.device.id,
      fix: 'use await tensor.data()',
    });
  }
  realizeNodesSync([node]);
  const { verdict } = node;
  if (verdict && isOpen(verdict)) executorOf(backend).checks.settleSync();
  raise(verdict);
  return fromBytes(backend.readSync(node.storage!, 0, bytesOf(node)), node.dtype);
}

function fromBytes(bytes: Uint8Array, dtype: DType): HostArray {
  // Copied where the bytes are part of a larger or shared buffer, so that the array is the reader's own.
  const whole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
  return new hostArrays[dtype]((whole ? bytes.buffer : new Uint8Array(bytes).buffer) as ArrayBuffer);
}

function toData(host: HostArray, dtype: DType): DataArray {
  if (dtype === 'float16') return widenFloat16(host);
  if (dtype === 'bfloat16') return widenBfloat16(host);
  return host as DataArray;
}

function nest(data: DataArray, shape: Shape, dtype: DType): NestedValues {
  const element = (value: number): NestedValues => (dtype === 'bool' ? value !== 0 : value);
  const build = (axis: number, offset: number, step: number): NestedValues => {
    if (axis === shape.length) return element(data[offset]!);
    const inner = step / shape[axis]!;
    return Array.from({ length: shape[axis]! }, (_, i) => build(axis + 1, offset + i * inner, inner));
  };
  return build(0, 0, data.length);
}

function single(tensor: Tensor): void {
  if (tensor.size === 1) return;
  throw new ShapeError(`item: a tensor of shape ${formatShape(tensor.shape)} has ${tensor.size} elements`, {
    op: 'item',
    received: tensor.shape,
    fix: 'item() is for tensors of one element; use data() or array()',
  });
}

declare module '../tensor/tensor.ts' {
  interface Tensor {
    /**
     * The elements in row-major order, once they are computed: float32 for floats, int32, uint32, uint8; bool as 0 and 1.
     *
     * @throws IndexError when an index that the value was computed with turned out to be out of range.
     */
    data(): Promise<DataArray>;
    /** As `data`, and blocks. @throws DeviceError where the device cannot wait for results, or for what has to be compiled first. */
    dataSync(): DataArray;
    /** The value of a tensor of one element; of a bool 0 or 1. @throws ShapeError */
    item(): Promise<number>;
    /** The elements as nested arrays. */
    array(): Promise<NestedValues>;
    /** Computes the value without reading it, and returns this tensor. */
    realize(): Promise<this>;
    /**
     * The same value on another device, as a new tensor without history: no gradient flows through it.
     *
     * @throws DeviceError for what is no device; BackendUnavailableError, OutOfMemoryError
     */
    to(target: Device | string): Promise<Tensor>;
  }
}

/**
 * A method that needs a value. Inside a trace it throws at once, rather than giving a promise that fails: nobody could be
 * waiting for one there.
 */
function reading<A extends unknown[], R>(
  what: string,
  read: (tensor: Tensor, ...args: A) => Promise<R>,
): (this: Tensor, ...args: A) => Promise<R> {
  return function method(...args) {
    context.trace?.refuse(what);
    return this.disposed ? refuseDisposed(this, what) : read(this, ...args);
  };
}

/** As a rejection, like every other reason for which a value cannot be read. */
async function refuseDisposed(tensor: Tensor, what: string): Promise<never> {
  return tensor.refuseDisposed(what);
}

async function readData(tensor: Tensor): Promise<DataArray> {
  const { node } = tensor; // the handle may be disposed while the read is under way
  return toData(await readNode(node), node.dtype);
}

Tensor.prototype.data = reading('data()', readData);

Tensor.prototype.dataSync = function dataSync(this: Tensor) {
  context.trace?.refuse('dataSync()');
  requireTensor('dataSync()', this);
  return toData(readNodeSync(this.node), this.dtype);
};

Tensor.prototype.item = reading('item()', async (tensor) => {
  single(tensor);
  return (await readData(tensor))[0]!;
});

Tensor.prototype.array = reading('array()', async (tensor) => {
  const { shape, dtype } = tensor;
  return nest(await readData(tensor), shape, dtype);
});

Tensor.prototype.realize = reading('realize()', async (tensor) => {
  await realize(tensor);
  return tensor;
}) as Tensor['realize'];

Tensor.prototype.to = reading('to()', async (tensor, target: Device | string) => {
  const { node } = tensor;
  node.retain();
  try {
    const device = typeof target === 'string' ? await openDevice(target) : target;
    if (!(device instanceof Device)) {
      throw new DeviceError('to: neither a device nor the id of one', {
        op: 'to',
        received: target,
        fix: 'pass a device, or an id that devices() lists',
      });
    }
    await device.open();
    return await copyNode(node, device);
  } finally {
    node.release();
  }
});

/** Waits until everything submitted to a device has run. @throws what the device failed with. */
export async function synchronize(device: Device): Promise<void> {
  const backend = await device.open();
  await backend.submit([]).done;
}
