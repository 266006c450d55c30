import { DeviceError } from '../src/backend/index.ts';
import {
  apply,
  constant,
  context,
  Device,
  fromHost,
  GraphNode,
  replaceDefaultDevice,
  type Shape,
  sizeOf,
  Tensor,
  type Variable,
  variable,
} from '../src/tensor/index.ts';

/** A default device on which graphs can be built and nothing runs. */
export function useGraphOnlyDevice(): void {
  replaceDefaultDevice(
    new Device({ choose: () => Promise.reject(new DeviceError('this device only lets graphs be built')) }),
  );
}

export const f32 = (shape: Shape): Tensor => fromHost(new Float32Array(sizeOf(shape)), shape, 'float32');
export const i32 = (shape: Shape): Tensor => fromHost(new Int32Array(sizeOf(shape)), shape, 'int32');
export const parameter = (shape: Shape): Variable => variable(f32(shape));

/** A tensor that is no variable and wants a gradient. */
export function leaf(shape: Shape): Tensor {
  const node = new GraphNode('data', [], { shape, dtype: 'float32' }, f32(shape).device, {
    tracked: true,
    constant: false,
  });
  node.host = new Float32Array(sizeOf(shape));
  const tensor = new Tensor(node);
  node.leaf = new WeakRef(tensor);
  return tensor;
}

export const exp = (x: Tensor): Tensor => apply('exp', [x], {});
export const mul = (a: Tensor, b: Tensor): Tensor => apply('mul', [a, b], {});
export const add = (a: Tensor, b: Tensor): Tensor => apply('add', [a, b], {});
export const one = (): Tensor => constant(1, 'float32');
export const sum = (x: Tensor): Tensor =>
  apply('reshape', [apply('reduceSum', [x], { axes: x.shape.map((_, axis) => axis) })], { shape: [] });

/** Every node under some tensors, each once. */
export function nodesUnder(...tensors: Tensor[]): GraphNode[] {
  const seen = new Set<GraphNode>();
  const pending = tensors.map((x) => x.node);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    pending.push(...node.inputs);
  }
  return [...seen];
}

export const opsUnder = (...tensors: Tensor[]): string[] => nodesUnder(...tensors).map((node) => node.op);

/** Runs `fn` in a scope, whose tensors are disposed at its end. */
export function inScope<T>(fn: () => T): T {
  const outer = context.scope;
  const own = new Set<Tensor>();
  context.scope = own;
  try {
    return fn();
  } finally {
    context.scope = outer;
    for (const x of [...own]) x.dispose();
  }
}
