/**
 * Merges neighbouring dimensions of a kernel's space, or of a phase's loops, where all indices step through them as through
 * one: the elementwise kernel of a contiguous 4-d tensor becomes a loop over one dimension.
 */
import type { Epilogue, Expression, IndexVariable, Kernel, Phase } from '../backend/index.ts';
import type { IndexBuilder } from './index-math.ts';

type Rewrite = (expression: Expression) => Expression;

export function mergeDimensions(builder: IndexBuilder, kernel: Kernel): Kernel {
  let current = kernel;
  for (let i = current.space.length - 1; i > 0; i--) {
    const merged = mergePair(builder, current.space, i - 1, (space, rewrite) => ({
      ...current,
      space,
      phases: current.phases.map((phase) => rewritePhase(phase, rewrite)),
    }));
    if (merged) current = merged;
  }
  for (const p of current.phases.keys()) {
    for (let i = current.phases[p]!.loops.length - 1; i > 0; i--) {
      const phase = current.phases[p]!;
      const merged = mergePair(builder, phase.loops, i - 1, (loops, rewrite) => ({
        ...current,
        phases: current.phases.map((other, q) =>
          q === p ? rewritePhase({ ...phase, loops }, rewrite) : other,
        ),
      }));
      if (merged) current = merged;
    }
  }
  return current;
}

/** Replaces variables `at` and `at + 1` by one. Undefined when that would bring a division into an index. */
function mergePair(
  builder: IndexBuilder,
  variables: readonly IndexVariable[],
  at: number,
  apply: (variables: IndexVariable[], rewrite: Rewrite) => Kernel,
): Kernel | undefined {
  const outer = variables[at]!;
  const inner = variables[at + 1]!;
  const variable: IndexVariable = { name: `${outer.name}${inner.name}`, extent: outer.extent * inner.extent };
  const index = builder.index(variable);
  const replace = new Map([
    [outer, builder.divideIndex(index, inner.extent)],
    [inner, builder.remainderIndex(index, inner.extent)],
  ]);
  const rewrite = builder.rewriter(replace);
  const kernel = apply([...variables.slice(0, at), variable, ...variables.slice(at + 2)], rewrite);
  return dividesBy(kernel, index) ? undefined : kernel;
}

function dividesBy(kernel: Kernel, index: Expression): boolean {
  const seen = new Set<Expression>();
  const found = (e: Expression): boolean => {
    if (seen.has(e)) return false;
    seen.add(e);
    if (e.op === 'load') return found(e.index) || (e.guard !== undefined && found(e.guard));
    if (e.op !== 'alu') return false;
    if ((e.alu === 'idiv' || e.alu === 'rem') && e.args[0] === index) return true;
    return e.args.some(found);
  };
  return kernel.phases.some((phase) => expressionsOf(phase).some(found));
}

/** The roots of all expressions of a phase. */
export function expressionsOf(phase: Phase): Expression[] {
  if (phase.kind === 'reduce')
    return phase.accumulators.flatMap((a) => (a.position ? [a.value, a.position] : [a.value]));
  return phase.stores.flatMap((s) => (s.guard ? [s.index, s.value, s.guard] : [s.index, s.value]));
}

export function rewritePhase(phase: Phase, rewrite: Rewrite): Phase {
  if (phase.kind === 'reduce') {
    const accumulators = phase.accumulators.map((a) => ({
      ...a,
      value: rewrite(a.value),
      ...(a.position ? { position: rewrite(a.position) } : {}),
    }));
    return { ...phase, accumulators };
  }
  const stores = phase.stores.map((s) => ({
    ...s,
    index: rewrite(s.index),
    value: rewrite(s.value),
    ...(s.guard ? { guard: rewrite(s.guard) } : {}),
  }));
  return { ...phase, stores };
}

/** Merges neighbouring dimensions of an epilogue, whose element index is the row-major index of its space. */
export function mergeSpace(builder: IndexBuilder, epilogue: Epilogue, flat: Expression): Epilogue {
  const store = { buffer: 0, index: flat, value: epilogue.value, mode: 'set' as const };
  const phases: Phase[] = [{ kind: 'map', loops: [], order: 'parallel', stores: [store] }];
  const kernel: Kernel = {
    kind: 'kernel',
    name: 'epilogue',
    buffers: [],
    scalars: [],
    space: epilogue.space,
    phases,
  };
  const merged = mergeDimensions(builder, kernel);
  const [phase] = merged.phases as [Extract<Phase, { kind: 'map' }>];
  return { space: merged.space, value: phase.stores[0]!.value };
}
