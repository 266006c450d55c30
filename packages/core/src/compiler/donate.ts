/**
 * In-place results. A value that replaces one of the plan's inputs (a parameter's new value) may be written to that input's
 * buffer, if nobody reads the old value afterwards and the kernel that writes reads each element only where it writes it.
 */
import type { Expression, Kernel, Phase, Store } from '../backend/index.ts';
import { ExpressionBuilder, visitExpressions } from '../backend/index.ts';
import { GroupOrder } from './group-order.ts';
import type { Lowered } from './lower.ts';
import { expressionsOf, rewritePhase } from './merge-dimensions.ts';
import { elementsOf, type Op } from './op.ts';
import { rebuilder } from './rebuild.ts';
import type { ScheduledGroup } from './schedule.ts';

export interface Donation {
  readonly from: Op;
  readonly to: Op;
}

export interface DonatedSchedule {
  /** The groups, in an order in which old values are read before they are overwritten. */
  readonly groups: readonly ScheduledGroup[];
  /** The input whose buffer each of these ops is written to. */
  readonly inPlace: ReadonlyMap<Op, Op>;
}

export function applyDonations(
  groups: readonly ScheduledGroup[],
  donations: readonly Donation[],
): DonatedSchedule {
  const byId = new Map(groups.map((g) => [g.group.id, g]));
  const { order, writerOf, readersOf } = dataflow(groups);
  const inPlace = new Map<Op, Op>();
  const taken = new Set<Op>();
  for (const { from, to } of donations) {
    if (from.dtype !== to.dtype || elementsOf(from) !== elementsOf(to) || inPlace.has(to) || taken.has(from))
      continue;
    const writer = byId.get(writerOf.get(to)!);
    if (writer?.lowered.kernel.kind !== 'kernel') continue;
    const { id } = writer.group;
    const readers = (readersOf.get(from) ?? []).filter((reader) => reader !== id);
    if (order.depend(readers, id)) continue;
    const lowered = shareBuffer(writer.lowered as Lowered<Kernel>, from, to);
    if (!lowered) continue;
    order.add(id, readers);
    byId.set(id, { group: writer.group, lowered });
    inPlace.set(to, from);
    taken.add(from);
  }
  return { groups: order.sorted().map((id) => byId.get(id)!), inPlace };
}

/** Which groups must run before which, and which group writes and which groups read each value. */
function dataflow(groups: readonly ScheduledGroup[]): {
  readonly order: GroupOrder;
  readonly writerOf: ReadonlyMap<Op, number>;
  readonly readersOf: ReadonlyMap<Op, readonly number[]>;
} {
  const order = new GroupOrder();
  const writerOf = new Map<Op, number>();
  const readersOf = new Map<Op, number[]>();
  for (const { group, lowered } of groups) {
    for (const member of group.members) writerOf.set(member, group.id);
    const read = lowered.bindings.filter((op) => writerOf.get(op) !== group.id);
    order.add(
      group.id,
      read.flatMap((op) => writerOf.get(op) ?? []),
    );
    for (const op of read) readersOf.set(op, [...(readersOf.get(op) ?? []), group.id]);
  }
  return { order, writerOf, readersOf };
}

/** The kernel with the buffers of `from` and `to` made one, or undefined where that would change what it computes. */
function shareBuffer(lowered: Lowered<Kernel>, from: Op, to: Op): Lowered<Kernel> | undefined {
  const { kernel, bindings } = lowered;
  const source = bindings.indexOf(from);
  const target = bindings.indexOf(to);
  if (source < 0) return lowered;
  for (const phase of kernel.phases) {
    const loads = loadsFrom(phase, source);
    if (loads.length === 0) continue;
    const store = storeTo(phase, target);
    if (!store || loads.some((load) => load.op !== 'load' || load.index !== store.index)) return undefined;
  }
  const builder = new ExpressionBuilder();
  const moved = (buffer: number): number =>
    buffer === source ? target : buffer > source ? buffer - 1 : buffer;
  // `source` is a read, which comes after all writes, so that removing it leaves `target` where it is.
  const rewrite = rebuilder(builder, (e, rebuild) =>
    e.op === 'load'
      ? builder.load(e.type, moved(e.buffer), rebuild(e.index), e.guard && rebuild(e.guard))
      : undefined,
  );
  const phases = kernel.phases.map((phase) => {
    const rewritten = rewritePhase(phase, rewrite);
    if (rewritten.kind === 'reduce') return rewritten;
    return { ...rewritten, stores: rewritten.stores.map((s) => ({ ...s, buffer: moved(s.buffer) })) };
  });
  const buffers = kernel.buffers
    .map((buffer, i) => (i === target ? { ...buffer, access: 'readWrite' as const } : buffer))
    .filter((_, i) => i !== source);
  return {
    ...lowered,
    kernel: { ...kernel, buffers, phases },
    bindings: bindings.filter((_, i) => i !== source),
  };
}

function loadsFrom(phase: Phase, buffer: number): Expression[] {
  const loads: Expression[] = [];
  visitExpressions(expressionsOf(phase), (e) => {
    if (e.op === 'load' && e.buffer === buffer) loads.push(e);
  });
  return loads;
}

const storeTo = (phase: Phase, buffer: number): Store | undefined =>
  phase.kind === 'map' ? phase.stores.find((store) => store.buffer === buffer) : undefined;
