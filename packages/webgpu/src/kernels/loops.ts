/**
 * The loops of a phase. One invocation runs them all; or the invocations that share a point share its innermost loops, each taking
 * every so many-th iteration.
 */
import { divisorNear, type IndexVariable, type Schedule } from '@tutti/core/backend';
import type { Code } from './code.ts';
import { division } from './decode.ts';
import { Scope, type Values } from './values.ts';

/** How a phase's loops are run. */
export interface LoopPlan {
  /** Run by every invocation from beginning to end, outermost first. */
  readonly outer: readonly IndexVariable[];
  /** Flattened, and shared among invocations; or one loop that is not shared; or none. */
  readonly inner: readonly IndexVariable[];
  /** Bodies side by side: iterations of the innermost loop. */
  readonly copies: number;
  /** Copies are consecutive values of the innermost loop, of which the first is a multiple of their number. */
  readonly grouped: boolean;
  /** Software divides integers lane by lane. */
  readonly software: boolean;
}

/** Invocations among which the inner loops are shared. */
export interface Sharing {
  readonly count: number;
  /** The number of this invocation among them, as an i32. */
  readonly index: string;
}

/** Additions into one f32 accumulator before it is folded into an outer one: bounds the rounding error of long sums. */
const blockLength = 256;

/** What happens around a block of iterations. */
export interface Blocks {
  readonly begin: () => void;
  readonly end: () => void;
}

export class Loops {
  readonly #values: Values;
  readonly #code: Code;
  readonly #schedule: Schedule;
  readonly #plan: LoopPlan;
  readonly #sharing: Sharing;
  readonly #blocks: Blocks | undefined;
  readonly #body: () => void;

  /** `body` emits one iteration for each copy of the innermost scope. */
  constructor(
    values: Values,
    schedule: Schedule,
    plan: LoopPlan,
    sharing: Sharing,
    body: () => void,
    blocks?: Blocks,
  ) {
    this.#values = values;
    this.#code = values.code;
    this.#schedule = schedule;
    this.#plan = plan;
    this.#sharing = sharing;
    this.#body = body;
    this.#blocks = this.#tripsOfAll() > blockLength ? blocks : undefined;
  }

  emit(): void {
    this.#outer(0);
  }

  /** Iterations of the inner loops, of groups where copies are grouped. */
  #iterations(): number {
    const { inner, grouped, copies } = this.#plan;
    const all = inner.reduce((product, { extent }) => product * extent, 1);
    if (!grouped) return all;
    const last = inner.at(-1)!.extent;
    return (all / last) * Math.ceil(last / copies);
  }

  #trips(): number {
    const { grouped, copies } = this.#plan;
    return this.#iterations() / this.#sharing.count / (grouped ? 1 : copies);
  }

  #tripsOfAll(): number {
    return this.#plan.outer.reduce((product, { extent }) => product * extent, this.#trips());
  }

  #outer(level: number): void {
    const variable = this.#plan.outer[level];
    if (!variable) {
      if (this.#plan.inner.length > 0) this.#inner();
      else this.#innermost(new Scope(this.#schedule.scopes.body));
      return;
    }
    const name = this.#code.name('k');
    this.#code.block(`for (var ${name} = 0; ${name} < ${variable.extent}; ${name}++)`, () => {
      const scope = new Scope(2 + level);
      scope.bind(variable, name);
      this.#values.open(scope);
      this.#values.settle(this.#schedule);
      this.#outer(level + 1);
      this.#values.close();
    });
  }

  #inner(): void {
    const { copies, grouped } = this.#plan;
    const { count, index } = this.#sharing;
    const extent = this.#iterations();
    const width = grouped ? 1 : copies;
    const step = count * width;
    const trips = Math.floor(extent / step);
    const blocks = this.#blocks;
    if (trips === 1) this.#iteration(this.#code.keep('k', index), width);
    else if (trips > 2 * blockLength && blocks) this.#inBlocks(trips, step, width, blocks);
    else if (trips > 0) {
      blocks?.begin();
      this.#counted(`${trips}`, (trip) => this.#iteration(this.#turn(trip, step), width));
      blocks?.end();
    }
    if (trips * step < extent) this.#rest(trips * step, extent);
  }

  /** What does not fill a turn of all copies. */
  #rest(from: number, extent: number): void {
    const { count, index } = this.#sharing;
    if (count === 1) {
      this.#iteration(this.#code.keep('k', `${from}`), extent - from);
      return;
    }
    const one = (turn: string): void => {
      const reached = this.#code.keep('k', from > 0 ? `${from} + ${turn}` : turn);
      this.#code.block(`if (${reached} < ${extent})`, () =>
        this.#iteration(this.#code.keep('k', `min(${reached}, ${extent - 1})`), 1),
      );
    };
    const trips = Math.ceil((extent - from) / count);
    if (trips === 1) one(index);
    else this.#counted(`${trips}`, (trip) => one(this.#turn(trip, count)));
  }

  #inBlocks(trips: number, step: number, width: number, blocks: Blocks): void {
    const length = divisorNear(trips, blockLength);
    this.#counted(`${Math.ceil(trips / length)}`, (block) => {
      blocks.begin();
      const start = this.#code.keep('k', `${block} * ${length}`);
      const stop = trips % length === 0 ? `${length}` : `min(${length}, ${trips} - ${start})`;
      this.#counted(stop, (trip) => this.#iteration(this.#turn(`(${start} + ${trip})`, step), width));
      blocks.end();
    });
  }

  /** A loop that counts by one from zero: the kind whose range compilers know. */
  #counted(trips: string, body: (trip: string) => void): void {
    const name = this.#code.name('k');
    this.#code.block(`for (var ${name} = 0; ${name} < ${trips}; ${name}++)`, () => body(name));
  }

  /** The first of this invocation's iterations in a trip. */
  #turn(trip: string, step: number): string {
    const { count, index } = this.#sharing;
    const first = step === 1 ? trip : `${trip} * ${step}`;
    return step === 1 && count === 1
      ? trip
      : this.#code.keep('k', count === 1 ? first : `${first} + ${index}`);
  }

  /** `width` turns, from the iteration with the number `from` on. */
  #iteration(from: string, width: number): void {
    const { inner, copies, grouped } = this.#plan;
    const { count } = this.#sharing;
    const { body } = this.#schedule.scopes;
    const last = inner.at(-1)!;
    const perRow = grouped ? Math.ceil(last.extent / copies) : last.extent;
    const bound = this.#iterations();
    const turns = this.#run(from, width, count);
    const split = inner.length > 1 ? turns.map((turn) => this.#split(turn, perRow, bound)) : undefined;
    const places = split?.map((part) => part.inner) ?? turns;
    const scope = new Scope(
      body,
      grouped ? copies : width,
      grouped ? { variable: last, size: copies, number: places[0]! } : undefined,
    );
    if (grouped) scope.bind(last, ...this.#run(this.#code.keep('k', `${places[0]!} * ${copies}`), copies, 1));
    else scope.bind(last, ...places);
    let above = split?.map((part) => part.outer) ?? [];
    for (let i = inner.length - 2; i > 0; i--) {
      const parts = above.map((turn) => this.#split(turn, inner[i]!.extent, bound));
      scope.bind(inner[i]!, ...parts.map((part) => part.inner));
      above = parts.map((part) => part.outer);
    }
    if (inner.length > 1) scope.bind(inner[0]!, ...above);
    this.#innermost(scope);
  }

  /** `first`, `first + step`, ... */
  #run(first: string, count: number, step: number): string[] {
    const rest = Array.from({ length: count - 1 }, (_, i) =>
      this.#code.keep('k', `${first} + ${(i + 1) * step}`),
    );
    return [first, ...rest];
  }

  #split(position: string, extent: number, bound: number): { outer: string; inner: string } {
    const { quotient, remainder } = division(`u32(${position})`, extent, bound, this.#plan.software);
    const above = this.#code.keep('k', quotient);
    return {
      outer: this.#code.keep('k', `i32(${above})`),
      inner: this.#code.keep('k', `i32(${remainder(above)})`),
    };
  }

  #innermost(scope: Scope): void {
    this.#values.open(scope);
    this.#values.settle(this.#schedule);
    this.#body();
    this.#values.close();
  }
}
