/**
 * Values of a row that several phases need, and that threads keep in registers from the phase that first has them: each element is
 * loaded once, though the phases of a softmax go over it three times.
 *
 * Phases have variables of their own, so that expressions are compared with these replaced by the places of their loops.
 */
import {
  dependence,
  type Expression,
  type IndexVariable,
  operands,
  type Phase,
  rootsOf,
  type ScalarType,
} from '@tutti/core/backend';

export interface Kept {
  readonly type: ScalarType;
  /** Numbers the kept values of a stage. */
  readonly number: number;
}

/** What a phase makes for later ones, and what it takes over. */
export interface PhaseKept {
  readonly made: Map<Expression, Kept>;
  readonly taken: Map<Expression, Kept>;
}

/** Phases that go over the same row: their loops have the same extents. Those that go over another have nothing to share. */
export function alikePhases(phases: readonly Phase[]): readonly Phase[] {
  const looped = phases.filter(
    (phase) => phase.loops.length > 0 && !(phase.kind === 'map' && phase.order === 'sequential'),
  );
  const shape = ({ loops }: Phase): string => loops.map(({ extent }) => extent).join(' ');
  const [first] = looped;
  const alike = first ? looped.filter((phase) => shape(phase) === shape(first)) : [];
  return alike.length > 1 ? alike : [];
}

/** @param most Values of a row that there is room for. */
export function planKept(
  phases: readonly Phase[],
  most: number,
  isMutable: (buffer: number) => boolean,
): ReadonlyMap<Phase, PhaseKept> {
  const canon = new Canon();
  const first = new Map<number, { readonly phase: Phase; readonly expression: Expression }>();
  const kept = new Map<number, Kept>();
  const plan = new Map(
    phases.map((phase): [Phase, PhaseKept] => [phase, { made: new Map(), taken: new Map() }]),
  );
  for (const phase of phases) {
    const isWorth = worthKeeping(phase, isMutable);
    const seen = new Set<Expression>();
    const visit = (e: Expression): void => {
      if (seen.has(e)) return;
      seen.add(e);
      if (isWorth(e)) {
        const id = canon.of(e, phase.loops);
        const known = first.get(id);
        if (known && known.phase !== phase) {
          let value = kept.get(id);
          if (!value && kept.size < most) {
            value = { type: e.type, number: kept.size };
            kept.set(id, value);
            plan.get(known.phase)!.made.set(known.expression, value);
          }
          if (value) {
            plan.get(phase)!.taken.set(e, value);
            return;
          }
        }
        if (!known) first.set(id, { phase, expression: e });
      }
      for (const operand of operands(e)) visit(operand);
    };
    for (const root of rootsOf(phase)) visit(root);
  }
  return plan;
}

/** Values that change with the innermost loop, and hold at least one load of what nobody stores to. */
function worthKeeping({ loops }: Phase, isMutable: (buffer: number) => boolean): (e: Expression) => boolean {
  const last = loops.findLast(({ extent }) => extent > 1) ?? loops.at(-1)!;
  const depends = dependence(last);
  const known = new Map<Expression, { loads: boolean; mutable: boolean }>();
  const look = (e: Expression): { loads: boolean; mutable: boolean } => {
    let found = known.get(e);
    if (!found) {
      const under = operands(e).map(look);
      found = {
        loads: e.op === 'load' || under.some(({ loads }) => loads),
        mutable: (e.op === 'load' && isMutable(e.buffer)) || under.some(({ mutable }) => mutable),
      };
      known.set(e, found);
    }
    return found;
  };
  return (e) => {
    if (e.op !== 'load' && e.op !== 'alu') return false;
    const { loads, mutable } = look(e);
    return loads && !mutable && depends(e);
  };
}

/** Numbers expressions, the same for those that are equal but for the loop variables of their phases. */
class Canon {
  readonly #numbers = new Map<string, number>();
  readonly #variables = new Map<IndexVariable, number>();
  readonly #known = new Map<readonly IndexVariable[], Map<Expression, number>>();

  of(e: Expression, loops: readonly IndexVariable[]): number {
    let known = this.#known.get(loops);
    if (!known) {
      known = new Map();
      this.#known.set(loops, known);
    }
    let number = known.get(e);
    if (number === undefined) {
      number = numbered(this.#numbers, this.#key(e, loops));
      known.set(e, number);
    }
    return number;
  }

  #key(e: Expression, loops: readonly IndexVariable[]): string {
    const under = operands(e)
      .map((operand) => this.of(operand, loops))
      .join(' ');
    switch (e.op) {
      case 'const':
        return `const ${e.type} ${Object.is(e.value, -0) ? '-0' : e.value}`;
      case 'index': {
        const place = loops.indexOf(e.variable);
        return place >= 0 ? `loop ${place}` : `variable ${numbered(this.#variables, e.variable)}`;
      }
      case 'scalar':
        return `scalar ${e.param}`;
      case 'accumulator':
        return `accumulator ${e.id}`;
      case 'load':
        return `load ${e.buffer} ${under}`;
      case 'alu':
        return `${e.alu} ${e.type} ${under}`;
    }
  }
}

function numbered<K>(numbers: Map<K, number>, key: K): number {
  const number = numbers.get(key) ?? numbers.size;
  numbers.set(key, number);
  return number;
}
