/**
 * An operand of a matrix product on its way to shared memory, in one of three ways:
 *
 *     vectors     16 bytes by `cp.async`: contiguous along its lines, and aligned
 *     words       4 bytes by `cp.async`: elements of 4 bytes at any strides; aligned pairs of 16-bit floats
 *     registers   by elements, which are converted on the way: fetched before the products of a step, put down after them
 *
 * What lies outside the operand becomes zero on both sides, so that it adds nothing.
 */
import { ceilDiv, type DType, type ProductOperand } from '@tutti/core/backend';
import { elementType, widened } from '../kernels/memory.ts';
import type { Source } from './source.ts';
import { all, lines, shared, sum, times, unrolled } from './text.ts';
import { type Format, formatBytes, formatType, type Major, type TileMemory } from './tile-memory.ts';

/** A tile's way from global to shared memory. Texts `memory` point to the bytes of a tile, `k` is its first step. */
export interface Side {
  readonly memory: TileMemory;
  /** Statements before the loop. */
  readonly setup: () => string;
  /** Starts to copy the tile at step `k`. */
  readonly fetch: (memory: string, k: string) => string;
  /** Puts down what was fetched into registers. */
  readonly put: (memory: string) => string;
}

export type CopyWay = 'vectors' | 'words' | 'registers';

/** An operand of a product, seen alike from both sides. */
export interface View {
  readonly slot: number;
  /** Where it lies, in place of the slot's buffer. */
  readonly pointer?: string;
  readonly dtype: DType;
  readonly offset: number;
  readonly batch: readonly number[];
  /** The stride along rows of lhs or columns of rhs, and how many there are. */
  readonly outerStride: number;
  readonly outerExtent: number;
  readonly kStride: number;
}

export const leftView = (lhs: ProductOperand, m: number): View => ({
  ...lhs,
  outerStride: lhs.row,
  outerExtent: m,
  kStride: lhs.column,
});

export const rightView = (rhs: ProductOperand, n: number): View => ({
  ...rhs,
  outerStride: rhs.column,
  outerExtent: n,
  kStride: rhs.row,
});

/** The order of an operand's tiles: lines along the dimension whose elements are nearest. */
export function majorOf({ outerStride, kStride, outerExtent }: View): Major {
  if (kStride === 1) return 'k';
  if (outerStride === 1 && outerExtent > 1) return 'outer';
  return Math.abs(kStride) <= Math.abs(outerStride) ? 'k' : 'outer';
}

const holds: Readonly<Record<Format, readonly DType[]>> = {
  f32: ['float32'],
  tf32: ['float32'],
  u32: ['int32', 'uint32'],
  f16: ['float16'],
  bf16: ['bfloat16'],
};

/** How an operand can be copied. */
export function copyWay(view: View, format: Format, major: Major = majorOf(view)): CopyWay {
  if (!holds[format].includes(view.dtype)) return 'registers';
  const bytes = formatBytes(format);
  const [inner, line] = major === 'k' ? [view.kStride, view.outerStride] : [view.outerStride, view.kStride];
  const aligned = (elements: number): boolean =>
    inner === 1 && [view.offset, line, ...view.batch].every((stride) => stride % elements === 0);
  if (aligned(16 / bytes)) return 'vectors';
  return bytes === 4 || aligned(2) ? 'words' : 'registers';
}

export interface OperandPlace {
  /** Prefix of names: 'left' or 'right'. */
  readonly name: string;
  /** Texts: the first row or column of the tile, and the batch entry's offset. */
  readonly first: string;
  readonly base: string;
  /** Length of the contraction. */
  readonly k: number;
  readonly threads: number;
}

export function operandSide(source: Source, view: View, memory: TileMemory, place: OperandPlace): Side {
  const way = copyWay(view, memory.format, memory.major);
  const copy = new OperandCopy(source, view, memory, place);
  if (way === 'registers')
    return {
      memory,
      setup: () => lines(copy.setup(), copy.registers()),
      fetch: (_, k) => copy.gather(k),
      put: (to) => copy.put(to),
    };
  const run = way === 'vectors' ? memory.lanes : 4 / formatBytes(memory.format);
  return {
    memory,
    setup: () => copy.setup(),
    fetch: (to, k) => copy.copy(to, k, run),
    put: () => '',
  };
}

class OperandCopy {
  readonly #source: Source;
  readonly #view: View;
  readonly #memory: TileMemory;
  readonly #place: OperandPlace;

  constructor(source: Source, view: View, memory: TileMemory, place: OperandPlace) {
    this.#source = source;
    this.#view = view;
    this.#memory = memory;
    this.#place = place;
  }

  get #checksOuter(): boolean {
    return this.#view.outerExtent % this.#memory.outer !== 0;
  }

  get #checksK(): boolean {
    return this.#place.k % this.#memory.depth !== 0;
  }

  setup(): string {
    const { name, first, base } = this.#place;
    const { slot, pointer, dtype, outerStride, outerExtent } = this.#view;
    const start = sum(pointer ?? this.#source.buffer(slot), base, times(`(Index)${first}`, outerStride));
    return lines(
      `const ${elementType[dtype]}* const ${name} = ${start};`,
      this.#checksOuter && `const int ${name}_left = ${outerExtent} - ${first};`,
    );
  }

  /** A loop over what the threads copy, `run` elements each: `line`, and `at` in it. */
  #each(run: number, body: string): string {
    const { threads } = this.#place;
    const perLine = this.#memory.length / run;
    const count = this.#memory.lines * perLine;
    return shared(count, threads, perLine, ['line', 'piece'], `const int at = ${times('piece', run)};`, body);
  }

  /** Texts of the element at `line` and `at` (plus more): its distance from the first of the tile's rows or columns. */
  #distance(k: string, along: string): string {
    const { outerStride, kStride } = this.#view;
    const [outer, step] = this.#memory.major === 'k' ? ['line', along] : [along, 'line'];
    return sum(times(`(Index)(${outer})`, outerStride), times(`(Index)(${k} + ${step})`, kStride));
  }

  /** Whether the line exists, and how many elements there are from `along` on, where these need a check. */
  #limits(
    k: string,
    along: string,
  ): { readonly line: string | undefined; readonly rest: string | undefined } {
    const { name } = this.#place;
    const outer = this.#checksOuter ? `${name}_left` : undefined;
    const step = this.#checksK ? `${this.#place.k} - ${k}` : undefined;
    const [across, inner] = this.#memory.major === 'k' ? [outer, step] : [step, outer];
    return {
      line: across && `line < ${across}`,
      rest: inner && `${inner} - ${along}`,
    };
  }

  copy(memory: string, k: string, run: number): string {
    const { name } = this.#place;
    const { lanes, format } = this.#memory;
    const bytes = formatBytes(format);
    const size = run * bytes;
    const { line, rest } = this.#limits(k, `at`);
    const within = run === lanes ? '0' : `at % ${lanes} * ${bytes}`;
    const place = sum(memory, this.#memory.at('line', `at / ${lanes}`), within);
    let count = line ? `${line} ? ${size} : 0` : `${size}`;
    let bounded = '';
    if (rest) {
      bounded = `const int rest = (${rest}) * ${bytes};`;
      const some = run === 1 ? `${size}` : `(rest < ${size} ? rest : ${size})`;
      count = `${all(line, 'rest > 0')} ? ${some} : 0`;
    }
    return this.#each(
      run,
      lines(bounded, `tutti_cp_async_${size}(${place}, ${name} + (${this.#distance(k, 'at')}), ${count});`),
    );
  }

  #pieces(): number {
    return ceilDiv((this.#memory.lines * this.#memory.length) / this.#memory.lanes, this.#place.threads);
  }

  registers(): string {
    const { format, lanes } = this.#memory;
    return `tutti_pack<${formatType[format]}, ${lanes}> ${this.#place.name}_fetched[${this.#pieces()}];`;
  }

  gather(k: string): string {
    const { name } = this.#place;
    const { lanes, format } = this.#memory;
    const { dtype } = this.#view;
    const { line, rest } = this.#limits(k, '(at + j)');
    const exists = all(line, rest && `${rest} > 0`);
    const bits = `${name}[${this.#distance(k, 'at + j')}]`;
    const value = formatBytes(format) === 2 ? bits : `(${formatType[format]})${widened(dtype, bits)}`;
    const zero = format === 'f32' || format === 'tf32' ? '0.0f' : '0';
    const target = `${name}_fetched[i].at[j]`;
    return this.#each(
      lanes,
      unrolled('j', lanes, exists ? `${target} = ${exists} ? ${value} : ${zero};` : `${target} = ${value};`),
    );
  }

  put(memory: string): string {
    const { lanes, format } = this.#memory;
    const place = sum(memory, this.#memory.at('line', `at / ${lanes}`));
    return this.#each(
      lanes,
      `tutti_store<${lanes}>((${formatType[format]}*)(${place}), ${this.#place.name}_fetched[i]);`,
    );
  }
}
