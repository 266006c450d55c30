import { ArgumentError, DisposedError, TraceError } from '../backend/index.ts';
import { printPlan } from '../compiler/plan.ts';
import { context, currentDevice } from '../tensor/context.ts';
import { describe, isPromise } from '../tensor/describe.ts';
import { refuseOptions } from '../tensor/options.ts';
import { type Tensor, Variable } from '../tensor/tensor.ts';
import { mapTree, treeTensors } from '../tensor/tree.ts';
import { CompiledTrace } from './compiled-trace.ts';
import { settings } from './settings.ts';
import { TraceCache } from './trace-cache.ts';

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
  /** Gives back the memory of all plans. Later calls throw DisposedError, as do those that have not been submitted. */
  dispose(): void;
}

/**
 * Compiles a function of tensors to a plan that is replayed: no graph is built and nothing is scheduled after the first
 * call with arguments of a signature (shapes, dtypes and devices of tensors; plain values by their value).
 *
 * `fn` is synchronous and only builds a graph: it returns a tree of tensors and may assign variables, which become
 * effects of the plan. Tensors it closes over are constants; variables are read anew at every call. The returned
 * function resolves when the work is submitted. Calls take effect in the order in which they were made, awaited or not.
 * Gradients that `fn` leaves in `.grad` are gone when it has been traced.
 *
 * @throws TraceError, as a rejection, when `fn` is async or reads a value; at once when called in a traced function.
 * @throws ArgumentError, as a rejection, for an argument that cannot be part of a signature.
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
export function jit<A extends unknown[], R>(fn: (...args: A) => R): JitFunction<A, R>;
export function jit<A extends unknown[], R>(
  fn: (...args: A) => R,
  ...others: readonly unknown[]
): JitFunction<A, R> {
  refuseOptions(
    'jit',
    others,
    'write jit(fn): a plain argument that varies is a plan for each of its values',
  );
  if (typeof fn !== 'function') {
    throw new ArgumentError('jit: expected a function', {
      op: 'jit',
      received: fn,
      fix: 'write jit((x) => x.mul(2))',
    });
  }
  const cache = new TraceCache();
  const stats = { calls: 0, traces: 0, steps: 0 };
  let latest: CompiledTrace | undefined;
  let disposed = false;
  let queue: Promise<void> = Promise.resolve();

  const trace = (args: A): Promise<CompiledTrace> => {
    stats.traces++;
    return CompiledTrace.make(fn as (...args: never[]) => unknown, args);
  };
  const run = async (args: A): Promise<R> => {
    requireLive(disposed);
    const key = signature(args);
    // Taken now: the caller may dispose of the handles before the plan is compiled.
    const nodes = treeTensors(args).flatMap((tensor) => (tensor instanceof Variable ? [] : [tensor.node]));
    for (const node of nodes) node.retain();
    stats.calls++;
    const turn = queue;
    let leave = (): void => {};
    queue = new Promise((resolve) => (leave = resolve));
    try {
      return await cache.use(
        key,
        () => trace(args),
        async (compiled) => {
          await turn;
          requireLive(disposed);
          latest = compiled;
          stats.steps = compiled.plan.steps.length;
          return (await compiled.run(nodes)) as R;
        },
      );
    } finally {
      void turn.then(leave);
      for (const node of nodes) node.release();
    }
  };
  const call = (...args: A): Promise<R> => {
    if (!context.trace) return run(args);
    throw new TraceError('jit inside a function that jit is tracing', {
      op: 'jit',
      fix: 'call the plain function there; it becomes part of the outer plan',
    });
  };
  forgotten.register(call, cache);
  return Object.defineProperties(call, {
    stats: { get: (): JitStatistics => ({ ...stats }) },
    describe: {
      value: (level = 1): string => (latest ? printPlan(latest.plan, level) : 'nothing has run yet'),
    },
    dispose: {
      value: (): void => {
        disposed = true;
        cache.clear();
      },
    },
  }) as JitFunction<A, R>;
}

/** Gives back the plans of a function that was garbage collected without `dispose()`. */
const forgotten = new FinalizationRegistry<TraceCache>((cache) => cache.clear());

function requireLive(disposed: boolean): void {
  if (disposed)
    throw new DisposedError('this jitted function has been disposed', {
      op: 'jit',
      fix: 'make a new one with jit(fn)',
    });
}

const variableIds = new WeakMap<Variable, number>();
let nextVariableId = 0;

function variableId(variable: Variable): number {
  const id = variableIds.get(variable) ?? nextVariableId++;
  variableIds.set(variable, id);
  return id;
}

/** Text that is equal for calls that one plan can serve. */
function signature(args: readonly unknown[]): string {
  const tensorText = (tensor: Tensor): string => {
    if (tensor.disposed) {
      const position = args.findIndex((arg) => treeTensors(arg).includes(tensor));
      tensor.refuseDisposed('jit', `argument ${position + 1}`);
    }
    return tensor instanceof Variable
      ? `variable ${variableId(tensor)}`
      : `tensor ${tensor.dtype}[${tensor.shape.join(',')}]@${tensor.device.key}`;
  };
  const plain = (leaf: unknown): string => {
    if (leaf === null || ['undefined', 'string', 'boolean', 'number'].includes(typeof leaf)) {
      return `${typeof leaf} ${Object.is(leaf, -0) ? '-0' : String(leaf)}`;
    }
    throw new ArgumentError(`jit: an argument is ${describe(leaf)}, which cannot be part of a signature`, {
      op: 'jit',
      received: leaf,
      fix: isPromise(leaf)
        ? 'await it first'
        : 'pass tensors, numbers, strings, booleans, and arrays and plain objects of those; close over anything else',
    });
  };
  const { fusion, verify } = settings();
  return JSON.stringify([
    mapTree(args, tensorText, plain),
    context.gradEnabled,
    fusion,
    verify,
    currentDevice()?.key,
  ]);
}
