/** The stores of one iteration of a map phase. All values are computed before the first of them is stored. */
import { bare, type MapPhase, type Store } from '@tutti/core/backend';
import { laneStore } from './lanes.ts';
import type { Values } from './values.ts';

/** A store with what one iteration stores. */
interface Pending {
  readonly store: Store;
  readonly index: string;
  readonly value: string;
  readonly guard: string | undefined;
}

/** A lane of packs, which are stored later. */
export interface PackedLane {
  readonly lane: string;
  readonly packs: ReadonlyMap<Store, readonly string[]>;
}

export interface StoreOptions {
  /** A condition under which a copy exists. */
  readonly exists?: ((copy: number) => string) | undefined;
  readonly packed?: PackedLane;
}

/** Stores what these copies of the innermost scope have; all loads have names by now, and no store can change them. */
export function emitStores(
  values: Values,
  { stores }: MapPhase,
  copies: readonly number[],
  { exists, packed }: StoreOptions = {},
): void {
  const { code } = values;
  const pending = copies.map((copy) =>
    stores.map((store): Pending => {
      const isPacked = packed?.packs.has(store) ?? false;
      return {
        store,
        index: isPacked ? '' : values.text(store.index, copy),
        value: values.text(store.value, copy),
        guard: store.guard && values.text(store.guard, copy),
      };
    }),
  );
  for (const [i, copy] of copies.entries()) {
    const plain: Pending[] = [];
    for (const each of pending[i]!) {
      const packs = packed?.packs.get(each.store);
      if (packed && packs) code.line(laneStore(values, each.store, packs[copy]!, packed.lane, each.value));
      else plain.push(each);
    }
    if (plain.length === 0) continue;
    const all = (): void => {
      for (const each of plain) emitStore(values, each);
    };
    if (exists) code.block(`if (${exists(copy)})`, all);
    else all();
  }
}

function emitStore(values: Values, { store, index, value, guard }: Pending): void {
  const { kernel, code } = values;
  const statementOf = (at: string, result: string): string => kernel.store(store.buffer, at, result);
  const update = (): void => {
    const at = code.keep('int', 'n', index);
    code.line(statementOf(at, combined(store, kernel.load(store.buffer, at), value)));
  };
  if (store.mode === 'set') {
    const statement = statementOf(index, value);
    code.line(guard ? `if (${bare(guard)}) ${statement}` : statement);
  } else if (guard) code.block(`if (${bare(guard)})`, update);
  else code.block('', update);
}

/** `current += value` or `max=`. */
export function combined({ mode, value: { type } }: Store, current: string, value: string): string {
  if (type === 'bool') return `(${current} | ${value})`;
  if (mode === 'max') return `tutti_max(${current}, ${value})`;
  return type === 'i32' ? `(int)((unsigned)${current} + (unsigned)${value})` : `(${current} + ${value})`;
}
