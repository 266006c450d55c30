/** Runs pieces of the lazy graph: finds or builds their plan, binds it to buffers, submits it. */
import { type Backend, type DeviceBuffer, dtypeInfo, type Fence, InternalError } from '../backend/index.ts';
import { type CapturedGraph, captureGraph } from '../compiler/capture.ts';
import { buildPlan, type Plan, printPlan } from '../compiler/plan.ts';
import { sourcesOf } from '../compiler/reach.ts';
import { context } from '../tensor/context.ts';
import type { DataCheck, GraphNode } from '../tensor/node.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Variable } from '../tensor/tensor.ts';
import { doubtsOf, joinVerdicts, type Verdict } from '../tensor/verdict.ts';
import { allocate, allocateAll, elements, type Purpose, withPurpose } from './allocation.ts';
import { BoundPlan } from './bound-plan.ts';
import { Checks } from './checks.ts';
import { settings } from './settings.ts';
import { counters } from './statistics.ts';

/** Plans kept for graphs that come again. */
const mostPlans = 256;

/** Characters that the descriptions of those graphs may have together: some graphs are very long. */
const mostText = 2 ** 25;

const bytesOf = (node: GraphNode): number => sizeOf(node.shape) * dtypeInfo[node.dtype].bytes;

const passesOn: ReadonlySet<string> = new Set(['detach', 'alias', 'custom']);

/** Memory is for whoever computes a value, and not for whoever hands it on, as a variable does with what it starts from. */
function purposeOf(node: GraphNode): Purpose {
  let maker = node;
  while (passesOn.has(maker.op) && maker.inputs[0]) maker = maker.inputs[0];
  return elements(maker.op, node);
}

/** What so much memory is for: a device may find while it compiles that there is no such buffer. */
function purposeIn({ nodes, outputs }: CapturedGraph, bytes: unknown): Purpose {
  const node = nodes.find((each) => bytesOf(each) === bytes);
  const { op, device } = outputs[0]!;
  return node ? purposeOf(node) : { op, what: 'an intermediate value', device };
}

/** What has to be known of a graph's checks when their flags have been written, without the graph. */
export interface OpenChecks {
  readonly errors: readonly DataCheck['error'][];
  /** For each checked node, the position of its check. */
  readonly positions: readonly number[];
}

export const openChecks = ({ checks, checked }: CapturedGraph): OpenChecks => ({
  errors: checks.map(({ error }) => error),
  positions: [...checked.values()],
});

export class Executor {
  readonly backend: Backend;
  readonly checks: Checks;
  readonly #plans = new Map<string, Plan>();
  #text = 0;

  constructor(backend: Backend) {
    this.backend = backend;
    this.checks = new Checks(backend);
  }

  /** The buffer of a node whose value exists; data on the host is uploaded. */
  bufferOf(node: GraphNode): DeviceBuffer {
    if (node.storage) return node.storage;
    const { host } = node;
    if (!host) throw new InternalError(`node ${node.id} (${node.op}) has no value`);
    const buffer = allocate(this.backend, host.byteLength, () => elements('tensor', node));
    try {
      this.backend.write(buffer, new Uint8Array(host.buffer, host.byteOffset, host.byteLength));
    } catch (error) {
      this.backend.free(buffer);
      throw error;
    }
    node.fulfil(buffer);
    return buffer;
  }

  /**
   * What has to be computed so that `targets` and all waiting variables have their values; undefined: nothing. A variable
   * whose value cannot be computed waits no more: whoever reads it is told why.
   */
  prepare(targets: readonly GraphNode[]): PreparedRun | undefined {
    const waiting = [...context.pending].filter(
      ({ stored }) => stored.device.isOpen && stored.device.backend === this.backend,
    );
    if (waiting.length === 0) return this.prepareWith(targets, waiting);
    try {
      return this.prepareWith(targets, waiting);
    } catch {
      const alone = this.prepareWith(targets, []); // throws where the targets are to blame
      const sound = waiting.filter((variable) => this.#isSound(variable));
      try {
        const all = this.prepareWith(targets, sound);
        alone?.end();
        return all;
      } catch {
        return alone;
      }
    }
  }

  #isSound(variable: Variable): boolean {
    try {
      this.prepareWith([variable.stored], [])?.end();
      return true;
    } catch {
      context.pending.delete(variable);
      return false;
    }
  }

  /** As `prepare`, with none but these variables. */
  prepareWith(targets: readonly GraphNode[], waiting: readonly Variable[]): PreparedRun | undefined {
    const wanted = new Set(targets.filter((node) => !node.computed));
    for (const { stored } of waiting) if (!stored.computed) wanted.add(stored);
    if (wanted.size === 0) {
      for (const variable of waiting) context.pending.delete(variable);
      return undefined;
    }
    const graph = captureGraph([...wanted], {
      isLeaf: (node) => node.computed,
      liftConstants: true,
      keep: true,
    });
    return new PreparedRun(this, graph, this.#planFor(graph), waiting);
  }

  #planFor(graph: CapturedGraph): Plan {
    const { fusion, verify } = settings();
    const key = `${fusion ? 'fused' : 'unfused'}\n${graph.key}`;
    let plan = this.#plans.get(key);
    if (plan) this.#forget(key);
    plan ??= this.build(graph, { fusion, verify, donations: new Map() });
    this.#plans.set(key, plan); // last in the map: most recently used
    this.#text += key.length;
    while (this.#plans.size > mostPlans || (this.#text > mostText && this.#plans.size > 1)) {
      this.#forget(this.#plans.keys().next().value!);
    }
    return plan;
  }

  #forget(key: string): void {
    this.#plans.delete(key);
    this.#text -= key.length;
  }

  build(
    graph: CapturedGraph,
    options: { fusion: boolean; verify: boolean; donations: ReadonlyMap<number, number> },
  ): Plan {
    counters.plansBuilt++;
    let plan: Plan;
    try {
      plan = buildPlan(graph, { backend: this.backend, ...options });
    } catch (error) {
      throw withPurpose(error, (bytes) => purposeIn(graph, bytes));
    }
    const { debug, log } = settings();
    if (debug >= 2) log(`graph of ${graph.nodes.length} nodes\n${graph.key}`);
    if (debug >= 1) log(`plan of ${plan.steps.length} steps\n${printPlan(plan, debug)}`);
    return plan;
  }

  /**
   * Registers a run's checks, and gives a verdict for each checked node. `flags` are buffers that the run wrote; they are not
   * the caller's from now on.
   */
  open({ errors, positions }: OpenChecks, flags: readonly DeviceBuffer[]): Verdict[] {
    const verdicts = flags.map((flag, i) => [this.checks.add(flag, errors[i]!)]);
    this.checks.limit();
    return positions.map((position) => verdicts[position]!);
  }
}

/** A run that only needs its programs to be ready. */
export class PreparedRun {
  readonly #executor: Executor;
  readonly #graph: CapturedGraph;
  readonly #bound: BoundPlan;
  readonly #waiting: readonly Variable[];

  /** `waiting` are variables whose new values are among the outputs. */
  constructor(executor: Executor, graph: CapturedGraph, plan: Plan, waiting: readonly Variable[]) {
    this.#executor = executor;
    this.#graph = graph;
    this.#bound = new BoundPlan(plan, graph.outputs[0]!.device);
    this.#waiting = waiting;
    for (const variable of waiting) context.pending.delete(variable);
    // The nodes may be let go by their owners while programs compile.
    for (const node of graph.nodes) node.retain();
  }

  get isPending(): boolean {
    return this.#bound.isPending;
  }

  /** True when it computes more than it was asked for: variables that waited for their value. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  ready(): Promise<void> {
    return this.#bound.ready();
  }

  /** As `ready`, while the caller waits. False where the device cannot. @throws KernelError */
  finish(): boolean {
    return this.#bound.finish();
  }

  /** Ends the run: what was retained is let go, and variables that did not get their value wait again. */
  end(): void {
    for (const variable of this.#waiting)
      if (!variable.disposed && !variable.stored.computed) context.pending.add(variable);
    for (const node of this.#graph.nodes) node.release();
  }

  /** Submits the work and hands out its results. Whether it throws or not, the run is over. */
  submit(): Fence {
    try {
      return this.#submit();
    } finally {
      this.end();
    }
  }

  #submit(): Fence {
    const { backend } = this.#executor;
    const { leaves, scalars } = this.#graph;
    const { plan } = this.#bound;
    const inputs = leaves.map((leaf) => this.#executor.bufferOf(leaf));
    const stored = this.#stored();
    const buffers = allocateAll(
      backend,
      plan.outputs.map(({ bytes }) => bytes),
      (i) => purposeOf(stored[i]!),
    );
    let fence: Fence;
    try {
      fence = this.#bound.run(inputs, buffers, scalars);
    } catch (error) {
      for (const buffer of buffers) backend.free(buffer);
      throw error;
    } finally {
      this.#bound.release();
    }
    this.#deliver(buffers);
    return fence;
  }

  /** The nodes of the plan's outputs: those of the graph, and then those that are kept. */
  #stored(): GraphNode[] {
    const { nodes, outputs } = this.#graph;
    return [...outputs, ...this.#bound.plan.kept.map((position) => nodes[position]!)];
  }

  #deliver(buffers: readonly DeviceBuffer[]): void {
    const { outputs, checks } = this.#graph;
    const firstCheck = outputs.length - checks.length;
    const stored = this.#stored();
    const results = [...stored.slice(0, firstCheck), ...stored.slice(outputs.length)];
    const resultBuffers = [...buffers.slice(0, firstCheck), ...buffers.slice(outputs.length)];
    const flags = buffers.slice(firstCheck, outputs.length);
    const verdicts = this.#verdicts(flags, results);
    for (const [i, node] of results.entries()) {
      if (node.computed) {
        this.#executor.backend.free(resultBuffers[i]!); // another run, prepared at the same time, was faster
        continue;
      }
      node.verdict = verdicts[i];
      node.fulfil(resultBuffers[i]!);
    }
  }

  /** What each of `results` depends on: conditions of the leaves that it was computed from, and of this run's own checks. */
  #verdicts(flags: readonly DeviceBuffer[], results: readonly GraphNode[]): (Verdict | undefined)[] {
    const { leaves, checked } = this.#graph;
    const doubtful = leaves.filter((leaf) => doubtsOf(leaf.verdict));
    const own = this.#executor.open(openChecks(this.#graph), flags);
    const below = sourcesOf(this.#graph, [...doubtful, ...checked.keys()], results);
    return joinVerdicts([...doubtful.map((leaf) => leaf.verdict), ...own], below);
  }
}

const executors = new WeakMap<Backend, Executor>();

export function executorOf(backend: Backend): Executor {
  let executor = executors.get(backend);
  if (!executor) executors.set(backend, (executor = new Executor(backend)));
  return executor;
}

export { bytesOf };
