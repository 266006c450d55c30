/**
 * Keeps what two phases of a row program both compute: the exp of a softmax, which is summed first and divided later.
 *
 * The first phase stores the value to the thread's scratch memory as it goes, and the later ones load it. The row must fit the
 * first-level cache beside the row itself, and the value must cost more than the store and the load.
 */
import {
  type Expression,
  type IndexVariable,
  operands,
  type Store,
  visitExpressions,
} from '@tutti/core/backend';
import type { Graph, GraphPhase } from './graph.ts';
import { type MathName, mathCosts } from './math/index.ts';

/** Elements of a row that are kept at most: 32 KiB of f32. */
const longestRow = 8192;
/** Nanoseconds for four lanes from which keeping pays. */
const worthKeeping = 2;

const rootsOf = (phase: GraphPhase): Expression[] =>
  phase.kind === 'reduce'
    ? phase.accumulators.flatMap((a) => (a.position ? [a.value, a.position] : [a.value]))
    : phase.stores.flatMap((s) => (s.guard ? [s.value, s.index, s.guard] : [s.value, s.index]));

/** The graph with repeated row values kept, and the bytes of scratch memory that takes; undefined if there are none. */
export function keepRowValues(graph: Graph): { graph: Graph; bytes: number } | undefined {
  const phases = [...graph.phases];
  const places = [...graph.places];
  let bytes = 0;
  for (let first = 0; first < phases.length; first++) {
    for (let later = first + 1; later < phases.length; later++) {
      const { loops } = phases[first]!;
      const length = loops.reduce((product, loop) => product * loop.extent, 1);
      if (phases[later]!.loops !== loops || loops.length === 0 || length > longestRow) continue;
      if (phases.slice(first, later).some((phase) => phase.kind === 'map')) continue; // it may store to what is loaded
      if (isSequential(phases[later]!)) continue;
      for (const value of repeated(phases[first]!, phases[later]!, loops)) {
        const place = places.push({ dtype: 'float32', from: 'scratch', constant: false, offset: bytes }) - 1;
        bytes += Math.ceil((4 * length) / 64) * 64 + 64;
        const index = rowMajor(graph, loops);
        const keep: Store = { buffer: place, index, value, mode: 'set' };
        phases[first] = { ...phases[first]!, keep: [...(phases[first]!.keep ?? []), keep] };
        const kept = graph.builder.load('f32', place, index);
        for (let k = later; k < phases.length; k++) {
          if (phases[k]!.loops === loops && !isSequential(phases[k]!))
            phases[k] = replaceIn(graph, phases[k]!, new Map([[value, kept]]));
        }
      }
    }
  }
  return bytes > 0 ? { graph: { ...graph, phases, places }, bytes } : undefined;
}

const isSequential = (phase: GraphPhase): boolean => phase.kind === 'map' && phase.order === 'sequential';

const rowMajor = ({ builder }: Graph, loops: readonly IndexVariable[]): Expression =>
  loops.reduce<Expression>(
    (index, loop) =>
      builder.alu(
        'add',
        'i32',
        builder.alu('mul', 'i32', index, builder.int(loop.extent)),
        builder.index(loop),
      ),
    builder.int(0),
  );

/** The outermost expensive floats of a row that both phases compute. */
function repeated(first: GraphPhase, later: GraphPhase, loops: readonly IndexVariable[]): Expression[] {
  const known = new Set<Expression>();
  const costs = new Map<Expression, number>();
  const inner = loops.at(-1)!;
  visitExpressions(rootsOf(first), (e) => {
    known.add(e);
    const below = operands(e).reduce((sum, operand) => sum + (costs.get(operand) ?? 0), 0);
    const own = e.op === 'alu' ? (mathCosts[e.alu as MathName] ?? 0) : 0;
    // What does not change along the row is computed once anyway.
    const inRow = e.op === 'index' ? e.variable === inner : operands(e).some((operand) => costs.has(operand));
    if (inRow) costs.set(e, below + own);
  });
  const found: Expression[] = [];
  const seen = new Set<Expression>();
  const search = (e: Expression): void => {
    if (seen.has(e)) return;
    seen.add(e);
    if (known.has(e) && e.type === 'f32' && e.op === 'alu' && (costs.get(e) ?? 0) >= worthKeeping)
      found.push(e);
    else operands(e).forEach(search);
  };
  rootsOf(later).forEach(search);
  return found;
}

/** The phase with expressions replaced, and what is built from them rebuilt. */
export function replaceIn(
  graph: Graph,
  phase: GraphPhase,
  replacements: ReadonlyMap<Expression, Expression>,
): GraphPhase {
  const done = new Map(replacements);
  const rebuild = (e: Expression): Expression => {
    let result = done.get(e);
    if (!result) {
      result = graph.builder.rebuild(e, rebuild);
      done.set(e, result);
    }
    return result;
  };
  if (phase.kind === 'reduce') {
    const accumulators = phase.accumulators.map((a) => ({
      ...a,
      value: rebuild(a.value),
      ...(a.position ? { position: rebuild(a.position) } : {}),
    }));
    return { ...phase, accumulators };
  }
  const stores = phase.stores.map((s) => ({
    ...s,
    index: rebuild(s.index),
    value: rebuild(s.value),
    ...(s.guard ? { guard: rebuild(s.guard) } : {}),
  }));
  return { ...phase, stores };
}
