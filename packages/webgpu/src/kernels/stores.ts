/** The stores of a map phase: which form each takes, and its code. */
import type { IndexAnalysis, IndexVariable, MapPhase, Store } from '@tutti/core/backend';
import { lanesOf, maskOf, pack, packWord } from './memory.ts';
import type { ShaderParameters } from './shader.ts';
import type { Values } from './values.ts';

/**
 * - `element`: the element is a word.
 * - `word`: one invocation has consecutive elements, and stores whole words of them.
 * - `atomic`: bits of a word that other invocations store to as well.
 */
export type StoreForm = 'element' | 'word' | 'atomic';

export type StoreForms = ReadonlyMap<Store, StoreForm>;

/** Whether stores of consecutive values of `variable`, in groups of `size`, can be whole words. */
export function fillsWords(
  store: Store,
  { buffers }: ShaderParameters,
  variable: IndexVariable,
  size: number,
  analysis: IndexAnalysis,
): boolean {
  const lanes = lanesOf(buffers[store.buffer]!.dtype);
  if (lanes === 1 || lanes > size || store.mode !== 'set' || store.guard) return false;
  return analysis.isAligned(store.index, variable, size, lanes);
}

/** A store with what one copy of the body stores. */
interface Pending {
  readonly store: Store;
  readonly index: string;
  readonly value: string;
  readonly guard: string | undefined;
}

/** Where a group of copies goes on past the end of its variable. */
export interface Tail {
  /** A condition under which the group is whole. */
  readonly whole: string;
  /** Copies of the last group that exist. */
  readonly count: number;
  /** A condition under which a copy exists. */
  readonly exists: (copy: number) => string;
}

/** What limits stores, or takes them over. */
export interface StoreOptions {
  /** A condition under which a copy exists. */
  readonly exists?: (copy: number) => string;
  readonly tail?: Tail | undefined;
  /** Takes values of stores that make words of several points. */
  readonly collect?: (store: Store, value: string) => void;
}

export class Stores {
  readonly #values: Values;
  readonly #phase: MapPhase;
  readonly #forms: StoreForms;

  constructor(values: Values, phase: MapPhase, forms: StoreForms) {
    this.#values = values;
    this.#phase = phase;
    this.#forms = forms;
  }

  /** Stores what all copies of the innermost scope have. All values are computed before the first of them is stored. */
  emit({ exists, tail, collect }: StoreOptions = {}): void {
    const { scope } = this.#values;
    const copies = Array.from({ length: scope.copies }, (_, copy) => copy);
    const pending = this.#phase.stores.map((store) => copies.map((copy) => this.#evaluate(store, copy)));
    for (const [i, store] of this.#phase.stores.entries()) {
      if (this.#forms.get(store) !== 'word') continue;
      if (collect) collect(store, pending[i]![0]!.value);
      else this.#words(store, pending[i]!, tail);
    }
    for (const copy of copies) {
      const parts = pending
        .map((each) => each[copy]!)
        .filter(({ store }) => this.#forms.get(store) !== 'word');
      this.#guarded(parts.length > 0 ? (exists ?? tail?.exists)?.(copy) : undefined, () => {
        for (const part of parts) this.#one(part);
      });
    }
  }

  #guarded(condition: string | undefined, body: () => void): void {
    if (condition === undefined) body();
    else this.#values.code.block(`if (${condition})`, body);
  }

  #evaluate(store: Store, copy: number): Pending {
    // All loads have names: what a text still computes, no store can change.
    return {
      store,
      index: this.#values.text(store.index, copy),
      value: this.#values.text(store.value, copy),
      guard: store.guard && this.#values.text(store.guard, copy),
    };
  }

  #one({ store, index, value, guard }: Pending): void {
    this.#guarded(guard, () => {
      const { shader, code } = this.#values;
      const { dtype } = shader.parameters.buffers[store.buffer]!;
      const at = store.mode === 'set' ? index : code.keep('v', index);
      const result = store.mode === 'set' ? value : combined(store, shader.load(store.buffer, at), value);
      if (this.#forms.get(store) === 'atomic')
        code.line(shader.storeAtomic(store.buffer, at, pack(dtype, result)));
      else code.line(`${shader.buffer(store.buffer)}[${at}] = ${result};`);
    });
  }

  #words(store: Store, copies: readonly Pending[], tail: Tail | undefined): void {
    const { shader, code } = this.#values;
    const { dtype } = shader.parameters.buffers[store.buffer]!;
    const lanes = lanesOf(dtype);
    const first = code.keep('w', this.#values.wordIndex(store.index, 0, lanes));
    const words: string[] = [];
    for (let i = 0; i < copies.length; i += lanes) {
      const values = copies.slice(i, i + lanes).map(({ value }) => value);
      words.push(code.keep('w', packWord(dtype, values)));
    }
    storeWords(this.#values, store.buffer, first, words, tail);
  }
}

/** Stores consecutive words from `first` on; of the last group only the elements that exist, beside what is there. */
export function storeWords(
  { shader, code }: Values,
  buffer: number,
  first: string,
  words: readonly string[],
  tail: Pick<Tail, 'whole' | 'count'> | undefined,
): void {
  const { dtype } = shader.parameters.buffers[buffer]!;
  const lanes = lanesOf(dtype);
  const place = (i: number): string => `${shader.buffer(buffer)}[${i === 0 ? first : `${first} + ${i}`}]`;
  const whole = (): void => {
    for (const [i, word] of words.entries()) code.line(`${place(i)} = ${word};`);
  };
  if (!tail) {
    whole();
    return;
  }
  code.block(`if (${tail.whole})`, whole);
  code.block('else', () => {
    for (const [i, word] of words.entries()) {
      const count = Math.min(tail.count - i * lanes, lanes);
      if (count <= 0) break;
      const mask = maskOf(dtype, count);
      const value = count === lanes ? word : `(${place(i)} & ~${mask}) | (${word} & ${mask})`;
      code.line(`${place(i)} = ${value};`);
    }
  });
}

/** `current += value` or `max=`. */
function combined({ mode, value: { type } }: Store, current: string, value: string): string {
  if (mode === 'add') return type === 'bool' ? `(${current} | ${value})` : `(${current} + ${value})`;
  if (type === 'bool') return `(${current} | ${value})`;
  return type === 'f32' ? `max_f32(${current}, ${value})` : `max(${current}, ${value})`;
}
