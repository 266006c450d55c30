/** Running a function once on stand-ins, to learn what it computes and which variables it changes. */
import { TraceError } from '../backend/index.ts';
import { context, type TraceObserver, type TraceRefusal } from '../tensor/context.ts';
import { GraphNode, nextNodeId } from '../tensor/node.ts';
import { Tensor, Variable } from '../tensor/tensor.ts';
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
  /** Nodes from this id on were made by the trace. */
  readonly since: number;
  /** Lets go of the traced graph. */
  release(): void;
}

const noValue: TraceRefusal = {
  because: 'there is no value yet',
  fix: 'return the tensor from the function and read it outside',
};

class Observer implements TraceObserver {
  readonly variables = new Map<Variable, GraphNode>();
  readonly effects = new Map<Variable, GraphNode>();
  readonly since: number = nextNodeId();
  /** What the function asked for and could not have. */
  refusal: TraceError | undefined;
  readonly #grads = new Map<Tensor, Tensor | undefined>();
  readonly #newGrads = new Set<Tensor>();
  #retained: GraphNode[] = [];

  read(variable: Variable): GraphNode {
    return this.effects.get(variable) ?? this.#standIn(variable);
  }

  retain(node: GraphNode): void {
    node.retain();
    this.#retained.push(node);
  }

  release(): void {
    for (const node of this.#retained) node.release();
    this.#retained = [];
  }

  #standIn(variable: Variable): GraphNode {
    let node = this.variables.get(variable);
    if (!node) {
      const { shape, dtype, device } = variable.stored;
      const tracked = variable.requiresGrad;
      node = new GraphNode('data', [], { shape, dtype }, device, { tracked, constant: !tracked });
      node.leaf = new WeakRef(variable);
      this.retain(node);
      this.variables.set(variable, node);
    }
    return node;
  }

  assign(variable: Variable, value: GraphNode): void {
    this.#standIn(variable);
    const { requiresGrad } = variable;
    const leaf = new GraphNode('detach', [value], {}, value.device, {
      tracked: requiresGrad,
      constant: !requiresGrad,
    });
    leaf.leaf = new WeakRef(variable);
    this.retain(leaf);
    this.effects.set(variable, leaf);
  }

  setGrad(tensor: Tensor, value: Tensor | undefined): void {
    if (!this.#grads.has(tensor)) this.#grads.set(tensor, tensor.grad);
    if (value && value.node.id >= this.since) this.#newGrads.add(value);
  }

  refuse(what: string, { because, fix }: TraceRefusal = noValue): never {
    // Remembered, because an async caller turns what is thrown here into a promise that nobody may be waiting for.
    this.refusal ??= new TraceError(`${what} inside a function that jit is tracing: ${because}`, {
      op: what,
      fix,
    });
    throw this.refusal;
  }

  /** What the traced function left in `.grad` means nothing outside of it. */
  restoreGrads(): void {
    for (const [tensor, grad] of this.#grads) tensor.grad = grad;
    for (const grad of this.#newGrads) grad.dispose();
  }
}

/** Calls `fn` with stand-ins for the tensors of `args`. */
export function traceFunction(fn: (...args: never[]) => unknown, args: readonly unknown[]): Trace {
  counters.traces++;
  const observer = new Observer();
  const outerScope = context.scope;
  const made = new Set<Tensor>();
  context.scope = made;
  context.trace = observer;
  try {
    const inputs: GraphNode[] = [];
    const standIns = mapTree(args, (tensor) => {
      if (tensor instanceof Variable) return tensor; // a variable stands for itself
      const { shape, dtype, device } = tensor;
      const node = new GraphNode('data', [], { shape, dtype }, device, { tracked: false, constant: false });
      observer.retain(node);
      inputs.push(node);
      return new Tensor(node);
    }) as never[];
    const result = fn(...standIns);
    if (observer.refusal) throw observer.refusal;
    if (typeof (result as { then?: unknown } | undefined)?.then === 'function') {
      (result as Promise<unknown>).then(undefined, () => {}); // the caller is told what follows instead
      throw new TraceError('jit: the function is async', {
        op: 'jit',
        fix: 'a traced function only builds a graph; make it synchronous and await the call of the traced one',
      });
    }
    const outputs = treeTensors(result).map((tensor) => tensor.node);
    for (const node of outputs) observer.retain(node);
    const { variables, effects, since } = observer;
    return { result, outputs, inputs, variables, effects, since, release: () => observer.release() };
  } catch (error) {
    observer.release();
    throw error;
  } finally {
    observer.restoreGrads();
    context.trace = undefined;
    context.scope = outerScope;
    for (const tensor of [...made]) tensor.dispose();
  }
}
