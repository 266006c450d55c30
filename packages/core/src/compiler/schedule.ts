/**
 * Decides what runs together. Every stored value is the root of a group; a root joins the group of a producer, or of a
 * neighbour that steps through the same domain and reads the same data, when
 *
 * - the domains fit (group.ts),
 * - no path leads out of the group and back into it,
 * - the joined kernel can be lowered and stays within the device's limits, which is found out by lowering it,
 * - it does not leave the device idle: one long row is no place for a whole tensor.
 *
 * Only dataflow, shapes and costs decide, never the name of an operation.
 */
import type { Anchor, Capabilities, Kernel, Program } from '../backend/index.ts';
import { lowerAnchor } from './anchor.ts';
import { domainOf, Group } from './group.ts';
import { GroupOrder } from './group-order.ts';
import { type Lowered, lowerGroup, lowerMember, lowerScatter } from './lower.ts';
import { FusionRejected } from './lower-value.ts';
import { isOp, kindOf, type Op, topological } from './op.ts';
import { inlineCosts, inlineLimit, requiredStores, sharedStores } from './stored.ts';

export interface ScheduleOptions {
  readonly capabilities: Capabilities;
  readonly fusion: boolean;
  /** The device's routine for an anchor, if it has one. */
  readonly routine: (anchor: Anchor) => Program | undefined;
}

/** A group that has been lowered. */
export interface ScheduledGroup {
  readonly group: Group;
  readonly lowered: Lowered<Kernel | Anchor>;
}

/** A stored value dearer than this is loaded by a reduction over it, rather than computed in its loop again. */
const rowRecomputeLimit = 6;

/** Most stores that neighbours may bring together: registers are few. */
const mostMembers = 12;

/** Most work for one element of a kernel. Beyond it, code grows and nothing is gained. */
const mostWork = 2 * inlineLimit;

export function schedule(outputs: readonly Op[], options: ScheduleOptions): ScheduledGroup[] {
  const order = topological(outputs);
  let stored = requiredStores(order, outputs, options.fusion);
  for (let round = 0; ; round++) {
    const scheduler = new Scheduler(order, outputs, stored, options);
    scheduler.groupRoots();
    const shared =
      options.fusion && round < 4
        ? sharedStores(order, stored, (op) => scheduler.groupOf(op)!.id)
        : new Set<Op>();
    const overfull = scheduler.overfull();
    if (shared.size === 0 && overfull.length === 0) return scheduler.finish();
    stored = new Set([...stored, ...shared, ...overfull]);
  }
}

class Scheduler {
  readonly #order: readonly Op[];
  readonly #outputs: ReadonlySet<Op>;
  readonly #stored: ReadonlySet<Op>;
  readonly #options: ScheduleOptions;
  readonly #groups = new Map<number, Group>();
  readonly #groupOf = new Map<Op, number>();
  readonly #costs: ReadonlyMap<Op, number>;
  /** Stored values that each root needs. */
  readonly #reads = new Map<Op, ReadonlySet<Op>>();
  readonly #readers = new Map<Op, Op[]>();
  readonly #producers = new Map<Op, readonly number[]>();
  readonly #graph = new GroupOrder();

  constructor(
    order: readonly Op[],
    outputs: readonly Op[],
    stored: ReadonlySet<Op>,
    options: ScheduleOptions,
  ) {
    this.#order = order;
    this.#outputs = new Set(outputs);
    this.#stored = stored;
    this.#options = options;
    this.#costs = inlineCosts(order, stored);
    for (const op of order) if (stored.has(op)) this.#collectReads(op);
  }

  /** The stored values that an op is computed from in place. */
  #readsOf(op: Op): Set<Op> {
    const reads = new Set<Op>();
    const seen = new Set<Op>();
    const walk = (at: Op): void => {
      for (const input of at.inputs) {
        if (seen.has(input)) continue;
        seen.add(input);
        if (this.#isStored(input)) reads.add(input);
        else walk(input);
      }
    };
    walk(op);
    return reads;
  }

  #collectReads(root: Op): void {
    const reads = this.#readsOf(root);
    this.#reads.set(root, reads);
    for (const read of reads) {
      const readers = this.#readers.get(read);
      if (readers) readers.push(root);
      else this.#readers.set(read, [root]);
    }
  }

  groupOf(op: Op): Group | undefined {
    const id = this.#groupOf.get(op);
    return id === undefined ? undefined : this.#groups.get(id);
  }

  #isStored = (op: Op): boolean => this.#stored.has(op) || op.op === 'input';

  #isWritten(op: Op, members: readonly Op[]): boolean {
    return this.#outputs.has(op) || (this.#readers.get(op) ?? []).some((reader) => !members.includes(reader));
  }

  groupRoots(): void {
    for (const op of this.#order) {
      if (!this.#stored.has(op)) continue;
      const joined = this.#options.fusion ? this.#join(op) : undefined;
      const group = joined ?? this.#alone(op);
      this.#graph.add(group.id, this.#producersOf(op));
      this.#groups.set(group.id, group);
      this.#groupOf.set(op, group.id);
    }
  }

  /** The groups of the values that a root needs. All of them are there when the root's turn comes. */
  #producersOf(op: Op): readonly number[] {
    let producers = this.#producers.get(op);
    if (!producers) {
      producers = [...new Set([...this.#reads.get(op)!].flatMap((read) => this.#groupOf.get(read) ?? []))];
      this.#producers.set(op, producers);
    }
    return producers;
  }

  #alone(op: Op): Group {
    const kind = kindOf(op) === 'anchor' ? 'anchor' : op.op === 'scatter' ? 'scatter' : 'loop';
    return new Group(this.#groups.size, kind, domainOf(op), [op], (other) => !this.#isStored(other));
  }

  #join(op: Op): Group | undefined {
    if (kindOf(op) === 'anchor' || op.op === 'scatter') return undefined;
    for (const candidate of this.#candidates(op)) {
      const joined = this.#tryJoin(candidate, op);
      if (joined) return joined;
    }
    return undefined;
  }

  /** Groups of producers, latest first, then groups that read the same data. */
  #candidates(op: Op): Group[] {
    const reads = [...this.#reads.get(op)!];
    const found = new Set<Group>();
    const producers = reads.map((read) => this.groupOf(read)).filter((group) => group !== undefined);
    for (const group of producers.sort((a, b) => b.id - a.id)) found.add(group);
    for (const read of reads) {
      for (const reader of this.#readers.get(read) ?? []) {
        const group = this.groupOf(reader);
        if (group?.kind === 'loop') found.add(group);
      }
    }
    return [...found];
  }

  #tryJoin(group: Group, op: Op): Group | undefined {
    if (group.kind === 'scatter' || group.members.length >= mostMembers) return undefined;
    if (group.kind === 'anchor') return this.#tryEpilogue(group, op);
    const joined = group.with(op);
    if (!joined || !this.#isAllowed(joined) || this.#graph.depend(this.#producersOf(op), group.id))
      return undefined;
    return this.#canLower(joined, op) ? joined : undefined;
  }

  /** Whether a kernel of several phases leaves enough to do in parallel, and is of a form that the device takes. */
  #isAllowed(group: Group): boolean {
    const { capabilities } = this.#options;
    const writes = group.members.filter((op) => this.#isWritten(op, group.members));
    if (!capabilities.multipleOutputs && writes.length > 1) return false;
    if (group.members.reduce((work, op) => work + this.#costs.get(op)!, 0) > mostWork) return false;
    if (!group.reduced.includes(true)) return true;
    const simple =
      group.members.filter((op) => kindOf(op) === 'reduce').length === 1 &&
      !writes.some((op) => group.isFull(op));
    if (simple) return true;
    if (this.#recomputes(group, writes)) return false;
    return (
      capabilities.rowPrograms &&
      (group.points >= capabilities.parallelism || group.size <= capabilities.reduceSplit)
    );
  }

  /** Whether a reduction would compute again, element by element, what another phase stores: dear values are better loaded. */
  #recomputes(group: Group, writes: readonly Op[]): boolean {
    const dear = writes.filter((op) => group.isFull(op) && this.#costs.get(op)! > rowRecomputeLimit);
    const reduces = group.members.filter((op) => kindOf(op) === 'reduce');
    return reduces.some((reduce) => dear.some((op) => this.#reads.get(reduce)!.has(op)));
  }

  /** Whether a group can be lowered with its newest member. The others read no other indices than before. */
  #canLower(group: Group, newest: Op): boolean {
    if (this.#boundBy(group) > this.#options.capabilities.buffersPerKernel) return false;
    return fitted(() => lowerMember(group, newest, this.#isStored)) !== undefined;
  }

  /** Most buffers that the kernel of a group can bind. */
  #boundBy({ members }: Group): number {
    const bound = new Set(members.filter((op) => this.#isWritten(op, members)));
    for (const member of members)
      for (const read of this.#reads.get(member)!) if (!members.includes(read)) bound.add(read);
    return bound.size;
  }

  /** An anchor hands its result to one elementwise root, if no one else wants it and the routine takes the epilogue. */
  #tryEpilogue(group: Group, op: Op): Group | undefined {
    const [anchor] = group.members as [Op];
    if (
      group.members.length > 1 ||
      kindOf(op) === 'reduce' ||
      this.#graph.depend(this.#producersOf(op), group.id)
    )
      return undefined;
    if (this.#outputs.has(anchor) || this.#readers.get(anchor)!.length > 1) return undefined;
    const joined = new Group(group.id, 'anchor', domainOf(anchor), [anchor, op], group.inlines);
    const lowered = fitted(() => lowerAnchor(anchor, op, this.#isStored));
    if (!lowered || lowered.bindings.length > this.#options.capabilities.buffersPerKernel) return undefined;
    return this.#options.routine(lowered.kernel) ? joined : undefined;
  }

  /** Values to store because a kernel, even alone, would bind more buffers than the device allows. */
  overfull(): Op[] {
    const limit = this.#options.capabilities.buffersPerKernel;
    const split: Op[] = [];
    for (const group of this.#groups.values()) {
      if (group.kind === 'anchor' || group.members.length > 1 || this.#boundBy(group) <= limit) continue;
      if (this.#lower(group).bindings.length <= limit) continue;
      const [root] = group.members as [Op];
      const operand = this.#largestOperand(root, limit);
      if (operand) split.push(operand);
    }
    return split;
  }

  /** What is computed in place in a kernel and needs the most buffers, without being nearly all of the kernel again. */
  #largestOperand(root: Op, limit: number): Op | undefined {
    const reads = new Map<Op, ReadonlySet<Op>>();
    let largest: Op | undefined;
    for (const op of topological([root], this.#isStored)) {
      if (op === root || this.#isStored(op)) {
        reads.set(op, new Set([op]));
        continue;
      }
      const own = new Set<Op>();
      const loaded = op.op === 'barrier' ? op.inputs.slice(0, 1) : op.inputs;
      for (const input of loaded) for (const read of reads.get(input)!) if (own.size < limit) own.add(read);
      reads.set(op, own);
      const computes = kindOf(op) === 'elementwise' || kindOf(op) === 'indexing';
      const fits = computes && own.size > 1 && own.size < limit;
      if (fits && (!largest || own.size > reads.get(largest)!.size)) largest = op;
    }
    return largest;
  }

  finish(): ScheduledGroup[] {
    return this.#graph.sorted().map((id) => {
      const group = this.#groups.get(id)!;
      return { group, lowered: this.#lower(group) };
    });
  }

  #lower(group: Group): Lowered<Kernel | Anchor> {
    const [first, second] = group.members as [Op, Op?];
    if (group.kind === 'anchor') return lowerAnchor(first, second, this.#isStored);
    if (isOp(first, 'scatter')) return lowerScatter(first, this.#isStored);
    return lowerGroup(group, this.#isStored, (op) => this.#isWritten(op, group.members));
  }
}

/** What `lower` makes, or undefined where that kernel cannot be. */
function fitted<T>(lower: () => T): T | undefined {
  try {
    return lower();
  } catch (error) {
    if (error instanceof FusionRejected) return undefined;
    throw error;
  }
}
