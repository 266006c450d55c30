/** A traced function as a plan, and its replay: new inputs in, results and new values of variables out. */
import { ArgumentError, type DeviceBuffer, DeviceError, type Fence } from '../backend/index.ts';
import { type CapturedGraph, captureGraph } from '../compiler/capture.ts';
import type { Plan } from '../compiler/plan.ts';
import { sourcesOf } from '../compiler/reach.ts';
import { primitives, type TensorType } from '../ops/primitives.ts';
import type { Device } from '../tensor/device.ts';
import { GraphNode, type NodeFlags } from '../tensor/node.ts';
import { Tensor, type Variable } from '../tensor/tensor.ts';
import { mapTree } from '../tensor/tree.ts';
import { joinVerdicts } from '../tensor/verdict.ts';
import { allocate, elements, type Purpose } from './allocation.ts';
import { BoundPlan } from './bound-plan.ts';
import { type Executor, executorOf, type OpenChecks, openChecks } from './executor.ts';
import { realizeNodes } from './realize.ts';
import { settings } from './settings.ts';
import { type Trace, traceFunction } from './trace.ts';

/** Where an input of the plan comes from at each call. */
type Source =
  | { readonly kind: 'argument'; readonly argument: number }
  | { readonly kind: 'variable'; readonly variable: Variable }
  | { readonly kind: 'constant'; readonly node: GraphNode };

/** One traced and compiled signature of a function. */
export class CompiledTrace {
  readonly plan: Plan;
  readonly #executor: Executor;
  readonly #device: Device;
  readonly #bound: BoundPlan;
  readonly #sources: readonly Source[];
  readonly #results: readonly TensorType[];
  readonly #tree: unknown;
  readonly #effects: readonly Variable[];
  readonly #checks: OpenChecks;
  /** For each result and effect, the inputs and then the checks that it depends on. */
  readonly #below: readonly (readonly number[])[];

  static async make(fn: (...args: never[]) => unknown, args: readonly unknown[]): Promise<CompiledTrace> {
    const trace = traceFunction(fn, args);
    try {
      const device = await openDevice(trace);
      await realizeNodes(closedOver(trace));
      const made = new CompiledTrace(trace, device);
      try {
        await made.#bound.ready();
      } catch (error) {
        made.dispose();
        throw error;
      }
      return made;
    } finally {
      trace.release();
    }
  }

  private constructor(trace: Trace, device: Device) {
    const standIns = new Map<GraphNode, Source>();
    for (const [argument, node] of trace.inputs.entries()) standIns.set(node, { kind: 'argument', argument });
    for (const [variable, node] of trace.variables) standIns.set(node, { kind: 'variable', variable });
    const targets = targetsOf(trace);
    const graph = captureGraph(targets, {
      isLeaf: (node) => standIns.has(node) || node.computed,
      liftConstants: false,
      keep: false,
    });
    requireDevice(device, graph);
    this.#device = device;
    this.#executor = executorOf(device.backend);
    const { fusion, verify } = settings();
    this.plan = this.#executor.build(graph, { fusion, verify, donations: donationsOf(trace, graph) });
    this.#bound = new BoundPlan(this.plan, device);
    this.#sources = graph.leaves.map((node) => standIns.get(node) ?? { kind: 'constant', node });
    for (const node of this.#constants()) node.retain();
    this.#effects = [...trace.effects.keys()];
    this.#results = trace.outputs.map(({ shape, dtype }) => ({ shape, dtype }));
    this.#tree = trace.result;
    this.#checks = openChecks(graph);
    this.#below = sourcesOf(graph, [...graph.leaves, ...graph.checked.keys()], targets);
  }

  #constants(): GraphNode[] {
    return this.#sources.flatMap((source) => (source.kind === 'constant' ? [source.node] : []));
  }

  /** Runs the plan on the nodes of the arguments. Resolves, with the results, when the work is submitted. */
  async run(args: readonly GraphNode[]): Promise<unknown> {
    for (;;) {
      const nodes = this.#sources.map((source) => {
        if (source.kind === 'argument') return args[source.argument]!;
        return source.kind === 'variable' ? source.variable.stored : source.node;
      });
      const waiting = nodes.filter((node) => !node.computed);
      if (waiting.length === 0) {
        const { results, fence } = this.#submit(nodes);
        if (fence.pace) await fence.pace; // a failed device fails every later read
        return results;
      }
      await realizeNodes(waiting); // meanwhile a variable may be assigned again
    }
  }

  #submit(nodes: readonly GraphNode[]): { readonly results: unknown; readonly fence: Fence } {
    const { backend } = this.#device;
    const inputs = nodes.map((node) => this.#executor.bufferOf(node));
    const made: DeviceBuffer[] = [];
    const take = (bytes: number, output: number): DeviceBuffer => {
      const buffer = allocate(backend, bytes, () => this.#purpose(output));
      made.push(buffer);
      return buffer;
    };
    let outputs: DeviceBuffer[];
    let fence: Fence;
    try {
      outputs = this.plan.outputs.map(({ bytes, inPlace }, i): DeviceBuffer => {
        if (inPlace === undefined) return take(bytes, i);
        const variable = this.#effects[i - this.#results.length]!;
        if (variable.stored.references === 1) return inputs[inPlace]!;
        // Somebody else still needs the old value: the new one gets a copy to overwrite.
        const copy = take(bytes, i);
        backend.submit([{ kind: 'copy', source: inputs[inPlace]!, target: copy, bytes }]);
        inputs[inPlace] = copy;
        return copy;
      });
      fence = this.#bound.run(inputs, outputs, []);
    } catch (error) {
      for (const buffer of made) backend.free(buffer);
      throw error;
    }
    return { results: this.#deliver(nodes, outputs), fence };
  }

  /** What the memory of an output is for: a result, the new value of a variable, a check. */
  #purpose(output: number): Purpose {
    const device = this.#device;
    const result = this.#results[output] ?? this.#effects[output - this.#results.length];
    return result ? elements('jit', { ...typeOf(result), device }) : { op: 'jit', what: 'a check', device };
  }

  #deliver(nodes: readonly GraphNode[], outputs: readonly DeviceBuffer[]): unknown {
    const firstCheck = this.#results.length + this.#effects.length;
    const checks = this.#executor.open(this.#checks, outputs.slice(firstCheck));
    const verdicts = joinVerdicts([...nodes.map((node) => node.verdict), ...checks], this.#below);
    const leaf = ({ shape, dtype }: TensorType, output: number, flags: NodeFlags): GraphNode => {
      const node = new GraphNode('data', [], { shape, dtype }, this.#device, flags);
      node.fulfil(outputs[output]!);
      node.verdict = verdicts[output];
      return node;
    };
    for (const [i, variable] of this.#effects.entries()) {
      const output = this.#results.length + i;
      const { stored } = variable;
      if (stored.storage === outputs[output]) stored.verdict = verdicts[output];
      else
        variable.store(
          leaf(stored, output, { tracked: variable.requiresGrad, constant: !variable.requiresGrad }),
        );
    }
    let next = 0;
    return mapTree(this.#tree, () => {
      const result = next++;
      return new Tensor(leaf(this.#results[result]!, result, { tracked: false, constant: false }));
    });
  }

  dispose(): void {
    this.#bound.release();
    for (const node of this.#constants()) node.release();
  }
}

const typeOf = ({ shape, dtype }: TensorType): TensorType => ({ shape, dtype });

const targetsOf = (trace: Trace): GraphNode[] => [...trace.outputs, ...trace.effects.values()];

/** New values of variables may take over the memory of the old ones. */
function donationsOf(trace: Trace, graph: CapturedGraph): Map<number, number> {
  const inputs = new Map(graph.leaves.map((leaf, i) => [leaf, i]));
  const donations = new Map<number, number>();
  for (const [i, variable] of [...trace.effects.keys()].entries()) {
    const input = inputs.get(trace.variables.get(variable)!);
    if (input !== undefined) donations.set(trace.outputs.length + i, input);
  }
  return donations;
}

/** Opens the device that the traced function computes on. */
async function openDevice(trace: Trace): Promise<Device> {
  const [target] = targetsOf(trace);
  if (!target) {
    throw new ArgumentError('jit: the function returns no tensor and assigns no variable', {
      op: 'jit',
      fix: 'return what it computes',
    });
  }
  await target.device.open();
  return target.device;
}

function requireDevice(device: Device, { outputs, leaves }: CapturedGraph): void {
  const stranger = [...outputs, ...leaves].find((node) => !node.device.same(device));
  if (!stranger) return;
  throw new DeviceError(`jit: the function computes on ${device} and on ${stranger.device}`, {
    op: 'jit',
    received: stranger.device.id,
    fix: 'one plan runs on one device: make a jitted function for each',
  });
}

/**
 * Values from outside of the function that have not been computed: once, here, so that the plan need not do it in every
 * call. Constants without data stay part of the plan, which can fold them.
 */
function closedOver(trace: Trace): GraphNode[] {
  const found: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  const pending = targetsOf(trace);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (seen.has(node) || node.computed) continue;
    seen.add(node);
    if (node.id < trace.since && !isConstant(node)) found.push(node);
    else pending.push(...node.inputs, ...(node.check ? [node.check.flag] : []));
  }
  return found;
}

function isConstant(node: GraphNode): boolean {
  let base = node;
  while (primitives[base.op].kind === 'movement') base = base.inputs[0]!;
  return base.op === 'const' || base.op === 'iota';
}
