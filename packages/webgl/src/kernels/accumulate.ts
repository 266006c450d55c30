/** Accumulators of a reduction: their variables, and what an iteration adds. */
import {
  type Accumulator,
  balanced,
  bare,
  identityOf,
  isArgument,
  mayBeNaN,
  type ReduceOp,
  type ScalarType,
} from '@tutti/core/backend';
import type { FunctionName, Width } from './functions/index.ts';
import { literal } from './literal.ts';
import { typeName, widened } from './types.ts';
import type { Values } from './values.ts';

/** One accumulator in generated code. */
export class Accumulation {
  readonly #accumulator: Accumulator;
  readonly #values: Values;
  readonly #width: Width;
  /** Position order follows iteration order, so that of equals the first one seen is right. */
  readonly #ordered: boolean;
  #name = '';
  /** Where values go now: the accumulator, or the sum of a block. */
  #target = '';
  /** The largest magnitude in bits, which shows NaN; or the position of the extreme. */
  #second = '';

  /** `accumulator` is of rewritten expressions. */
  constructor(accumulator: Accumulator, values: Values, width: Width, ordered: boolean) {
    this.#accumulator = accumulator;
    this.#values = values;
    this.#width = width;
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

  #declare(type: ScalarType, initial: string): string {
    const name = this.#values.code.name('a');
    const text = widened({ text: initial, width: 'scalar' }, type, this.#width);
    this.#values.code.line(`${typeName(type, this.#width)} ${name} = ${text};`);
    return name;
  }

  declare(): void {
    const { op, type } = this.#accumulator;
    const initial = (of: ReduceOp, kept: ScalarType): string =>
      this.#declare(kept, literal(kept, identityOf(of, kept), this.#values.library));
    // An argument has the largest key, at the least position.
    this.#name = isArgument(op) ? initial('max', 'i32') : initial(op, type);
    this.#target = this.#name;
    if (this.#isFloatExtreme) this.#second = this.#declare('u32', '0u');
    else if (isArgument(op)) this.#second = initial('min', 'i32');
  }

  beginBlock(): void {
    if (this.#isFloatSum) this.#target = this.#declare('f32', '0.0');
  }

  endBlock(): void {
    if (!this.#isFloatSum) return;
    this.#values.code.line(`${this.#name} += ${this.#target};`);
    this.#target = this.#name;
  }

  /** Takes in the values of all copies of the innermost scope. */
  update(): void {
    const { scope } = this.#values;
    const copies = Array.from({ length: scope.copies }, (_, copy) => copy);
    if (isArgument(this.#accumulator.op)) for (const copy of copies) this.#updateArgument(copy);
    else this.#updateValue(copies.map((copy) => this.#text(copy)));
  }

  #text(copy: number): string {
    const { value, type } = this.#accumulator;
    return widened(this.#values.value(value, copy), type, this.#width);
  }

  #updateValue(texts: readonly string[]): void {
    const { code, library } = this.#values;
    const { op, type, value } = this.#accumulator;
    if (op === 'sum' || op === 'prod') {
      const sign = op === 'sum' ? '+' : '*';
      code.line(`${this.#target} ${sign}= ${bare(balanced(texts, (a, b) => `(${a} ${sign} ${b})`))};`);
      return;
    }
    if (type === 'bool') {
      const join = (a: string, b: string): string =>
        library.call(op === 'max' ? 'either' : 'both', this.#width, a, b);
      code.line(`${this.#name} = ${join(this.#name, balanced(texts, join))};`);
      return;
    }
    const join = (a: string, b: string): string => `${op}(${a}, ${b})`;
    code.line(`${this.#name} = ${join(this.#name, balanced(texts, join))};`);
    if (type !== 'f32' || !mayBeNaN(value)) return;
    const magnitudes = texts.map((text) => `floatBitsToUint(${text}) & 0x7fffffffu`);
    const larger = (a: string, b: string): string => `max(${a}, ${b})`;
    code.line(`${this.#second} = ${larger(this.#second, balanced(magnitudes, larger))};`);
  }

  /** Keys are integers in the order of the values, with NaN on top: a test of bits, and equality as exact as the values'. */
  #updateArgument(copy: number): void {
    const { code, library, arithmetic } = this.#values;
    const width = this.#width;
    const { op, type, position } = this.#accumulator;
    const keyOf: FunctionName = `${op === 'argMax' ? 'key' : 'reverse_key'}_of_${type}`;
    const key = code.keep(typeName('i32', width), 'v', library.call(keyOf, width, this.#text(copy)));
    const place = this.#values.value(position!, copy);
    const at = widened(place, 'i32', width);
    let better = library.call('lt_i32', width, this.#name, key);
    if (!this.#ordered) {
      const equal = library.call('eq_i32', width, this.#name, key);
      const earlier = library.call('lt_i32', width, at, this.#second);
      better = library.call('either', width, better, library.call('both', width, equal, earlier));
    }
    const second = { text: this.#second, width };
    const chosen = arithmetic.select('i32', second, { text: at, width }, { text: better, width });
    code.line(`${this.#second} = ${chosen};`);
    code.line(`${this.#name} = max(${this.#name}, ${key});`);
  }

  finish(): void {
    const { code, library } = this.#values;
    const { id, op, value } = this.#accumulator;
    if (this.#isFloatExtreme) {
      const width = this.#width;
      const type = typeName('f32', width);
      // Where denormals are taken for zero they all compare equal; adding -0 makes zeros of them.
      const found = `${this.#name} + ${library.call('negative_zero', 'scalar')}`;
      const limit = widened({ text: '0x7f800000u', width: 'scalar' }, 'u32', width);
      const result = mayBeNaN(value)
        ? library.call(
            'select_f32',
            width,
            found,
            widened({ text: library.call('not_a_number', 'scalar'), width: 'scalar' }, 'f32', width),
            library.call('lt_u32', width, limit, this.#second),
          )
        : found;
      this.#name = code.keep(type, 'a', result);
    }
    this.#values.finish(id, isArgument(op) ? this.#second : this.#name);
  }
}
