/** The compiled form of a graph: steps over numbered buffers, ready to be bound and submitted again and again. */
import {
  type Anchor,
  type Backend,
  type Capabilities,
  DTypeError,
  dtypeInfo,
  type Kernel,
  type Program,
  printAnchor,
  printKernel,
} from '../backend/index.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { CapturedGraph } from './capture.ts';
import { applyDonations } from './donate.ts';
import { planMemory } from './memory.ts';
import { elementsOf, isOp, type Op, topological } from './op.ts';
import { prepare } from './prepare.ts';
import { type ScheduledGroup, schedule } from './schedule.ts';
import { simplify } from './simplify.ts';
import { verifyKernel } from './verify.ts';

/** A buffer of a plan, whatever it is bound to in a run. */
export interface Slot {
  readonly kind: 'input' | 'output' | 'temporary';
  readonly index: number;
}

export type PlanStep =
  | {
      readonly kind: 'run';
      readonly program: Program;
      readonly ir: Kernel | Anchor;
      readonly buffers: readonly Slot[];
      /** Indices of the plan's scalars. */
      readonly scalars: readonly number[];
    }
  | { readonly kind: 'copy'; readonly source: Slot; readonly target: Slot; readonly bytes: number };

export interface PlanOutput {
  readonly bytes: number;
  /** The input whose buffer this output takes over. */
  readonly inPlace: number | undefined;
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Bytes of the buffers for intermediate values. */
  readonly temporaries: readonly number[];
  /** The requested outputs, then those of the kept nodes. */
  readonly outputs: readonly PlanOutput[];
  /** Positions, among the captured nodes, of intermediate values that are stored for a later gradient. */
  readonly kept: readonly number[];
  /** For people and tests. */
  readonly ops: readonly Op[];
}

export interface PlanOptions {
  readonly backend: Backend;
  readonly fusion: boolean;
  readonly verify: boolean;
  /** Outputs that may take over an input's buffer. */
  readonly donations: ReadonlyMap<number, number>;
}

const bytesOf = (op: Op): number => elementsOf(op) * dtypeInfo[op.dtype].bytes;

/** A reshaped value is the same memory. */
function withoutReshape(op: Op): Op {
  let base = op;
  while (base.op === 'reshape') base = base.inputs[0]!;
  return base;
}

export function buildPlan(graph: CapturedGraph, options: PlanOptions): Plan {
  const { backend, fusion } = options;
  const { capabilities } = backend.info;
  const routine = routineCache(backend);
  const { simplifier, outputs, opOf } = simplify(graph);
  const rewritten = prepare(simplifier, outputs, { capabilities, fusion, routine });
  const roots = outputs.map((op) => withoutReshape(rewritten.get(op)!));
  const stored = roots.filter((op) => op.op !== 'input' && elementsOf(op) > 0);
  checkStorage(topological(roots), capabilities);
  const groups = schedule(stored, { capabilities, fusion, routine });
  const { kept, keptOps } = keptValues(graph, groups, new Set(roots), (node) => {
    const op = opOf.get(node);
    return op && rewritten.get(op);
  });
  const layout = layOut(groups, [...roots, ...keptOps], options.donations);
  if (options.verify)
    for (const { lowered } of layout.groups)
      if (lowered.kernel.kind === 'kernel') verifyKernel(lowered.kernel, capabilities);
  const steps = layout.groups.map(({ lowered }): PlanStep => {
    const ir = lowered.kernel;
    const program = ir.kind === 'kernel' ? backend.compile(ir) : routine(ir)!;
    return {
      kind: 'run',
      program,
      ir,
      buffers: lowered.bindings.map(layout.slotOf),
      scalars: lowered.scalars,
    };
  });
  return {
    steps: [...steps, ...layout.copies],
    temporaries: layout.temporaries,
    outputs: layout.outputs,
    kept,
    ops: roots,
  };
}

/** Before any work is queued: every value has a dtype that the device can hold. */
function checkStorage(ops: readonly Op[], { storage }: Capabilities): void {
  const bad = ops.find((op) => !storage.includes(op.dtype));
  if (!bad) return;
  throw new DTypeError(
    `this device cannot hold ${bad.dtype}, the dtype of a value of shape ${formatShape(bad.shape)}`,
    {
      op: bad.op,
      received: bad.dtype,
      fix: `use ${storage.join(', ')}, or another device`,
    },
  );
}

/** Asks the backend once for each anchor. */
function routineCache(backend: Backend): (anchor: Anchor) => Program | undefined {
  const known = new Map<string, Program | undefined>();
  return (anchor) => {
    const key = printAnchor(anchor);
    if (!known.has(key)) known.set(key, backend.routine(anchor));
    return known.get(key);
  };
}

interface Kept {
  readonly kept: number[];
  readonly keptOps: Op[];
}

/** Captured nodes that a later gradient may ask for, and whose values this plan stores anyway. */
function keptValues(
  graph: CapturedGraph,
  groups: readonly ScheduledGroup[],
  outputs: ReadonlySet<Op>,
  opOf: (node: CapturedGraph['nodes'][number]) => Op | undefined,
): Kept {
  const written = new Set<Op>();
  for (const { group, lowered } of groups)
    for (const op of lowered.bindings) if (group.members.includes(op)) written.add(op);
  const kept: number[] = [];
  const keptOps: Op[] = [];
  const taken = new Set<Op>(outputs);
  for (const [position, node] of graph.nodes.entries()) {
    if (!graph.keep || !node.keep || node.computed) continue;
    const op = opOf(node);
    const base = op && withoutReshape(op);
    if (!base || !written.has(base) || taken.has(base) || sizeOf(node.shape) !== elementsOf(base)) continue;
    taken.add(base);
    kept.push(position);
    keptOps.push(base);
  }
  return { kept, keptOps };
}

interface Layout {
  readonly groups: readonly ScheduledGroup[];
  readonly slotOf: (op: Op) => Slot;
  readonly outputs: readonly PlanOutput[];
  readonly temporaries: readonly number[];
  readonly copies: readonly PlanStep[];
}

/** Gives every stored value a slot. An output that is an input, or another output again, is copied at the end. */
function layOut(
  scheduled: readonly ScheduledGroup[],
  outputs: readonly Op[],
  wanted: ReadonlyMap<number, number>,
): Layout {
  const inputs = new Map<number, Op>();
  for (const { lowered } of scheduled)
    for (const op of lowered.bindings) if (isOp(op, 'input')) inputs.set(op.attributes.input, op);
  const first = new Map<Op, number>();
  for (const [index, op] of outputs.entries()) if (!first.has(op)) first.set(op, index);
  const donations = [...wanted].flatMap(([output, input]) => {
    const from = inputs.get(input);
    const to = outputs[output]!;
    return from && !first.has(from) && first.get(to) === output ? [{ from, to }] : [];
  });
  const { groups, inPlace } = applyDonations(scheduled, donations);

  const slots = new Map<Op, Slot>();
  const copies: PlanStep[] = [];
  const planOutputs = outputs.map((op, index): PlanOutput => {
    const bytes = bytesOf(op);
    const target: Slot = { kind: 'output', index };
    const from = inPlace.get(op);
    if (op.op === 'input' || slots.has(op)) {
      const source = slots.get(op) ?? inputSlot(op);
      if (bytes > 0) copies.push({ kind: 'copy', source, target, bytes });
      return { bytes, inPlace: undefined };
    }
    slots.set(op, target);
    return { bytes, inPlace: from && (from.attributes as { input: number }).input };
  });
  const temporaries = assignTemporaries(groups, slots);
  return {
    groups,
    outputs: planOutputs,
    temporaries,
    copies,
    slotOf: (op) => slots.get(op) ?? inputSlot(op),
  };
}

const inputSlot = (op: Op): Slot => ({ kind: 'input', index: (op.attributes as { input: number }).input });

function assignTemporaries(groups: readonly ScheduledGroup[], slots: Map<Op, Slot>): readonly number[] {
  const first = new Map<Op, number>();
  const last = new Map<Op, number>();
  for (const [step, { lowered }] of groups.entries()) {
    for (const op of lowered.bindings) {
      if (op.op === 'input' || slots.has(op)) continue;
      if (!first.has(op)) first.set(op, step);
      last.set(op, step);
    }
  }
  const values = [...first.keys()];
  const memory = planMemory(
    values.map((op) => ({ bytes: bytesOf(op), from: first.get(op)!, to: last.get(op)! })),
  );
  for (const [i, op] of values.entries()) slots.set(op, { kind: 'temporary', index: memory.slotOf[i]! });
  return memory.slots;
}

/** The plan as text: one line a step, with its kernel. */
export function printPlan(plan: Plan, level: number): string {
  const slot = ({ kind, index }: Slot): string => {
    const inPlace = kind === 'output' ? plan.outputs[index]!.inPlace : undefined;
    return inPlace === undefined ? `${kind}${index}` : `output${index}=input${inPlace}`;
  };
  const lines: string[] = [];
  for (const [i, step] of plan.steps.entries()) {
    if (step.kind === 'copy') {
      lines.push(`${i}: copy ${slot(step.source)} -> ${slot(step.target)} (${step.bytes} bytes)`);
      continue;
    }
    lines.push(`${i}: ${step.ir.name}(${step.buffers.map(slot).join(', ')})`);
    if (level >= 3)
      lines.push(step.ir.kind === 'kernel' ? printKernel(step.ir) : `  ${printAnchor(step.ir)}`);
    if (level >= 4) lines.push(step.program.source());
  }
  lines.push(`${plan.temporaries.length} temporaries, ${plan.temporaries.reduce((a, b) => a + b, 0)} bytes`);
  return lines.join('\n');
}
