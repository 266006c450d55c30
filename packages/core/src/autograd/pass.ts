import { context } from '../tensor/context.ts';
import type { GraphNode } from '../tensor/node.ts';
import { Tensor } from '../tensor/tensor.ts';
import { withGradients } from './mode.ts';

/** A backward pass that is being built. */
interface Pass {
  /** The scope of the caller, in which code of the user runs. */
  readonly scope: Set<Tensor> | undefined;
  readonly enclosing: Pass | undefined;
  barriers: number;
}

let current: Pass | undefined;

/**
 * Runs `build` in a scope of its own, which takes the many handles that the rules make, and gives new handles of the
 * result's nodes to the caller's scope. With `differentiable` false the gradients that it makes have none themselves.
 */
export function runPass<K>(differentiable: boolean, build: () => ReadonlyMap<K, Tensor>): Map<K, Tensor> {
  const scope = context.scope;
  const temporary = new Set<Tensor>();
  const enclosing = current;
  current = { scope, enclosing, barriers: enclosing?.barriers ?? 0 };
  context.scope = temporary;
  try {
    const built = withGradients(differentiable, build);
    context.scope = scope;
    return new Map([...built].map(([key, value]) => [key, new Tensor(value.node)]));
  } finally {
    context.scope = scope;
    if (enclosing) enclosing.barriers = current.barriers;
    current = enclosing;
    for (const handle of [...temporary]) handle.dispose();
  }
}

/** Runs code of the user inside a pass: the tensors that it makes are its own, as anywhere else. */
export function runUserCode<T>(fn: () => T): T {
  const scope = context.scope;
  const pass = current;
  if (pass) context.scope = pass.scope;
  try {
    return fn();
  } finally {
    context.scope = scope;
  }
}

/**
 * A number for a barrier, unique in its pass. It starts over with the next, so that equal steps make equal graphs and find
 * their plan again.
 */
export const nextBarrier = (): number => (current ? current.barriers++ : 0);

/**
 * Lets computed values under `outputs` go that were kept for this pass. Nodes older than `since` and leaves stay as they
 * are. Where the mark is gone already, what is below was let go with it.
 */
export function releaseKept(outputs: readonly GraphNode[], since = 0): void {
  const pending = [...outputs];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (!node.keep || node.leaf || node.id < since) continue;
    node.keep = false;
    pending.push(...node.inputs);
  }
}
