/** Which form the stores of a stage to narrow buffers take, and by how many elements the bodies go that make words. */
import type { IndexAnalysis, IndexVariable, Phase, Store } from '@tutti/core/backend';
import { lanesOf } from './memory.ts';
import type { ShaderParameters } from './shader.ts';
import { fillsWords, type StoreForm, type StoreForms } from './stores.ts';

type GroupSize = 1 | 2 | 4;

export interface Forms {
  readonly forms: StoreForms;
  /** Buffers with atomic words. */
  readonly atomic: ReadonlySet<number>;
  /** Buffers that are stored to. */
  readonly stored: ReadonlySet<number>;
}

/** How elements that make up a word come together in one invocation. */
export interface Grouping {
  /** Consecutive points that an invocation runs one after the other; each makes its elements of words that are stored last. */
  readonly points: GroupSize;
  /** Consecutive values of a variable that are copies of a phase's body; 1 for none. */
  readonly copies: ReadonlyMap<Phase, GroupSize>;
}

const isNarrow = (store: Store, { buffers }: ShaderParameters): boolean =>
  lanesOf(buffers[store.buffer]!.dtype) > 1;

const storesOf = (phase: Phase): readonly Store[] => (phase.kind === 'map' ? phase.stores : []);

/** Elements in a word of the narrowest buffer among these. */
function widest(stores: readonly Store[], { buffers }: ShaderParameters): GroupSize {
  return Math.max(1, ...stores.map((store) => lanesOf(buffers[store.buffer]!.dtype))) as GroupSize;
}

/** The size of groups along `variable` in which at least one store of the phase makes words; 1 if there is none. */
export function groupAlong(
  phase: Phase,
  variable: IndexVariable | undefined,
  parameters: ShaderParameters,
  analysis: IndexAnalysis,
): GroupSize {
  if (!variable || phase.kind !== 'map' || phase.order === 'sequential') return 1;
  const size = widest(phase.stores, parameters);
  const making = phase.stores.filter((store) => fillsWords(store, parameters, variable, size, analysis));
  return widest(making, parameters);
}

/** The stores at the place of their point: consecutive points have consecutive elements, from the start of a word on. */
function followsPoints(
  store: Store,
  space: readonly IndexVariable[],
  parameters: ShaderParameters,
  analysis: IndexAnalysis,
): boolean {
  if (!isNarrow(store, parameters) || store.mode !== 'set' || store.guard) return false;
  const offset = analysis.offsetFromRowMajor(store.index, space);
  return offset !== undefined && offset % 4 === 0;
}

/** How many points an invocation should run so that stores of phases without loops make words. */
export function groupOfPoints(
  space: readonly IndexVariable[],
  phases: readonly Phase[],
  parameters: ShaderParameters,
  analysis: IndexAnalysis,
): GroupSize {
  const following = phases
    .filter((phase) => phase.loops.length === 0)
    .flatMap(storesOf)
    .filter((store) => followsPoints(store, space, parameters, analysis));
  return widest(following, parameters);
}

/** Settles the form of every store. A buffer with one atomic store, or with several that make words, is atomic throughout. */
export function formsOf(
  space: readonly IndexVariable[],
  phases: readonly Phase[],
  grouping: Grouping,
  groupVariable: (phase: Phase) => IndexVariable | undefined,
  parameters: ShaderParameters,
  analysis: IndexAnalysis,
): Forms {
  const makesWords = (phase: Phase, store: Store): boolean => {
    const size = grouping.copies.get(phase) ?? 1;
    const variable = groupVariable(phase);
    if (size > 1 && variable) return fillsWords(store, parameters, variable, size, analysis);
    return (
      grouping.points > 1 && phase.loops.length === 0 && followsPoints(store, space, parameters, analysis)
    );
  };
  const narrow = phases.flatMap((phase) =>
    storesOf(phase)
      .filter((store) => isNarrow(store, parameters))
      .map((store) => ({ store, words: makesWords(phase, store) })),
  );
  const atomic = new Set<number>();
  for (const { store, words } of narrow) {
    const alone = narrow.every((other) => other.store === store || other.store.buffer !== store.buffer);
    if (!words || !alone) atomic.add(store.buffer);
  }
  const forms = new Map<Store, StoreForm>();
  const stored = new Set<number>();
  for (const store of phases.flatMap(storesOf)) {
    stored.add(store.buffer);
    forms.set(store, !isNarrow(store, parameters) ? 'element' : atomic.has(store.buffer) ? 'atomic' : 'word');
  }
  return { forms, atomic, stored };
}
