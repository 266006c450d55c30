import { ArgumentError, type DeviceMemory } from '../backend/index.ts';
import { context } from '../tensor/context.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { treeTensors } from '../tensor/tree.ts';
import { openDevices } from './registry.ts';

/**
 * Runs `fn` and disposes the tensors that were made in it, but for those that it returns (a tensor, or arrays and plain
 * objects of tensors), variables, and gradients in `.grad`.
 *
 * @throws ArgumentError for an async function: other code would run inside of the scope while it waits. Use `using`
 * declarations there.
 */
export function scope<R>(fn: () => R): R {
  const outer = context.scope;
  const made = new Set<Tensor>();
  context.scope = made;
  let result: R;
  try {
    result = fn();
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      throw new ArgumentError('scope: the function is async', {
        op: 'scope',
        fix: 'await first and compute in the scope, or declare tensors with `using`',
      });
    }
    for (const tensor of treeTensors(result)) {
      if (!made.delete(tensor)) continue;
      outer?.add(tensor);
    }
  } finally {
    context.scope = outer;
    for (const tensor of [...made]) tensor.dispose();
  }
  return result;
}

/** Memory of every open device, by its id: live bytes and buffers, bytes reserved, allocations from the system. */
export function memory(): Record<string, DeviceMemory> {
  const entries = openDevices().map((device) => [device.id, device.memory()] as const);
  return Object.fromEntries(entries);
}
