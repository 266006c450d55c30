/**
 * In-place results. A value that replaces one of the plan's inputs (a parameter's new value) may be written to that input's
 * buffer, if nobody reads the old value afterwards and the kernel that writes reads each element only where it writes it.
 */
import type { Expression, Kernel, Phase, Store } from '../backend/index.ts';
import { visitExpressions } from '../backend/index.ts';
import type { Lowered } from './lower.ts';
import { expressionsOf, rewritePhase } from './merge-dimensions.ts';
import { IndexBuilder } from './index-math.ts';
import { type Op, elementsOf } from './op.ts';
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

export function applyDonations(groups: readonly ScheduledGroup[], donations: readonly Donation[]): DonatedSchedule {
  const order = new Dependencies(groups);
  const inPlace = new Map<Op, Op>();
  const lowered = new Map(groups.map((g) => [g.group.id, g]));
  for (const { from, to } of donations) {
    if (from.dtype !== to.dtype || elementsOf(from) !== elementsOf(to) || inPlace.has(to)) continue;
    if ([...inPlace.values()].includes(from)) continue;
    const writer = [...lowered.values()].find((g) => g.group.members.includes(to));
    if (!writer || writer.lowered.kernel.kind !== 'kernel') continue;
    const kernel = writer.lowered as Lowered<Kernel>;
    const readers = [...lowered.values()].filter((g) => g !== writer && g.lowered.bindings.includes(from));
    if (readers.some((reader) => order.reaches(reader.group.id, writer.group.id))) continue;
    const merged = shareBuffer(kernel, from, to);
    if (!merged) continue;
    for (const reader of readers) order.add(writer.group.id, reader.group.id);
    lowered.set(writer.group.id, { group: writer.group, lowered: merged });
    inPlace.set(to, from);
  }
  return { groups: order.sorted().map((id) => lowered.get(id)!), inPlace };
}

/** Which groups must run before which. */
class Dependencies {
  readonly #before = new Map<number, Set<number>>();

  constructor(groups: readonly ScheduledGroup[]) {
    const writer = new Map<Op, number>();
    for (const { group } of groups) for (const member of group.members) writer.set(member, group.id);
    for (const { group, lowered } of groups) {
      const before = new Set(lowered.bindings.map((op) => writer.get(op)).filter((id) => id !== undefined && id !== group.id));
      this.#before.set(group.id, before as Set<number>);
    }
  }

  add(group: number, before: number): void {
    this.#before.get(group)!.add(before);
  }

  /** True when `group` can only run after `other`. */
  reaches(group: number, other: number, seen: Set<number> = new Set()): boolean {
    if (group === other) return true;
    if (seen.has(group)) return false;
    seen.add(group);
    return [...this.#before.get(group)!].some((next) => this.reaches(next, other, seen));
  }

  sorted(): number[] {
    const done = new Set<number>();
    const visit = (group: number): void => {
      if (done.has(group)) return;
      for (const before of this.#before.get(group)!) visit(before);
      done.add(group);
    };
    for (const group of this.#before.keys()) visit(group);
    return [...done];
  }
}

/** The kernel with the buffers of `from` and `to` made one, or undefined where that would change what it computes. */
function shareBuffer(lowered: Lowered<Kernel>, from: Op, to: Op): Lowered<Kernel> | undefined {
  const { kernel, bindings } = lowered;
  const source = bindings.indexOf(from);
  const target = bindings.indexOf(to);
  if (source < 0) return { ...lowered, bindings: bindings.map((op) => op) };
  for (const phase of kernel.phases) {
    const loads = loadsFrom(phase, source);
    if (loads.length === 0) continue;
    const store = storeTo(phase, target);
    if (!store || loads.some((load) => load.op !== 'load' || load.index !== store.index)) return undefined;
  }
  const builder = new IndexBuilder();
  const moved = (buffer: number): number => (buffer === source ? target : buffer > source ? buffer - 1 : buffer);
  // `source` is a read, which comes after all writes, so that removing it leaves `target` where it is.
  const rewrite = renumber(builder, moved);
  const phases = kernel.phases.map((phase) => {
    const rewritten = rewritePhase(phase, rewrite);
    if (rewritten.kind === 'reduce') return rewritten;
    return { ...rewritten, stores: rewritten.stores.map((s) => ({ ...s, buffer: moved(s.buffer) })) };
  });
  const buffers = kernel.buffers
    .map((buffer, i) => (i === target ? { ...buffer, access: 'readWrite' as const } : buffer))
    .filter((_, i) => i !== source);
  return { ...lowered, kernel: { ...kernel, buffers, phases }, bindings: bindings.filter((_, i) => i !== source) };
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

function renumber(builder: IndexBuilder, moved: (buffer: number) => number): (e: Expression) => Expression {
  const done = new Map<Expression, Expression>();
  const rewrite = (e: Expression): Expression => {
    let result = done.get(e);
    if (!result) {
      if (e.op === 'load') result = builder.load(e.type, moved(e.buffer), rewrite(e.index), e.guard && rewrite(e.guard));
      else if (e.op === 'alu') result = builder.alu(e.alu, e.type, ...e.args.map(rewrite));
      else if (e.op === 'const') result = builder.const(e.type, e.value);
      else if (e.op === 'index') result = builder.index(e.variable);
      else if (e.op === 'scalar') result = builder.scalar(e.type, e.param);
      else result = builder.accumulator(e.type, e.id);
      done.set(e, result);
    }
    return result;
  };
  return rewrite;
}
