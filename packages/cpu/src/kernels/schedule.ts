/**
 * The order of evaluation for one phase: every value the phase needs, operands first, and which of them go to a local.
 *
 * A value is stored when something deeper uses it (that is what hoists it out of a loop) or when it has two users. The rest is
 * written out where it is used. Stored values are computed unconditionally: expressions are pure and never trap.
 */
import type { Expression, Store } from '@tutti/core/backend';
import type { GraphPhase } from './graph.ts';
import type { Form, Lens, Use } from './lens.ts';

export interface Item extends Use {
  readonly depth: number;
  stored: boolean;
}

const isFree = ({ expression, form }: Use): boolean =>
  expression.op === 'const' ||
  (expression.op === 'accumulator' && form !== 'splat') ||
  (expression.op === 'index' && form === 'scalar');

export class Schedule {
  readonly lens: Lens;
  /** Operands before users. */
  readonly items: readonly Item[];

  constructor(lens: Lens, roots: readonly Use[]) {
    this.lens = lens;
    const items: Item[] = [];
    const known = new Map<Form, Map<Expression, Item>>([
      ['scalar', new Map()],
      ['splat', new Map()],
      ['vector', new Map()],
    ]);
    const visit = (use: Use, userDepth: number): void => {
      const ofForm = known.get(use.form)!;
      let item = ofForm.get(use.expression);
      if (item) {
        item.stored = !isFree(use);
        return;
      }
      const depth = lens.depth(use.expression);
      item = { ...use, depth, stored: !isFree(use) && depth < userDepth };
      ofForm.set(use.expression, item);
      for (const input of lens.inputs(use)) visit(input, depth);
      items.push(item);
    };
    for (const root of roots) visit(root, lens.bodyDepth);
    this.items = items;
  }

  storedAt(depth: number): readonly Item[] {
    return this.items.filter((item) => item.stored && item.depth === depth);
  }
}

/** What a phase's body stores, to buffers or to scratch memory. */
export function storesOf(phase: GraphPhase): readonly Store[] {
  const stores = phase.kind === 'map' ? phase.stores : [];
  return phase.keep ? [...stores, ...phase.keep] : stores;
}

/** What a phase's body reads, in scalar code or in the vector code of `lens`. */
export function phaseRoots(lens: Lens): readonly Use[] {
  const { phase } = lens;
  const stored = storesOf(phase).flatMap((store) => {
    const address = lens.accessUse(lens.access(store.buffer, store.index));
    const guard = store.guard ? [lens.control(store.guard)] : [];
    return [lens.use(store.value), address, ...guard];
  });
  const accumulators = phase.kind === 'reduce' ? phase.accumulators : [];
  const reduced = accumulators.flatMap((a) => (a.position ? [a.value, a.position] : [a.value]));
  return [...reduced.map((e) => lens.use(e)), ...stored];
}
