/**
 * The loops of a phase. One thread runs them all; or the threads that share a point share its innermost loops, each taking every so
 * many-th iteration.
 */
import { divisorNear, type IndexVariable, type Schedule, Scope, sizeOf } from '@tutti/core/backend';
import type { Sharing } from './accumulate.ts';
import type { Code } from './code.ts';
import { decodePoint } from './decode.ts';
import type { LanePlan } from './lane-plan.ts';
import { Lanes } from './lanes.ts';
import type { PackedLane } from './stores.ts';
import type { Values } from './values.ts';

/** How a phase's loops are run. */
export interface LoopPlan {
  /** Run by every thread from beginning to end, outermost first. */
  readonly outer: readonly IndexVariable[];
  /** Flattened, and shared among threads; or one loop that is not shared; or none. */
  readonly inner: readonly IndexVariable[];
  /** Variables that the phase names. */
  readonly used: ReadonlySet<IndexVariable>;
  /** Neighbouring iterations of the innermost loop as lanes. */
  readonly lanes: LanePlan | undefined;
  /** Trips are written out, so that each has registers of its own. */
  readonly kept: boolean;
  /** Trips that compilers should write out one after another. */
  readonly unroll: number;
}

/** One iteration: its number among those of this thread, and its lane, where it has one. */
export interface Turn {
  readonly trip: string;
  readonly packed?: PackedLane;
}

export interface LoopBody {
  readonly emit: (turn: Turn) => void;
  /** Names what is known before an iteration computes anything. */
  readonly preset?: (scope: Scope, turn: Pick<Turn, 'trip'>, lane: string | undefined) => void;
  /** What happens around a block of many iterations. */
  readonly begin?: () => void;
  readonly end?: () => void;
}

/** Additions into one f32 accumulator before it is folded into an outer one: bounds the rounding error of long sums. */
const blockLength = 256;

/** Trips of the inner loops that each thread has, and what is left for some of them. */
export interface Trips {
  readonly iterations: number;
  readonly whole: number;
  readonly rest: number;
}

export function tripsOf(inner: readonly IndexVariable[], width: number, sharing: number): Trips {
  const iterations = sizeOf(inner) / width;
  const whole = Math.floor(iterations / sharing);
  return { iterations, whole, rest: iterations - whole * sharing };
}

const isName = (text: string): boolean => /^\w+$/.test(text);

export class Loops {
  readonly #values: Values;
  readonly #code: Code;
  readonly #schedule: Schedule;
  readonly #plan: LoopPlan;
  readonly #sharing: Sharing;
  readonly #body: LoopBody;
  readonly #trips: Trips;

  constructor(values: Values, schedule: Schedule, plan: LoopPlan, sharing: Sharing, body: LoopBody) {
    this.#values = values;
    this.#code = values.code;
    this.#schedule = schedule;
    this.#plan = plan;
    this.#sharing = sharing;
    this.#body = body;
    this.#trips = tripsOf(plan.inner, plan.lanes?.width ?? 1, sharing.count);
  }

  emit(): void {
    this.#outer(0);
  }

  #outer(level: number): void {
    const variable = this.#plan.outer[level];
    if (!variable) {
      if (this.#plan.inner.length === 0) this.#once();
      else if (this.#plan.kept) this.#keptTrips();
      else this.#inner();
      return;
    }
    const name = this.#code.variable(variable.name);
    this.#code.counted(name, variable.extent, () => {
      const scope = new Scope(2 + level);
      scope.bind(variable, name);
      this.#values.open(scope);
      this.#values.settle(this.#schedule);
      this.#outer(level + 1);
      this.#values.close();
    });
  }

  /** A phase without loops. */
  #once(): void {
    this.#values.open(new Scope(this.#schedule.scopes.body));
    this.#values.settle(this.#schedule);
    this.#body.emit({ trip: '0' });
    this.#values.close();
  }

  /** The iteration's number among those of all threads. */
  #turn(trip: string): string {
    const { count, index } = this.#sharing;
    if (count === 1) return trip;
    return trip === '0' ? index : `${isName(trip) ? trip : `(${trip})`} * ${count} + ${index}`;
  }

  #keptTrips(): void {
    const { iterations, whole, rest } = this.#trips;
    const total = whole + (rest > 0 ? 1 : 0);
    const one = (trip: string): void => {
      const turn = this.#code.keep('int', 'k', this.#turn(trip));
      const checked = rest > 0;
      const condition =
        total > 1 ? `${trip} < ${whole} || ${turn} < ${iterations}` : `${turn} < ${iterations}`;
      if (checked) this.#code.block(`if (${condition})`, () => this.#iteration(turn, trip));
      else this.#iteration(turn, trip);
    };
    if (total === 1) {
      one('0');
      return;
    }
    const trip = this.#code.name('g');
    this.#code.counted(trip, total, () => one(trip), 'all');
  }

  #inner(): void {
    const { whole, rest } = this.#trips;
    const { lanes, unroll, outer } = this.#plan;
    const { begin, end } = this.#body;
    const width = lanes?.width ?? 1;
    const one = (trip: string): void => {
      const turn = this.#turn(trip);
      this.#iteration(isName(turn) ? turn : this.#code.keep('int', 'k', turn), trip);
    };
    if (whole === 1) one('0');
    else if (begin && end && whole * width > 2 * blockLength) this.#inBlocks(whole, width, one);
    else if (whole > 1) {
      const blocked = begin && end && outer.length > 0 && whole * width * sizeOf(outer) > 2 * blockLength;
      if (blocked) begin();
      this.#counted(whole, one, unroll);
      if (blocked) end();
    }
    if (rest > 0) {
      const turn = this.#code.keep('int', 'k', this.#turn(`${whole}`));
      this.#code.block(`if (${turn} < ${this.#trips.iterations})`, () => this.#iteration(turn, `${whole}`));
    }
  }

  #counted(trips: number | string, body: (trip: string) => void, unroll: number): void {
    const trip = this.#code.name('g');
    const all = typeof trips === 'number' && trips <= unroll;
    this.#code.counted(trip, trips, () => body(trip), all ? 'all' : unroll > 1 ? unroll : undefined);
  }

  #inBlocks(trips: number, width: number, one: (trip: string) => void): void {
    const length = divisorNear(trips, blockLength / width);
    const block = this.#code.name('g');
    this.#code.counted(block, Math.ceil(trips / length), () => {
      this.#body.begin!();
      const start = this.#code.keep('int', 'k', `${block} * ${length}`);
      const left = `${trips} - ${start}`;
      const stop =
        trips % length === 0
          ? length
          : this.#code.keep('int', 'k', `${left} < ${length} ? ${left} : ${length}`);
      this.#counted(stop, (trip) => one(`${start} + ${trip}`), this.#plan.unroll);
      this.#body.end!();
    });
  }

  /** The iterations with the number `turn`; `trip` is its number among those of this thread. */
  #iteration(turn: string, trip: string): void {
    const { inner, lanes, used } = this.#plan;
    const { body } = this.#schedule.scopes;
    const last = inner.at(-1)!;
    if (!lanes) {
      this.#within(new Scope(body), turn, inner, used, (scope) => {
        this.#body.preset?.(scope, { trip }, undefined);
        this.#values.settle(this.#schedule);
        this.#body.emit({ trip });
      });
      return;
    }
    const unit: IndexVariable = { name: 'u', extent: last.extent / lanes.width };
    const units = [...inner.slice(0, -1), unit];
    this.#within(new Scope(body - 1), turn, units, new Set([...used, unit]), (scope) => {
      this.#values.settle(this.#schedule);
      const number = scope.variables.get(unit)![0]!;
      const first = this.#code.keep('int', 'n', `${number} * ${lanes.width}`);
      new Lanes(this.#values, this.#schedule, lanes, { firsts: [first] }).emit(
        (_, lane, packs) => this.#body.emit({ trip, packed: { lane, packs } }),
        (lane, name) => this.#body.preset?.(lane, { trip }, name),
      );
    });
  }

  /** Opens a scope in which the variables are bound to what they are in a turn. */
  #within(
    scope: Scope,
    turn: string,
    variables: readonly IndexVariable[],
    used: ReadonlySet<IndexVariable>,
    body: (scope: Scope) => void,
  ): void {
    if (variables.length === 1) scope.bind(variables[0]!, turn);
    else {
      const place = this.#code.keep('unsigned', 'q', `(unsigned)${turn}`);
      for (const [variable, name] of decodePoint(this.#code, place, variables, used))
        scope.bind(variable, name);
    }
    this.#values.open(scope);
    body(scope);
    this.#values.close();
  }
}
