/**
 * Fetches along lines of texels, with their coordinates kept and stepped: `index & mask, index >> shift` for every fetch would be much
 * beside the few products that a fetch is for.
 *
 *     x, y           of the first line, and constants for the others: where rows of the texture hold whole groups of lines
 *     x0, y0, x1, .. otherwise
 */
import { range } from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { plus, times } from './text.ts';

export interface LinesPlan {
  /** Lines that are fetched from side by side. */
  readonly count: number;
  /** Texels from one to the next. */
  readonly line: number;
  /** Texels that all move by. */
  readonly step: number;
  /** Texels that are read of a line, from its start on. */
  readonly length: number;
  /** What the start of line number 0 is a multiple of; 0 where that is all numbers. */
  readonly alignment: number;
  /** Lines go along the steps: a step stays in the line. */
  readonly along: boolean;
  /** The last line that exists, where groups may reach beyond it. */
  readonly last?: number;
  /** Texels of the buffer, and log2 of those in a row of its texture. */
  readonly total: number;
  readonly rowShift: number;
}

/** Coordinates that move. */
interface Cursor {
  readonly x: string;
  readonly y: string | undefined;
}

export class Lines {
  readonly #code: Code;
  readonly #fetch: string;
  readonly #plan: LinesPlan;
  readonly #cursors: readonly Cursor[];
  /** Steps never leave a row of the texture. */
  readonly #stays: boolean;

  /**
   * @param fetch A function of x and y.
   * @param base The texel at the start of line number 0.
   * @param first The first of a group of lines, a multiple of `count`.
   * @param within Where in each of them.
   */
  constructor(code: Code, fetch: string, plan: LinesPlan, base: string, first: string, within: string) {
    this.#code = code;
    this.#fetch = fetch;
    this.#plan = plan;
    const { count, line, length, alignment, along, last, total, rowShift } = plan;
    const row = 2 ** rowShift;
    const isFlat = total <= row;
    const fits = (size: number): boolean => row % size === 0 && alignment % size === 0 && length <= line;
    this.#stays = isFlat || (along && fits(line));
    const shared = last === undefined && (isFlat || fits(count * line));
    const cursor = (at: string): Cursor => {
      if (isFlat) return { x: code.keep('int', 'x', at), y: undefined };
      const texel = /^\w+$/.test(at) ? at : code.keep('int', 'a', at);
      return {
        x: code.keep('int', 'x', `${texel} & ${row - 1}`),
        y: code.keep('int', 'y', `${texel} >> ${rowShift}`),
      };
    };
    const lineAt = (i: number): string => {
      const own = plus(first, i);
      return last === undefined ? own : `min(${own}, ${last})`;
    };
    this.#cursors = range(shared ? 1 : count).map((i) => cursor(plus(base, times(lineAt(i), line), within)));
  }

  /** The texel of line number `i` of the group. */
  fetch(i: number): string {
    const shared = this.#cursors.length === 1;
    const { x, y } = this.#cursors[shared ? 0 : i]!;
    return `${this.#fetch}(${plus(x, shared ? i * this.#plan.line : 0)}, ${y ?? 0})`;
  }

  advance(): void {
    const { step, rowShift } = this.#plan;
    for (const { x, y } of this.#cursors) {
      this.#code.line(step === 1 ? `${x}++;` : `${x} += ${step};`);
      if (y === undefined || this.#stays) continue;
      this.#code.line(`${y} += ${x} >> ${rowShift};`);
      this.#code.line(`${x} &= ${2 ** rowShift - 1};`);
    }
  }
}
