/**
 * The loops of a reduction. All run in order in one fragment; the innermost goes by four, as copies of the body that share what they
 * load, with what does not fill four at the end.
 */
import {
  type Accumulator,
  divisorNear,
  IndexAnalysis,
  type IndexVariable,
  type ReducePhase,
  type Schedule,
  Scope,
} from '@tutti/core/backend';
import { Accumulation } from './accumulate.ts';
import type { Code } from './code.ts';
import type { Values } from './values.ts';

/** Additions into one f32 accumulator before it is folded into an outer one: bounds the rounding error of long sums. */
const blockLength = 256;

/** A reduction whose expressions are rewritten. */
export interface Reduction {
  readonly accumulators: readonly Accumulator[];
  /** The loops that go around more than once, outermost first. */
  readonly loops: readonly IndexVariable[];
}

/** Whether the position of an accumulator grows with every iteration. */
function isOrdered({ position, type }: Accumulator, { loops }: ReducePhase): boolean {
  const long = loops.filter(({ extent }) => extent > 1);
  // The least integer is a key like others, which an equal one at a lesser position must still replace.
  if (type !== 'f32' && type !== 'bool') return false;
  return long.length === 1 && !!position && (new IndexAnalysis().stride(position, long[0]!) ?? 0) > 0;
}

export class Reducer {
  readonly #values: Values;
  readonly #code: Code;
  readonly #schedule: Schedule;
  readonly #loops: readonly IndexVariable[];
  readonly #accumulations: readonly Accumulation[];
  readonly #sums: boolean;
  #inBlock = false;

  /** `phase` is the reduction as it was before it was rewritten. */
  constructor(values: Values, schedule: Schedule, phase: ReducePhase, reduction: Reduction) {
    this.#values = values;
    this.#code = values.code;
    this.#schedule = schedule;
    this.#loops = reduction.loops;
    this.#accumulations = reduction.accumulators.map((accumulator, i) => {
      const width = values.lanes.isVectorAccumulator(accumulator.id) ? 'vector' : 'scalar';
      return new Accumulation(accumulator, values, width, isOrdered(phase.accumulators[i]!, phase));
    });
    this.#sums = reduction.accumulators.some(({ op, type }) => op === 'sum' && type === 'f32');
  }

  emit(): void {
    for (const each of this.#accumulations) each.declare();
    this.#outer(0);
    for (const each of this.#accumulations) each.finish();
  }

  /** Times that the loops from a level on run their body, in which all copies count as one. */
  #trips(level: number): number {
    const { copies } = this.#values.lanes;
    return this.#loops.slice(level).reduce((trips, variable) => {
      const times = variable === copies?.variable ? Math.ceil(variable.extent / 4) : variable.extent;
      return trips * times;
    }, 1);
  }

  #outer(level: number): void {
    const variable = this.#loops[level];
    if (!variable) this.#iteration(new Scope(this.#schedule.scopes.body));
    else if (variable === this.#values.lanes.copies?.variable) this.#copied(variable);
    else {
      this.#repeat(variable.name, variable.extent, this.#trips(level + 1), (turn) => {
        const scope = new Scope(2 + level);
        scope.bind(variable, turn);
        if (level === this.#loops.length - 1) this.#iteration(scope);
        else {
          this.#values.open(scope);
          this.#values.settle(this.#schedule);
          this.#outer(level + 1);
          this.#values.close();
        }
      });
    }
  }

  /** The innermost loop, by fours. */
  #copied(variable: IndexVariable): void {
    const whole = Math.floor(variable.extent / 4);
    const { number } = this.#values.lanes.copies!;
    if (whole === 1) this.#copies(variable, '0', 4);
    else if (whole > 1) this.#repeat(number.name, whole, 1, (turn) => this.#copies(variable, turn, 4));
    if (variable.extent % 4 > 0) this.#copies(variable, `${whole}`, variable.extent % 4);
  }

  #copies(variable: IndexVariable, number: string, count: number): void {
    const scope = new Scope(this.#schedule.scopes.body, count);
    scope.bind(this.#values.lanes.copies!.number, number);
    const places = Array.from({ length: count }, (_, copy) => {
      if (/^\d+$/.test(number)) return `${4 * Number(number) + copy}`;
      return copy === 0 ? `(${number} * 4)` : `(${number} * 4 + ${copy})`;
    });
    scope.bind(variable, ...places);
    this.#iteration(scope);
  }

  #iteration(scope: Scope): void {
    this.#values.open(scope);
    this.#values.settle(this.#schedule);
    for (const each of this.#accumulations) each.update();
    this.#values.close();
  }

  /** A loop whose body adds `inside` times, in blocks where that is too often for one sum. */
  #repeat(name: string, trips: number, inside: number, body: (turn: string) => void): void {
    const counted = (): void => {
      const turn = this.#code.variable(name);
      this.#code.counted(turn, `${trips}`, () => body(turn));
    };
    const wanted = this.#sums && !this.#inBlock && this.#trips(0) > 2 * blockLength;
    if (!wanted) counted();
    else if (trips * inside <= 2 * blockLength) this.#block(counted);
    else if (inside < blockLength / 4) this.#blocks(name, trips, inside, body);
    else counted();
  }

  #block(body: () => void): void {
    for (const each of this.#accumulations) each.beginBlock();
    this.#inBlock = true;
    body();
    this.#inBlock = false;
    for (const each of this.#accumulations) each.endBlock();
  }

  #blocks(name: string, trips: number, inside: number, body: (turn: string) => void): void {
    const length = divisorNear(trips, Math.floor(blockLength / inside));
    const block = this.#code.name('block');
    this.#code.counted(block, `${Math.ceil(trips / length)}`, () => {
      this.#block(() => {
        const start = this.#code.keep('int', 'k', `${block} * ${length}`);
        const stop = trips % length === 0 ? `${length}` : `min(${length}, ${trips} - ${start})`;
        const step = this.#code.name('k');
        this.#code.counted(step, stop, () => {
          const turn = this.#code.variable(name);
          this.#code.line(`int ${turn} = ${start} + ${step};`);
          body(turn);
        });
      });
    });
  }
}
