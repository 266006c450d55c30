/** Accumulators of a reduce phase: their variables, one iteration, and joining what the threads of a point found. */
import {
  type Accumulator,
  identityOf,
  isArgument,
  type ReduceOp,
  type ScalarType,
} from '@tutti/core/backend';
import { literal } from './alu.ts';
import { type Code, typeName } from './code.ts';
import { warp } from './plan.ts';
import type { Values } from './values.ts';

/** Two values joined. Not for argMax and argMin. */
function joined(op: ReduceOp, type: ScalarType, a: string, b: string): string {
  if (type === 'bool') return `${a} ${op === 'max' ? '|' : '&'} ${b}`;
  if (op === 'max' || op === 'min') return `tutti_${op}(${a}, ${b})`;
  const sign = op === 'sum' ? '+' : '*';
  return type === 'i32' ? `(int)((unsigned)${a} ${sign} (unsigned)${b})` : `${a} ${sign} ${b}`;
}

/** One accumulator in generated code. */
export class Accumulation {
  readonly #accumulator: Accumulator;
  readonly #values: Values;
  #name = '';
  /** Where values go now: the accumulator, or the sum of a block. */
  #target = '';
  /** The position of the extreme. */
  #position = '';

  constructor(accumulator: Accumulator, values: Values) {
    this.#accumulator = accumulator;
    this.#values = values;
  }

  get #type(): string {
    return typeName[this.#accumulator.type];
  }

  get #code(): Code {
    return this.#values.code;
  }

  declare(): void {
    const { op, type } = this.#accumulator;
    this.#name = this.#code.name('a');
    this.#target = this.#name;
    this.#code.line(`${this.#type} ${this.#name} = ${literal(type, identityOf(op, type))};`);
    if (!isArgument(op)) return;
    this.#position = this.#code.name('a');
    this.#code.line(`int ${this.#position} = 2147483647;`);
  }

  /** Sums of many floats are sums of the sums of blocks, which bounds their rounding errors. */
  beginBlock(): void {
    const { op, type } = this.#accumulator;
    if (op !== 'sum' || type !== 'f32') return;
    this.#target = this.#code.name('a');
    this.#code.line(`float ${this.#target} = 0.0f;`);
  }

  endBlock(): void {
    if (this.#target === this.#name) return;
    this.#code.line(`${this.#name} += ${this.#target};`);
    this.#target = this.#name;
  }

  /** Takes in the value of one iteration. */
  update(): void {
    const { op, type, value, position } = this.#accumulator;
    const text = this.#values.text(value);
    if (isArgument(op)) {
      const found = this.#code.keep(this.#type, 'v', text);
      this.#better(found, this.#code.keep('int', 'v', this.#values.text(position!)));
    } else if (type === 'f32' && (op === 'sum' || op === 'prod'))
      this.#code.line(`${this.#target} ${op === 'sum' ? '+' : '*'}= ${text};`);
    else this.#code.line(`${this.#target} = ${joined(op, type, this.#target, text)};`);
  }

  /** Takes a value with its position where it goes before the one that is known. */
  #better(value: string, position: string): void {
    const before = this.#accumulator.op === 'argMax' ? 'tutti_before_max' : 'tutti_before_min';
    this.#code.block(`if (${before}(${value}, ${position}, ${this.#name}, ${this.#position}))`, () => {
      this.#code.line(`${this.#name} = ${value};`);
      this.#code.line(`${this.#position} = ${position};`);
    });
  }

  /** Takes in what another thread has. */
  #take(value: string, position: string): void {
    const { op, type } = this.#accumulator;
    if (isArgument(op)) this.#better(value, position);
    else this.#code.line(`${this.#name} = ${joined(op, type, this.#name, value)};`);
  }

  /** Joins what neighbouring threads of a warp have, `width` of them: in the end all have the result. */
  shuffle(width: number): void {
    const { type } = this.#accumulator;
    const offset = this.#code.name('d');
    this.#code.line('#pragma unroll');
    this.#code.block(`for (int ${offset} = ${width / 2}; ${offset} > 0; ${offset} >>= 1)`, () => {
      const other = (name: string): string => `__shfl_xor_sync(0xffffffffu, ${name}, ${offset})`;
      const text = type === 'bool' ? `${other(`(int)${this.#name}`)} != 0` : other(this.#name);
      const value = this.#code.keep(this.#type, 'o', text);
      this.#take(value, this.#position && this.#code.keep('int', 'o', other(this.#position)));
    });
  }

  /** Memory for the parts of `count` groups of threads; stores that of this thread at `place`. */
  share(count: number, place: string): SharedParts {
    const parts = this.#values.kernel.shared(this.#type, count);
    this.#code.line(`${parts}[${place}] = ${this.#name};`);
    if (!this.#position) return { parts };
    const positions = this.#values.kernel.shared('int', count);
    this.#code.line(`${positions}[${place}] = ${this.#position};`);
    return { parts, positions };
  }

  /** Declares memory as `share` does, and leaves it to one thread in each warp to store. */
  shareByWarp(warps: number, isFirst: string, place: string): SharedParts {
    let shared: SharedParts = { parts: '' };
    this.#code.block(`if (${isFirst})`, () => {
      shared = this.share(warps, place);
    });
    return shared;
  }

  /** Takes up one of the parts in place of what this thread had. */
  load({ parts, positions }: SharedParts, place: string): void {
    this.#code.line(`${this.#name} = ${parts}[${place}];`);
    if (positions) this.#code.line(`${this.#position} = ${positions}[${place}];`);
  }

  /** Joins a part with what this thread has. */
  join({ parts, positions }: SharedParts, place: string): void {
    const value = this.#code.keep(this.#type, 'o', `${parts}[${place}]`);
    this.#take(value, positions ? this.#code.keep('int', 'o', `${positions}[${place}]`) : '');
  }

  /** Stores back what this thread has. */
  put({ parts, positions }: SharedParts, place: string): void {
    this.#code.line(`${parts}[${place}] = ${this.#name};`);
    if (positions) this.#code.line(`${positions}[${place}] = ${this.#position};`);
  }

  /** Ends the phase. */
  finish(): void {
    const { id, op } = this.#accumulator;
    this.#values.finish(id, isArgument(op) ? this.#position : this.#name);
  }
}

/** Where parts of an accumulator lie in shared memory. */
export interface SharedParts {
  readonly parts: string;
  readonly positions?: string;
}

/** Threads that share a point, and where they are. */
export interface Sharing {
  /** How many; a power of two. */
  readonly count: number;
  /** The number of this thread among them, as an int. */
  readonly index: string;
  /** Points of a block, where neighbouring threads have neighbouring points; undefined where they have neighbouring iterations. */
  readonly columns?: { readonly count: number; readonly index: string };
}

/**
 * Joins what the threads of a point found, so that all of them have it. The order depends on their number alone.
 *
 *     up to a warp       by shuffles
 *     several warps      by shuffles, then through shared memory by shuffles among their results
 *     columns            through shared memory: halves of the threads take in the other half
 */
export function joinAccumulations(
  values: Values,
  accumulations: readonly Accumulation[],
  sharing: Sharing,
): void {
  if (sharing.columns) joinColumns(values, accumulations, sharing, sharing.columns);
  else if (sharing.count <= warp) for (const each of accumulations) each.shuffle(sharing.count);
  else joinWarps(values, accumulations, sharing.count / warp);
}

function joinWarps({ code }: Values, accumulations: readonly Accumulation[], warps: number): void {
  const parts = accumulations.map((each) => {
    each.shuffle(warp);
    return each.shareByWarp(warps, 'threadIdx.x % 32u == 0u', 'threadIdx.x / 32u');
  });
  code.line('__syncthreads();');
  for (const [i, each] of accumulations.entries()) {
    each.load(parts[i]!, `threadIdx.x & ${warps - 1}u`);
    each.shuffle(warps);
  }
}

function joinColumns(
  { code }: Values,
  accumulations: readonly Accumulation[],
  { count, index }: Sharing,
  columns: { readonly count: number; readonly index: string },
): void {
  const place = (row: string): string => `${row} * ${columns.count} + ${columns.index}`;
  const parts = accumulations.map((each) => each.share(count * columns.count, place(index)));
  code.line('__syncthreads();');
  const half = code.name('h');
  code.block(`for (int ${half} = ${count / 2}; ${half} > 0; ${half} >>= 1)`, () => {
    code.block(`if (${index} < ${half})`, () => {
      for (const [i, each] of accumulations.entries()) {
        each.join(parts[i]!, place(`(${index} + ${half})`));
        each.put(parts[i]!, place(index));
      }
    });
    code.line('__syncthreads();');
  });
  for (const [i, each] of accumulations.entries()) each.load(parts[i]!, columns.index);
}
