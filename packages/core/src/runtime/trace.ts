/** Running a function once on stand-ins, to learn what it computes and which variables it changes. */
import { TraceError } from '../backend/index.ts';
import { context, type TraceObserver } from '../tensor/context.ts';
import { GraphNode } from '../tensor/node.ts';
import { Tensor, type Variable } from '../tensor/tensor.ts';
import { mapTree, treeTensors } from '../tensor/tree.ts';
import { counters } from './statistics.ts';

export interface Trace {
  /** What the function returned; its tensors are those of `outputs`, in order. */
  readonly result: unknown;
  readonly outputs: readonly GraphNode[];
  /** Stand-ins of the arguments. */
  readonly inputs: readonly GraphNode[];
  /** Variables that were read or assigned, with their stand-ins. */
  readonly variables: ReadonlyMap<Variable, GraphNode>;
  /** The new values of variables. */
  readonly effects: ReadonlyMap<Variable, GraphNode>;
}

class Observer implements TraceObserver {
  readonly variables = new Map<Variable, GraphNode>();
  readonly effects = new Map<Variable, GraphNode>();
  readonly #grads = new Map<Tensor, Tensor | undefined>();

  read(variable: Variable): GraphNode {
    return this.effects.get(variable) ?? this.#standIn(variable);
  }

  #standIn(variable: Variable): GraphNode {
    let node = this.variables.get(variable);
    if (!node) {
      const { shape, dtype, device } = variable.stored;
      const tracked = variable.requiresGrad;
      node = new GraphNode('data', [], { shape, dtype }, device, { tracked, constant: !tracked });
      node.leaf = new WeakRef(variable);
      node.retain();
      this.variables.set(variable, node);
    }
    return node;
  }

  assign(variable: Variable, value: GraphNode): void {
    this.#standIn(variable);
    value.retain();
    const { requiresGrad } = variable;
    const leaf = new GraphNode('detach', [value], {}, value.device, { tracked: requiresGrad, constant: !requiresGrad });
    leaf.leaf = new WeakRef(variable);
    leaf.retain();
    this.effects.set(variable, leaf);
  }

  setGrad(tensor: Tensor): void {
    if (!this.#grads.has(tensor)) this.#grads.set(tensor, tensor.grad);
  }

  refuse(what: string): never {
    throw new TraceError(`${what} inside a function that jit is tracing: there is no value yet`, {
      op: what,
      fix: 'return the tensor from the function and read it outside',
    });
  }

  restoreGrads(): void {
    for (const [tensor, grad] of this.#grads) tensor.grad = grad;
  }
}

/** Calls `fn` with stand-ins for the tensors of `args`. */
export function traceFunction(fn: (...args: never[]) => unknown, args: readonly unknown[]): Trace {
  if (context.trace) {
    throw new TraceError('jit inside a function that jit is tracing', { fix: 'call the plain function there; it becomes part of the outer plan' });
  }
  counters.traces++;
  const observer = new Observer();
  const outerScope = context.scope;
  const made = new Set<Tensor>();
  context.scope = made;
  context.trace = observer;
  try {
    const inputs: GraphNode[] = [];
    const standIns = mapTree(args, (tensor) => {
      if ('assign' in tensor) return tensor; // a variable stands for itself
      const { shape, dtype, device } = tensor;
      const node = new GraphNode('data', [], { shape, dtype }, device, { tracked: false, constant: false });
      inputs.push(node);
      return new Tensor(node);
    }) as never[];
    for (const node of inputs) node.retain();
    const result = fn(...standIns);
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      throw new TraceError('jit: the function is async', { fix: 'a traced function only builds a graph; make it synchronous and await the call of the traced one' });
    }
    const outputs = treeTensors(result).map((tensor) => tensor.node);
    for (const node of outputs) node.retain();
    return { result, outputs, inputs, variables: observer.variables, effects: observer.effects };
  } finally {
    observer.restoreGrads();
    context.trace = undefined;
    context.scope = outerScope;
    for (const tensor of made) tensor.dispose();
  }
}
