import { ArgumentError, type DeviceBuffer, DisposedError } from '../backend/index.ts';
import { captureGraph } from '../compiler/capture.ts';
import { type Plan, printPlan } from '../compiler/plan.ts';
import { context } from '../tensor/context.ts';
import type { Device } from '../tensor/device.ts';
import type { DataCheck } from '../tensor/node.ts';
import { GraphNode } from '../tensor/node.ts';
import { Tensor, Variable } from '../tensor/tensor.ts';
import { mapTree, treeTensors } from '../tensor/tree.ts';
import { BoundPlan } from './bound-plan.ts';
import { type Executor, executorOf } from './executor.ts';
import { realizeNodes } from './realize.ts';
import { settings } from './settings.ts';
import { type Trace, traceFunction } from './trace.ts';

/** What a jitted function has done so far. */
export interface JitStatistics {
  readonly calls: number;
  /** Traces: one for each signature of arguments. More than expected means that a shape, dtype or plain argument varies. */
  readonly traces: number;
  /** Kernels, routines and copies of the plan that ran last. */
  readonly steps: number;
}

export interface JitFunction<A extends unknown[], R> {
  (...args: A): Promise<R>;
  readonly stats: JitStatistics;
  /** The plan that ran last, as text; `level` as in `configure({ debug })`. */
  describe(level?: number): string;
  /** Gives back the memory of all plans. */
  dispose(): void;
}

/**
 * Compiles a function of tensors to a plan that is replayed: no graph is built and nothing is scheduled after the first
 * call with arguments of a signature (shapes, dtypes and devices of tensors; plain values by their value).
 *
 * `fn` is synchronous and only builds a graph: it returns a tree of tensors and may assign variables, which become
 * effects of the plan. Tensors it closes over are constants; variables are read anew at every call. The returned
 * function resolves when the work is submitted.
 *
 * @example
 * const step = jit((x: Tensor, y: Tensor) => {
 *   const loss = crossEntropy(model.call(x), y);
 *   loss.backward();
 *   optimizer.step();
 *   return loss;
 * });
 * const loss = await step(images, labels);
 */
export function jit<A extends unknown[], R>(fn: (...args: A) => R): JitFunction<A, R> {
  if (typeof fn !== 'function') {
    throw new ArgumentError('jit: expected a function', { op: 'jit', received: fn, fix: 'write jit((x) => x.mul(2))' });
  }
  const entries = new Map<string, Promise<CompiledTrace>>();
  const variableIds = new Map<Variable, number>();
  let calls = 0;
  let latest: CompiledTrace | undefined;
  let disposed = false;

  const call = async (...args: A): Promise<R> => {
    if (disposed) throw new DisposedError('this jitted function has been disposed', { op: 'jit', fix: 'make a new one with jit(fn)' });
    // Inside another trace the function is simply part of what is traced.
    if (context.trace) return fn(...args);
    calls++;
    const key = signature(args, variableIds);
    let entry = entries.get(key);
    if (!entry) {
      entry = CompiledTrace.make(fn as (...args: never[]) => unknown, args);
      entries.set(key, entry);
      entry.catch(() => entries.delete(key));
    }
    latest = await entry;
    return (await latest.run(args)) as R;
  };
  return Object.defineProperties(call, {
    stats: { get: (): JitStatistics => ({ calls, traces: entries.size, steps: latest?.plan.steps.length ?? 0 }) },
    describe: { value: (level = 1): string => (latest ? printPlan(latest.plan, level) : 'nothing has run yet') },
    dispose: {
      value: (): void => {
        disposed = true;
        for (const entry of entries.values()) void entry.then((made) => made.dispose(), () => {});
        entries.clear();
      },
    },
  }) as JitFunction<A, R>;
}

/** Text that is equal for calls that one plan can serve. */
function signature(args: readonly unknown[], variableIds: Map<Variable, number>): string {
  const tensorText = (tensor: Tensor): string => {
    if (tensor instanceof Variable) {
      if (!variableIds.has(tensor)) variableIds.set(tensor, variableIds.size);
      return `variable ${variableIds.get(tensor)}`;
    }
    return `${tensor.dtype}[${tensor.shape.join(',')}]@${tensor.device.key}`;
  };
  const plain = (leaf: unknown): unknown => {
    if (leaf === null || leaf === undefined || typeof leaf === 'string' || typeof leaf === 'boolean') return leaf ?? `${leaf}`;
    if (typeof leaf === 'number') return `number ${Object.is(leaf, -0) ? '-0' : leaf}`;
    throw new ArgumentError(`jit: an argument is a ${typeof leaf}, which cannot be part of a signature`, {
      op: 'jit',
      received: leaf,
      fix: 'pass tensors, numbers, strings, booleans, and arrays and plain objects of those; close over anything else',
    });
  };
  const { fusion, verify } = settings();
  return JSON.stringify([mapTree(args, tensorText, plain), context.gradEnabled, fusion, verify]);
}

/** One traced and compiled signature of a function. */
class CompiledTrace {
  readonly plan: Plan;
  readonly #executor: Executor;
  readonly #device: Device;
  readonly #bound: BoundPlan;
  readonly #sources: readonly Source[];
  readonly #results: readonly GraphNode[];
  readonly #tree: unknown;
  readonly #effects: readonly Variable[];
  readonly #checks: readonly DataCheck[];
  readonly #constants: readonly GraphNode[];

  static async make(fn: (...args: never[]) => unknown, args: readonly unknown[]): Promise<CompiledTrace> {
    const trace = traceFunction(fn, args);
    const all = [...trace.outputs, ...trace.effects.values()];
    const device = deviceOf(all, trace);
    await device.open();
    const made = new CompiledTrace(trace, device);
    try {
      await made.#bound.ready();
    } catch (error) {
      made.dispose();
      throw error;
    }
    return made;
  }

  private constructor(trace: Trace, device: Device) {
    const standIns = new Map<GraphNode, Source>();
    for (const [argument, node] of trace.inputs.entries()) standIns.set(node, { kind: 'argument', argument });
    for (const [variable, node] of trace.variables) standIns.set(node, { kind: 'variable', variable });
    const targets = [...trace.outputs, ...trace.effects.values()];
    const graph = captureGraph(targets, {
      isLeaf: (node) => standIns.has(node) || node.computed,
      liftConstants: false,
      keep: false,
    });
    this.#constants = graph.leaves.filter((leaf) => !standIns.has(leaf));
    for (const node of this.#constants) node.retain();
    this.#sources = graph.leaves.map((node) => standIns.get(node) ?? { kind: 'constant', node });
    this.#effects = [...trace.effects.keys()];
    const donations = new Map<number, number>();
    for (const [i, variable] of this.#effects.entries()) {
      const leaf = graph.leaves.indexOf(trace.variables.get(variable)!);
      if (leaf >= 0) donations.set(trace.outputs.length + i, leaf);
    }
    this.#device = device;
    this.#executor = executorOf(device.backend);
    const { fusion, verify } = settings();
    this.plan = this.#executor.build(graph, { fusion, verify, donations });
    this.#bound = new BoundPlan(this.plan, device.backend);
    this.#results = trace.outputs;
    this.#tree = trace.result;
    this.#checks = graph.checks;
  }

  async run(args: readonly unknown[]): Promise<unknown> {
    const tensors = treeTensors(args).filter((tensor) => !(tensor instanceof Variable));
    const nodes = this.#sources.map((source) => {
      if (source.kind === 'argument') return tensors[source.argument]!.node;
      return source.kind === 'variable' ? source.variable.stored : source.node;
    });
    // Effects on variables that the plan does not read need the old value all the same, if it is to be overwritten.
    const waiting = [...nodes, ...this.#effects.map((variable) => variable.stored)].filter((node) => !node.computed);
    if (waiting.length > 0) {
      await realizeNodes(waiting);
      return this.run(args); // another call may have assigned the variables meanwhile
    }
    return this.#submit(nodes);
  }

  #submit(nodes: readonly GraphNode[]): unknown {
    const { backend } = this.#device;
    const inputs = nodes.map((node) => this.#executor.bufferOf(node));
    const outputs = this.plan.outputs.map(({ bytes, inPlace }, i): DeviceBuffer => {
      if (inPlace === undefined) return backend.allocate(bytes);
      const variable = this.#effects[i - this.#results.length]!;
      if (variable.stored.references === 1) return inputs[inPlace]!;
      // Somebody else still needs the old value: the new one gets a copy to overwrite.
      const fresh = backend.allocate(bytes);
      backend.submit([{ kind: 'copy', source: inputs[inPlace]!, target: fresh, bytes }]);
      inputs[inPlace] = fresh;
      return fresh;
    });
    this.#bound.run(inputs, outputs, []).done.catch(() => {}); // a failed device fails every later read
    return this.#deliver(nodes, inputs, outputs);
  }

  #deliver(nodes: readonly GraphNode[], inputs: readonly DeviceBuffer[], outputs: readonly DeviceBuffer[]): unknown {
    const first = this.#results.length + this.#effects.length;
    const flags = this.#checks.map((check, i) => ({ flag: outputs[first + i]!, error: check.error }));
    const verdict = this.#executor.verdictFor(nodes, flags);
    const leaf = (like: GraphNode, storage: DeviceBuffer, flagged: { tracked: boolean; constant: boolean }): GraphNode => {
      const node = new GraphNode('data', [], { shape: like.shape, dtype: like.dtype }, this.#device, flagged);
      node.fulfil(storage);
      node.verdict = verdict;
      return node;
    };
    for (const [i, variable] of this.#effects.entries()) {
      const buffer = outputs[this.#results.length + i]!;
      const { stored } = variable;
      if (stored.storage === buffer) {
        stored.verdict = verdict;
        continue;
      }
      variable.store(leaf(stored, buffer, { tracked: variable.requiresGrad, constant: !variable.requiresGrad }));
    }
    let next = 0;
    return mapTree(this.#tree, () => {
      const like = this.#results[next]!;
      return new Tensor(leaf(like, outputs[next++]!, { tracked: false, constant: false }));
    });
  }

  dispose(): void {
    this.#bound.release();
    for (const node of this.#constants) node.release();
  }
}

type Source =
  | { readonly kind: 'argument'; readonly argument: number }
  | { readonly kind: 'variable'; readonly variable: Variable }
  | { readonly kind: 'constant'; readonly node: GraphNode };

function deviceOf(targets: readonly GraphNode[], trace: Trace): Device {
  const node = targets[0] ?? trace.inputs[0];
  if (node) return node.device;
  throw new ArgumentError('jit: the function returns no tensor and assigns no variable', {
    op: 'jit',
    fix: 'return what it computes',
  });
}
