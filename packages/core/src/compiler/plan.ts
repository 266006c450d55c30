/** The compiled form of a graph: steps over numbered buffers, ready to be bound and submitted again and again. */
import {
  type Anchor,
  type Backend,
  type Capabilities,
  DTypeError,
  dtypeInfo,
  type JointKernel,
  type Kernel,
  type Program,
  printAnchor,
  printJoint,
  printKernel,
} from '../backend/index.ts';
import { formatShape, sizeOf } from '../tensor/shape.ts';
import type { CapturedGraph } from './capture.ts';
import { applyDonations } from './donate.ts';
import { joinKernels, type LoweredStep } from './join.ts';
import type { Lowered } from './lower.ts';
import { planMemory } from './memory.ts';
import { elementsOf, isOp, type Op, topological } from './op.ts';
import { prepare } from './prepare.ts';
import { type ScheduledGroup, schedule } from './schedule.ts';
import { simplify } from './simplify.ts';
import { verifyJoint, verifyKernel } from './verify.ts';

/** A buffer of a plan, whatever it is bound to in a run. */
export interface Slot {
  readonly kind: 'input' | 'output' | 'temporary';
  readonly index: number;
}

export type PlanStep =
  | {
      readonly kind: 'run';
      readonly program: Program;
      readonly ir: Kernel | Anchor | JointKernel;
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
  const layout = layOut(groups, [...roots, ...keptOps], options);
  const programOf = (step: LoweredStep): Program => {
    if ('program' in step) return step.program;
    return step.kernel.kind === 'kernel' ? backend.compile(step.kernel) : routine(step.kernel)!;
  };
  const steps = layout.steps.map((step): PlanStep => {
    const { kernel: ir, bindings, scalars } = step;
    const buffers = bindings.map(layout.slotOf);
    if (options.verify && ir.kind === 'kernel') verifyKernel(ir, capabilities);
    if (options.verify && ir.kind === 'joint')
      verifyJoint(
        ir,
        buffers.map((slot) => printSlot(layout.memoryOf(slot))),
        capabilities,
      );
    return { kind: 'run', program: programOf(step), ir, buffers, scalars };
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
  readonly steps: readonly LoweredStep[];
  readonly slotOf: (op: Op) => Slot;
  /** The input that lies where an output does, if there is one. */
  readonly memoryOf: (slot: Slot) => Slot;
  readonly outputs: readonly PlanOutput[];
  readonly temporaries: readonly number[];
  readonly copies: readonly PlanStep[];
}

/** Gives every stored value a slot. An output that is an input, or another output again, is copied at the end. */
function layOut(
  scheduled: readonly ScheduledGroup[],
  outputs: readonly Op[],
  { backend, fusion, donations: wanted }: PlanOptions,
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
  const alone = groups.map(({ lowered }) => lowered);
  const steps = fusion ? joined(alone, backend, (op) => inPlace.get(op) ?? op) : alone;

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
  const temporaries = assignTemporaries(steps, slots);
  return {
    steps,
    outputs: planOutputs,
    temporaries,
    copies,
    slotOf: (op) => slots.get(op) ?? inputSlot(op),
    memoryOf: (slot) => {
      const index = slot.kind === 'output' ? planOutputs[slot.index]!.inPlace : undefined;
      return index === undefined ? slot : { kind: 'input', index };
    },
  };
}

/** With small kernels joined where the device runs those. */
function joined(
  steps: readonly Lowered<Kernel | Anchor>[],
  backend: Backend,
  placeOf: (op: Op) => Op,
): readonly LoweredStep[] {
  const { jointBuffers } = backend.info.capabilities;
  if (!backend.joint || jointBuffers === 0) return steps;
  return joinKernels(steps, { jointBuffers, joint: (kernel) => backend.joint!(kernel), placeOf });
}

const inputSlot = (op: Op): Slot => ({ kind: 'input', index: (op.attributes as { input: number }).input });

function assignTemporaries(steps: readonly LoweredStep[], slots: Map<Op, Slot>): readonly number[] {
  const first = new Map<Op, number>();
  const last = new Map<Op, number>();
  for (const [step, { bindings }] of steps.entries()) {
    for (const op of bindings) {
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

const printSlot = ({ kind, index }: Slot): string => `${kind}${index}`;

/** The plan as text: one line a step, with its kernel. */
export function printPlan(plan: Plan, level: number): string {
  const slot = (each: Slot): string => {
    const inPlace = each.kind === 'output' ? plan.outputs[each.index]!.inPlace : undefined;
    return inPlace === undefined ? printSlot(each) : `${printSlot(each)}=input${inPlace}`;
  };
  const lines: string[] = [];
  for (const [i, step] of plan.steps.entries()) {
    if (step.kind === 'copy') {
      lines.push(`${i}: copy ${slot(step.source)} -> ${slot(step.target)} (${step.bytes} bytes)`);
      continue;
    }
    const times = step.ir.kind === 'joint' ? `${step.ir.parts.length} x ` : '';
    lines.push(`${i}: ${times}${step.ir.name}(${step.buffers.map(slot).join(', ')})`);
    if (level >= 3) lines.push(printIr(step.ir));
    if (level >= 4) lines.push(step.program.source());
  }
  lines.push(`${plan.temporaries.length} temporaries, ${plan.temporaries.reduce((a, b) => a + b, 0)} bytes`);
  return lines.join('\n');
}

function printIr(ir: Kernel | Anchor | JointKernel): string {
  if (ir.kind === 'kernel') return printKernel(ir);
  return ir.kind === 'joint' ? printJoint(ir) : `  ${printAnchor(ir)}`;
}
