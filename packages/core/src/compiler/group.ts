import { sameShape } from '../tensor/shape.ts';
import { kindOf, type Op } from './op.ts';

/** Extents other than 1: two tensors with equal ones are stepped through alike. */
const longExtents = (shape: readonly number[]): number[] => shape.filter((extent) => extent !== 1);

export type GroupKind = 'loop' | 'anchor' | 'scatter';

/**
 * Ops that run as one kernel.
 *
 * A loop group steps through a domain, some of whose dimensions may be reduced: those form the row of a row program, the
 * others its space. A member is a reduction over the row, or spans the full domain, or only the space. An anchor group is
 * an anchor and at most one member that takes its result: the epilogue.
 */
export class Group {
  readonly id: number;
  readonly kind: GroupKind;
  readonly domain: readonly number[];
  readonly reduced: readonly boolean[];
  readonly members: readonly Op[];
  /** True for ops that the group computes in place for itself, rather than loading them. */
  readonly inlines: (op: Op) => boolean;

  constructor(
    id: number,
    kind: GroupKind,
    domain: Domain,
    members: readonly Op[],
    inlines: (op: Op) => boolean,
  ) {
    this.id = id;
    this.kind = kind;
    this.domain = domain.extents;
    this.reduced = domain.reduced;
    this.members = members;
    this.inlines = inlines;
  }

  /** The group with one more member, or undefined where its domain does not fit. */
  with(member: Op): Group | undefined {
    const own = { extents: this.domain, reduced: this.reduced };
    const domain = joinDomains(
      own,
      domainOf(member),
      kindOf(member) === 'reduce',
      this.members.some((op) => kindOf(op) === 'reduce'),
    );
    return domain && new Group(this.id, this.kind, domain, [...this.members, member], this.inlines);
  }

  isFull(member: Op): boolean {
    return kindOf(member) !== 'reduce' && sameShape(longExtents(member.shape), this.domain);
  }

  /** Number of points that can run in parallel. */
  get points(): number {
    return this.domain.reduce((n, extent, i) => (this.reduced[i] ? n : n * extent), 1);
  }

  /** Number of elements that the loops visit. */
  get size(): number {
    return this.domain.reduce((n, extent) => n * extent, 1);
  }

  name(): string {
    const names = this.members.map((op) => op.op);
    return names.length > 4 ? `${names.slice(0, 3).join('_')}_and_${names.length - 3}` : names.join('_');
  }
}

export interface Domain {
  readonly extents: readonly number[];
  readonly reduced: readonly boolean[];
}

/** What has to be stepped through to compute one op: for a reduction the extents of its operand. */
export function domainOf(op: Op): Domain {
  if (kindOf(op) !== 'reduce') {
    const extents = longExtents(op.shape);
    return { extents, reduced: extents.map(() => false) };
  }
  const { shape } = op.inputs[0]!;
  const attributes = op.attributes as { readonly axes?: readonly number[]; readonly axis?: number };
  const axes = attributes.axes ?? [attributes.axis!];
  const long = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1);
  return { extents: long.map((axis) => shape[axis]!), reduced: long.map((axis) => axes.includes(axis)) };
}

/**
 * The domain that serves a group and a newcomer. A reduction over axes of extent 1 reduces no dimension of the domain, and
 * holds it to that all the same.
 */
function joinDomains(
  group: Domain,
  member: Domain,
  memberReduces: boolean,
  holdsReduction: boolean,
): Domain | undefined {
  const groupReduces = group.reduced.includes(true);
  if (memberReduces) {
    if (!sameShape(group.extents, member.extents)) return undefined;
    if (!holdsReduction) return member;
    return group.reduced.every((reduced, i) => reduced === member.reduced[i]) ? group : undefined;
  }
  if (sameShape(group.extents, member.extents)) return group;
  const space = group.extents.filter((_, i) => !group.reduced[i]);
  return groupReduces && sameShape(space, member.extents) ? group : undefined;
}
