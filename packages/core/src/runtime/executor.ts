/** Runs pieces of the lazy graph: finds or builds their plan, binds it to buffers, submits it. */
import { type Backend, type DeviceBuffer, InternalError, type TuttiError, dtypeInfo } from '../backend/index.ts';
import { type CapturedGraph, captureGraph } from '../compiler/capture.ts';
import { type Plan, buildPlan, printPlan } from '../compiler/plan.ts';
import { context } from '../tensor/context.ts';
import type { GraphNode } from '../tensor/node.ts';
import { sizeOf } from '../tensor/shape.ts';
import { Verdict } from '../tensor/verdict.ts';
import { BoundPlan } from './bound-plan.ts';
import { settings } from './settings.ts';
import { counters } from './statistics.ts';
import { Checks } from './checks.ts';

/** Plans kept for graphs that come again. */
const mostPlans = 256;

const bytesOf = (node: GraphNode): number => sizeOf(node.shape) * dtypeInfo[node.dtype].bytes;

export class Executor {
  readonly backend: Backend;
  readonly checks: Checks;
  readonly #plans = new Map<string, Plan>();

  constructor(backend: Backend) {
    this.backend = backend;
    this.checks = new Checks(backend);
  }

  /** The buffer of a node whose value exists; data on the host is uploaded. */
  bufferOf(node: GraphNode): DeviceBuffer {
    if (node.storage) return node.storage;
    const { host } = node;
    if (!host) throw new InternalError(`node ${node.id} (${node.op}) has no value`);
    const buffer = this.backend.allocate(host.byteLength);
    this.backend.write(buffer, new Uint8Array(host.buffer, host.byteOffset, host.byteLength));
    node.fulfil(buffer);
    return buffer;
  }

  /** What has to be computed so that `targets` and all waiting variables have their values; undefined: nothing. */
  prepare(targets: readonly GraphNode[]): PreparedRun | undefined {
    const wanted = new Set(targets.filter((node) => !node.computed));
    for (const variable of context.pending) {
      const { stored } = variable;
      if (!stored.device.isOpen || stored.device.backend !== this.backend) continue;
      context.pending.delete(variable);
      if (!stored.computed) wanted.add(stored);
    }
    if (wanted.size === 0) return undefined;
    const graph = captureGraph([...wanted], { isLeaf: (node) => node.computed, liftConstants: true, keep: true });
    return new PreparedRun(this, graph, this.#planFor(graph));
  }

  #planFor(graph: CapturedGraph): Plan {
    const { fusion, verify } = settings();
    const key = `${fusion ? 'fused' : 'unfused'}\n${graph.key}`;
    let plan = this.#plans.get(key);
    if (plan) this.#plans.delete(key);
    plan ??= this.build(graph, { fusion, verify, donations: new Map() });
    this.#plans.set(key, plan); // last in the map: most recently used
    if (this.#plans.size > mostPlans) this.#plans.delete(this.#plans.keys().next().value!);
    return plan;
  }

  build(graph: CapturedGraph, options: { fusion: boolean; verify: boolean; donations: ReadonlyMap<number, number> }): Plan {
    counters.plansBuilt++;
    const plan = buildPlan(graph, { backend: this.backend, ...options });
    const { debug, log } = settings();
    if (debug >= 2) log(`graph of ${graph.nodes.length} nodes\n${graph.key}`);
    if (debug >= 1) log(`plan of ${plan.steps.length} steps\n${printPlan(plan, debug)}`);
    return plan;
  }

  /** Registers data checks of a run: `flags` are buffers that the run wrote, owned by the checks from now on. */
  verdictFor(inputs: readonly GraphNode[], checks: readonly { flag: DeviceBuffer; error: () => TuttiError }[]): Verdict | undefined {
    const parents = [...new Set(inputs.map((node) => node.verdict).filter((verdict) => verdict !== undefined))];
    if (parents.length === 0 && checks.length === 0) return undefined;
    const verdict = new Verdict(parents);
    this.checks.add(checks, verdict);
    return verdict;
  }
}

/** A run that only needs its programs to be ready. */
export class PreparedRun {
  readonly #executor: Executor;
  readonly #graph: CapturedGraph;
  readonly #bound: BoundPlan;

  constructor(executor: Executor, graph: CapturedGraph, plan: Plan) {
    this.#executor = executor;
    this.#graph = graph;
    this.#bound = new BoundPlan(plan, executor.backend);
    // The nodes may be let go by their owners while programs compile.
    for (const node of graph.nodes) node.retain();
  }

  get ready(): Promise<unknown> | undefined {
    return this.#bound.ready();
  }

  /** Gives up: what was retained is let go. */
  abandon(): void {
    for (const node of this.#graph.nodes) node.release();
  }

  submit(): Promise<void> {
    const { backend } = this.#executor;
    const { nodes, leaves, outputs, checks, scalars } = this.#graph;
    const { plan } = this.#bound;
    const inputs = leaves.map((leaf) => this.#executor.bufferOf(leaf));
    const buffers = plan.outputs.map(({ bytes }) => backend.allocate(bytes));
    const { done } = this.#bound.run(inputs, buffers, scalars);
    this.#bound.release();

    const firstCheck = outputs.length - checks.length;
    const flags = checks.map((check, i) => ({ flag: buffers[firstCheck + i]!, error: check.error }));
    const verdict = this.#executor.verdictFor(leaves, flags);
    const results = [...outputs.slice(0, firstCheck), ...plan.kept.map((position) => nodes[position]!)];
    const resultBuffers = [...buffers.slice(0, firstCheck), ...buffers.slice(outputs.length)];
    for (const [i, node] of results.entries()) {
      node.verdict = verdict;
      if (node.computed) backend.free(resultBuffers[i]!); // another run, prepared at the same time, was faster
      else node.fulfil(resultBuffers[i]!);
    }
    this.abandon();
    return done;
  }
}

const executors = new WeakMap<Backend, Executor>();

export function executorOf(backend: Backend): Executor {
  let executor = executors.get(backend);
  if (!executor) executors.set(backend, (executor = new Executor(backend)));
  return executor;
}

export { bytesOf };
