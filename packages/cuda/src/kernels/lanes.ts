/**
 * Lanes: neighbouring values of one variable that a thread runs together, so that their elements are loaded and stored in accesses of up
 * to 16 bytes. A loop over the lanes, which compilers write out, computes them; what does not depend on the variable is computed before.
 *
 *     const tutti_pack<float, 4> x0 = tutti_load<4>(b0 + n0);
 *     tutti_pack<float, 4> y0;
 *     for (int v = 0; v < 4; ++v) y0.at[v] = expf(x0.at[v]);
 *     tutti_store<4>(b1 + n0, y0);
 */
import {
  type Expression,
  type LoadExpression,
  operands,
  rootsOf,
  type Schedule,
  Scope,
  type Store,
} from '@tutti/core/backend';
import { typeName } from './code.ts';
import type { LanePlan } from './lane-plan.ts';
import { elementType, isPlain, narrowed, widened } from './memory.ts';
import type { Values } from './values.ts';

/** Where the lanes of an iteration are, for each copy. */
export interface LanePlace {
  /** The text of the variable's first value. */
  readonly firsts: readonly string[];
  /** Indices of which the text in the first lane is known. They grow by one with each lane. */
  readonly positions?: ReadonlyMap<Expression, readonly string[]>;
  /** A condition under which a copy is stored. */
  readonly exists?: ((copy: number) => string) | undefined;
}

/** The lanes of one iteration, or of several side by side: one for each copy of the scope around. */
export class Lanes {
  readonly #values: Values;
  readonly #schedule: Schedule;
  readonly #plan: LanePlan;
  readonly #place: LanePlace;
  /** Depth of what differs between lanes. */
  readonly #depth: number;

  constructor(values: Values, schedule: Schedule, plan: LanePlan, place: LanePlace) {
    this.#values = values;
    this.#schedule = schedule;
    this.#plan = plan;
    this.#place = place;
    this.#depth = schedule.scopes.body;
  }

  /**
   * Loads, computes and stores. `body` emits one lane of one copy, with the packs of the stores that have one; `preset` names what is
   * known of a lane.
   */
  emit(
    body: (copy: number, lane: string, packs: ReadonlyMap<Store, readonly string[]>) => void,
    preset?: (scope: Scope, lane: string) => void,
  ): void {
    const { code } = this.#values;
    const { width, variable, stores } = this.#plan;
    const { firsts, positions = new Map() } = this.#place;
    const loads = this.#loads();
    const packs = new Map([...stores].map((store) => [store, firsts.map(() => this.#pack(store))]));
    const needed = this.#neededInLanes();
    const lane = code.name('v');
    code.counted(
      lane,
      width,
      () => {
        const scope = new Scope(this.#depth, firsts.length);
        for (const [load, names] of loads) {
          const lanes = names.map((name) => this.#laneOf(load, `${name}.at[${lane}]`));
          scope.names.set(load, lanes);
        }
        scope.bind(variable, ...firsts.map((first) => `(${first} + ${lane})`));
        for (const [index, names] of positions)
          scope.names.set(
            index,
            names.map((name: string) => `(${name} + ${lane})`),
          );
        this.#values.open(scope);
        preset?.(scope, lane);
        this.#values.settle(this.#schedule, scope, (e) => needed.has(e));
        for (const copy of firsts.keys()) body(copy, lane, packs);
        this.#values.close();
      },
      'all',
    );
    for (const [store, names] of packs)
      for (const [copy, name] of names.entries()) this.#store(store, copy, name);
  }

  /** What lanes compute: all but the indices of packs. */
  #neededInLanes(): ReadonlySet<Expression> {
    const needed = new Set<Expression>();
    const { loads, stores, phase } = this.#plan;
    const visit = (e: Expression): void => {
      if (needed.has(e)) return;
      needed.add(e);
      if (e.op !== 'load' || !loads.has(e)) for (const operand of operands(e)) visit(operand);
    };
    const indices = phase.kind === 'map' ? phase.stores.filter((store) => !stores.has(store)) : [];
    const roots =
      phase.kind === 'map'
        ? phase.stores.flatMap(({ value, guard }) => [value, ...(guard ? [guard] : [])])
        : rootsOf(phase);
    for (const root of [...roots, ...indices.map(({ index }) => index)]) visit(root);
    return needed;
  }

  #pack({ buffer }: Store): string {
    const name = this.#values.code.name('y');
    this.#values.code.line(`${this.#packType(buffer)} ${name};`);
    return name;
  }

  #store(store: Store, copy: number, pack: string): void {
    const place = `${this.#values.kernel.buffer(store.buffer)} + ${this.firstIndex(store.index, copy)}`;
    const statement = `tutti_store<${this.#plan.width}>(${place}, ${pack});`;
    const conditions = [this.#place.exists?.(copy), store.guard && this.#values.text(store.guard, copy)];
    const condition = conditions.filter((each) => each !== undefined).join(' && ');
    this.#values.code.line(condition ? `if (${condition}) ${statement}` : statement);
  }

  #packType(buffer: number): string {
    return `tutti_pack<${elementType[this.#values.kernel.parameters.buffers[buffer]!.dtype]}, ${this.#plan.width}>`;
  }

  #loads(): Map<LoadExpression, readonly string[]> {
    const names = new Map<LoadExpression, readonly string[]>();
    for (const { expression } of this.#schedule.items) {
      if (expression.op !== 'load' || !this.#plan.loads.has(expression)) continue;
      names.set(
        expression,
        this.#place.firsts.map((_, copy) => this.#load(expression, copy)),
      );
    }
    return names;
  }

  #load({ buffer, index, guard }: LoadExpression, copy: number): string {
    const type = this.#packType(buffer);
    const place = `${this.#values.kernel.buffer(buffer)} + ${this.firstIndex(index, copy)}`;
    const load = `tutti_load<${this.#plan.width}>(${place})`;
    const text = guard ? `${this.#values.text(guard, copy)} ? ${load} : ${type}{}` : load;
    return this.#values.code.keep(type, 'x', text);
  }

  /** The index of the first lane. */
  firstIndex(index: Expression, copy: number): string {
    const known = this.#place.positions?.get(index);
    if (known) return known[copy]!;
    const scope = new Scope(this.#depth);
    scope.bind(this.#plan.variable, this.#place.firsts[copy]!);
    this.#values.open(scope);
    const text = this.#values.text(index, copy);
    this.#values.close();
    return text;
  }

  #laneOf(load: LoadExpression, element: string): string {
    const { dtype } = this.#values.kernel.parameters.buffers[load.buffer]!;
    const value = widened(dtype, element);
    return isPlain(dtype) ? value : this.#values.code.keep(typeName[load.type], 'x', value);
  }
}

/** A statement that gives a lane of a packed store its value. */
export const laneStore = (
  values: Values,
  { buffer }: Store,
  pack: string,
  lane: string,
  value: string,
): string => `${pack}.at[${lane}] = ${narrowed(values.kernel.parameters.buffers[buffer]!.dtype, value)};`;
