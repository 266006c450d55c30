/** Accumulators of a reduce phase: their variables, one iteration, and joining what the invocations of a point found. */
import { type Accumulator, balanced, bare, identityOf, isArgument, mayBeNaN } from '@tutti/core/backend';
import { literal } from './alu.ts';
import type { Values } from './values.ts';

/** An accumulator's variables in WGSL, each with its type, initial value and text that joins two values. */
interface State {
  readonly type: string;
  readonly initial: string;
  readonly join: (a: string, b: string) => string;
}

/** How partial results are joined. For argMax and argMin this is the key; see `Accumulation`. */
function stateOf({ op, type }: Pick<Accumulator, 'op' | 'type'>): State {
  const initial = bare(literal(type, identityOf(op, type)));
  switch (op) {
    case 'sum':
      return { type, initial, join: (a, b) => `(${a} + ${b})` };
    case 'prod':
      return { type, initial, join: (a, b) => `(${a} * ${b})` };
    case 'max':
    case 'min':
      if (type === 'bool')
        return { type, initial, join: (a, b) => `(${a} ${op === 'max' ? '|' : '&'} ${b})` };
      return { type, initial, join: (a, b) => `${op}${type === 'f32' ? '_f32' : ''}(${a}, ${b})` };
    case 'argMax':
    case 'argMin':
      return stateOf({ op: 'max', type: 'i32' });
  }
}

/** One accumulator in generated code. */
export class Accumulation {
  readonly #accumulator: Accumulator;
  readonly #values: Values;
  readonly #state: State;
  /** Position order follows iteration order, so that of equals the first one seen is right. */
  readonly #ordered: boolean;
  #name = '';
  /** Where values go now: the accumulator, or the sum of a block. */
  #target = '';
  /** Whether there was a NaN, or the position of the extreme. */
  #second = '';

  constructor(accumulator: Accumulator, values: Values, ordered: boolean) {
    this.#accumulator = accumulator;
    this.#values = values;
    this.#state = stateOf(accumulator);
    this.#ordered = ordered;
  }

  get #isFloatExtreme(): boolean {
    const { op, type } = this.#accumulator;
    return type === 'f32' && (op === 'max' || op === 'min');
  }

  get #isFloatSum(): boolean {
    const { op, type } = this.#accumulator;
    return type === 'f32' && op === 'sum';
  }

  declare(): void {
    const { code } = this.#values;
    this.#name = code.name('a');
    this.#target = this.#name;
    code.line(`var ${this.#name} = ${this.#state.initial};`);
    if (!this.#isFloatExtreme && !isArgument(this.#accumulator.op)) return;
    this.#second = code.name('a');
    code.line(`var ${this.#second} = ${this.#isFloatExtreme ? 'false' : '2147483647'};`);
  }

  beginBlock(): void {
    if (!this.#isFloatSum) return;
    this.#target = this.#values.code.name('a');
    this.#values.code.line(`var ${this.#target} = 0.0f;`);
  }

  endBlock(): void {
    if (!this.#isFloatSum) return;
    this.#values.code.line(`${this.#name} += ${this.#target};`);
    this.#target = this.#name;
  }

  /** Takes in the values of all copies of the innermost scope. */
  update(): void {
    const { code, scope } = this.#values;
    const copies = Array.from({ length: scope.copies }, (_, copy) => copy);
    const { value } = this.#accumulator;
    // Arithmetic on constants alone is the WGSL compiler's, for which overflow is an error.
    const constant = value.op === 'const' ? code.keep('c', this.#values.text(value)) : undefined;
    const texts = copies.map((copy) => constant ?? this.#values.text(value, copy));
    if (isArgument(this.#accumulator.op)) {
      for (const copy of copies) this.#updateArgument(texts[copy]!, copy);
      return;
    }
    if (this.#isFloatExtreme) {
      const choice = this.#accumulator.op === 'max' ? 'larger' : 'smaller';
      const choose = (a: string, b: string): string => `${choice}(${a}, ${b})`;
      code.line(`${this.#name} = ${choose(this.#name, balanced(texts, choose))};`);
      if (!mayBeNaN(value)) return;
      code.line(
        `${this.#second} = ${[this.#second, ...texts.map((text) => `is_nan(${text})`)].join(' | ')};`,
      );
      return;
    }
    code.line(`${this.#target} = ${this.#state.join(this.#target, balanced(texts, this.#state.join))};`);
  }

  /** Keys are integers in the order of the values, with NaN on top: a test of bits, and equality as exact as the values'. */
  #updateArgument(value: string, copy: number): void {
    const { code } = this.#values;
    const { op, type, position } = this.#accumulator;
    const largest = op === 'argMax';
    const key = code.keep('v', largest ? `key_of_${type}(${value})` : `reverse_key_of_${type}(${value})`);
    const at = this.#values.text(position!, copy);
    const greater = `(${key} > ${this.#name})`;
    const better = code.keep(
      'v',
      this.#ordered ? greater : `${greater} | ((${key} == ${this.#name}) & (${at} < ${this.#second}))`,
    );
    code.line(`${this.#second} = select(${this.#second}, ${at}, ${better});`);
    code.line(`${this.#name} = select(${this.#name}, ${key}, ${better});`);
  }

  /** Ends the phase for an invocation that ran all of it. */
  finish(): void {
    const { code } = this.#values;
    const { id, op } = this.#accumulator;
    if (this.#isFloatExtreme) {
      this.#name = code.keep('a', `select(${this.#name} + negative_zero(), not_a_number(), ${this.#second})`);
    }
    this.#values.finish(id, isArgument(op) ? this.#second : this.#name);
  }

  /** Declares the memory through which invocations join what they found, and stores this one's part at `slot`. */
  share(invocations: number, slot: string): Shared {
    const { shader, code } = this.#values;
    const memory = shader.shared(this.#state.type, invocations);
    code.line(`${memory}[${slot}] = ${this.#name};`);
    if (!isArgument(this.#accumulator.op)) return new Shared(this.#values, this.#state, memory);
    const positions = shader.shared('i32', invocations);
    code.line(`${positions}[${slot}] = ${this.#second};`);
    return new Shared(this.#values, this.#state, memory, positions);
  }

  /** Ends the phase with what `Shared.join` gave. */
  joined(name: string): void {
    this.#values.finish(this.#accumulator.id, name);
  }
}

/** Parts of an accumulator in workgroup memory. */
export class Shared {
  readonly #values: Values;
  readonly #state: State;
  readonly #memory: string;
  readonly #positions: string | undefined;

  constructor(values: Values, state: State, memory: string, positions?: string) {
    this.#values = values;
    this.#state = state;
    this.#memory = memory;
    this.#positions = positions;
  }

  /** Joins the parts at `slot(0)`, `slot(1)`, ... in this order; gives the name of the result and of its key. */
  join(count: number, slot: (index: string) => string): { result: string; key: string } {
    const { code } = this.#values;
    const result = code.name('a');
    code.line(`var ${result} = ${this.#memory}[${slot('0u')}];`);
    const position = this.#positions === undefined ? result : code.name('a');
    if (this.#positions) code.line(`var ${position} = ${this.#positions}[${slot('0u')}];`);
    const j = code.name('j');
    code.block(`for (var ${j} = 1u; ${j} < ${count}u; ${j}++)`, () => {
      const at = code.keep('v', slot(j));
      const other = code.keep('v', `${this.#memory}[${at}]`);
      if (this.#positions) {
        const place = code.keep('v', `${this.#positions}[${at}]`);
        const better = code.keep(
          'v',
          `(${other} > ${result}) | ((${other} == ${result}) & (${place} < ${position}))`,
        );
        code.line(`${position} = select(${position}, ${place}, ${better});`);
      }
      code.line(`${result} = ${this.#state.join(result, other)};`);
    });
    return { result: position, key: result };
  }

  /** Stores a joined part back. */
  put(slot: string, { result, key }: { result: string; key: string }): void {
    const { code } = this.#values;
    code.line(`${this.#memory}[${slot}] = ${key};`);
    if (this.#positions) code.line(`${this.#positions}[${slot}] = ${result};`);
  }
}
