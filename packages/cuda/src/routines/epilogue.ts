/**
 * The end of every routine: from sums in registers to what lies in memory, through the anchor's epilogue.
 *
 * A routine sees the contiguous result as rows of `extent` columns, where `extent` is whatever suits its tiles: n, or the points of
 * an image. A thread hands over runs of `width` neighbouring columns (4, 2 or 1, so that no run crosses the end of a row), which are
 * stored at once. What the epilogue loads for a run comes at once too, where its elements are neighbours.
 *
 * The text is emitted in a loop over a thread's runs, which the compiler unrolls: what depends on the row or the column alone is then
 * computed once.
 */
import {
  type AluExpression,
  type DType,
  type Expression,
  IndexAnalysis,
  type IndexVariable,
  InternalError,
  type LoadExpression,
  plainResult,
  resultBuffer,
  resultElements,
  sizeOf,
  usedVariables,
} from '@tutti/core/backend';
import { aluText, literal } from '../kernels/alu.ts';
import { typeName } from '../kernels/code.ts';
import { elementType, narrowed, widened } from '../kernels/memory.ts';
import { bytesOf, type Source } from './source.ts';
import { block, lines, sum } from './text.ts';

export type RunWidth = 1 | 2 | 4;

/** How a routine sees the result. */
export interface ResultLayout {
  /** Columns of a row. */
  readonly extent: number;
  /** Columns of a run, of which the first is a multiple. */
  readonly width: RunWidth;
  /** Elements before these rows. Default 0; others only where there is no epilogue. */
  readonly before?: number;
}

/** The widest runs that rows of so many columns are made of. */
export const runWidth = (extent: number, most: RunWidth = 4): RunWidth =>
  ([4, 2] as const).find((width) => width <= most && extent % width === 0) ?? 1;

/** Where runs go: through the epilogue, or as they are to one of several arrays of sums in the workspace. */
export type Sink = { readonly kind: 'result' } | { readonly kind: 'sums'; readonly part: string };

export class Results {
  readonly #source: Source;
  readonly #layout: ResultLayout;
  readonly #sink: Sink;

  constructor(source: Source, layout: ResultLayout, sink: Sink = { kind: 'result' }) {
    this.#source = source;
    this.#layout = layout;
    this.#sink = sink;
  }

  get width(): RunWidth {
    return this.#layout.width;
  }

  /** A block that stores a run which exists. `row` and `column` are names, `values` texts of sums. */
  write(row: string, column: string, values: readonly string[]): string {
    const { extent, before = 0 } = this.#layout;
    const place = sum(`(Index)${row} * ${extent}`, column, `${before}`);
    const position = `const Index position = ${place};`;
    if (this.#sink.kind === 'sums') return block('', position, this.#storeSums(this.#sink.part, values));
    const run = new Run(this.#source, this.#layout, row, column, values);
    const stored = run.result();
    const { anchor } = this.#source;
    const { dtype } = anchor.buffers[resultBuffer(anchor)]!;
    const target = `${this.#source.buffer(resultBuffer(anchor))} + position`;
    return block('', position, ...run.statements, storeRun(target, dtype, stored));
  }

  #storeSums(part: string, values: readonly string[]): string {
    const { anchor } = this.#source;
    const dtype = anchor.type === 'f32' ? 'float32' : 'uint32';
    const sums = this.#source.workspace(elementType[dtype]);
    const first = part === '0' ? '' : `(Index)${part} * ${resultElements(anchor)} + `;
    return storeRun(`${sums} + ${first}position`, dtype, values);
  }
}

/** Statements that store neighbouring elements at once. */
function storeRun(target: string, dtype: DType, values: readonly string[]): string {
  const bits = values.map((value) => narrowed(dtype, value));
  if (bits.length === 1) return `*(${target}) = ${bits[0]};`;
  return lines(
    `const tutti_pack<${elementType[dtype]}, ${bits.length}> stored = {{${bits.join(', ')}}};`,
    `tutti_store<${bits.length}>(${target}, stored);`,
  );
}

/** The epilogue's value for each column of a run. */
class Run {
  readonly statements: string[] = [];
  readonly #source: Source;
  readonly #layout: ResultLayout;
  readonly #sums: readonly string[];
  readonly #analysis = new IndexAnalysis();
  readonly #known = new Map<Expression, readonly string[]>();
  readonly #variables = new Map<IndexVariable, readonly string[]>();
  readonly #space: readonly IndexVariable[];
  /** The variable whose consecutive values the columns are. */
  readonly #along: IndexVariable | undefined;
  readonly #value: Expression;
  #names = 0;

  constructor(source: Source, layout: ResultLayout, row: string, column: string, sums: readonly string[]) {
    this.#source = source;
    this.#layout = layout;
    // Integers wrap in unsigned.
    this.#sums = source.anchor.type === 'i32' ? sums.map((text) => `(int)(${text})`) : sums;
    const { anchor } = source;
    const { space, value } = anchor.epilogue ?? plainResult(anchor, resultElements(anchor));
    this.#space = space;
    this.#value = value;
    const long = space.filter(({ extent }) => extent > 1);
    for (const variable of space) if (variable.extent === 1) this.#variables.set(variable, ['0']);
    let split = long.length;
    while (split > 0 && sizeOf(long.slice(split)) < layout.extent) split--;
    const isSplit = sizeOf(long.slice(split)) === layout.extent;
    const inner = isSplit ? long.slice(split) : long;
    if (inner.length === 1) this.#along = inner[0];
    const used = usedVariables([value], (e) => this.#offset(e) !== undefined);
    if (isSplit) this.#decode([row], long.slice(0, split), used);
    const first = isSplit ? column : 'position';
    const columns = Array.from({ length: layout.width }, (_, i) => (i === 0 ? first : `(${first} + ${i})`));
    this.#decode(columns, inner, used);
  }

  result(): readonly string[] {
    const texts = this.#text(this.#value);
    return this.#sums.map((_, copy) => texts[texts.length > 1 ? copy : 0]!);
  }

  /** Names the variables of `space` at these row-major positions. */
  #decode(
    positions: readonly string[],
    space: readonly IndexVariable[],
    used: ReadonlySet<IndexVariable>,
  ): void {
    const outermost = space.findIndex((variable) => used.has(variable));
    if (outermost < 0) return;
    let rest = positions;
    for (let i = space.length - 1; i >= outermost; i--) {
      const variable = space[i]!;
      const { extent } = variable;
      if (i === 0) {
        this.#variables.set(
          variable,
          this.#keep(
            'int',
            'n',
            rest.map((text) => `(int)${text}`),
          ),
        );
        return;
      }
      // Positions are not negative, which makes for shorter divisions.
      const numbers = rest.map((text) => `(unsigned)${text}`);
      if (used.has(variable))
        this.#variables.set(
          variable,
          this.#keep(
            'int',
            'n',
            numbers.map((text) => `(int)(${text} % ${extent}u)`),
          ),
        );
      if (i > outermost)
        rest = this.#keep(
          'int',
          'q',
          numbers.map((text) => `(int)(${text} / ${extent}u)`),
        );
    }
  }

  /** The constant distance of an index from the element's own position. */
  #offset(e: Expression): number | undefined {
    if (e.type !== 'i32' || this.#space.every(({ extent }) => extent === 1)) return undefined;
    return this.#analysis.offsetFromRowMajor(e, this.#space);
  }

  #keep(type: string, prefix: string, texts: readonly string[]): readonly string[] {
    return texts.map((text) => {
      const name = `${prefix}${this.#names++}`;
      this.statements.push(`const ${type} ${name} = ${text};`);
      return name;
    });
  }

  /** The text for each column, or one text for all. */
  #text(e: Expression): readonly string[] {
    let texts = this.#known.get(e);
    if (!texts) {
      texts = this.#compute(e);
      this.#known.set(e, texts);
    }
    return texts;
  }

  #compute(e: Expression): readonly string[] {
    switch (e.op) {
      case 'const':
        return [literal(e.type, e.value)];
      case 'scalar':
        return [this.#source.scalar(e.type, e.param)];
      case 'accumulator':
        return this.#sums;
      case 'index': {
        // The only variable of a space is the position itself.
        const own = this.#offset(e);
        if (own !== undefined) return this.#position(own);
        const texts = this.#variables.get(e.variable);
        if (!texts) throw new InternalError(`index variable ${e.variable.name} has no value`);
        return texts;
      }
      case 'load':
        return this.#load(e);
      case 'alu':
        return this.#alu(e);
    }
  }

  #alu(e: AluExpression): readonly string[] {
    if (this.#offset(e) !== undefined) return this.#position(this.#offset(e)!);
    const args = e.args.map((arg) => this.#text(arg));
    const copies = Math.max(...args.map((texts) => texts.length));
    const texts = Array.from({ length: copies }, (_, copy) =>
      aluText(
        e,
        args.map((arg) => arg[arg.length > 1 ? copy : 0]!),
        this.#analysis,
      ),
    );
    return this.#keep(typeName[e.type], 'v', texts);
  }

  #position(offset: number): readonly string[] {
    return Array.from({ length: this.#layout.width }, (_, i) =>
      i + offset === 0 ? 'position' : `(position + ${i + offset})`,
    );
  }

  #load(e: LoadExpression): readonly string[] {
    const { dtype } = this.#source.anchor.buffers[e.buffer]!;
    const own = this.#offset(e.index);
    const index = own === undefined ? this.#text(e.index) : this.#position(own);
    if (index.length > 1 && !e.guard && this.#isRun(e.index, own)) return this.#loadRun(e, index[0]!, dtype);
    const guard = e.guard ? this.#text(e.guard) : [];
    const copies = Math.max(index.length, guard.length);
    const texts = Array.from({ length: copies }, (_, copy) => {
      const at = index[index.length > 1 ? copy : 0]!;
      const value = this.#source.load(e.buffer, at);
      if (guard.length === 0) return value;
      return `(${guard[guard.length > 1 ? copy : 0]} ? ${value} : ${literal(e.type, 0)})`;
    });
    return this.#keep(typeName[e.type], 'x', texts);
  }

  /** Whether the elements for a run are neighbours, and the first is aligned. */
  #isRun(index: Expression, own: number | undefined): boolean {
    const { width } = this.#layout;
    if (own !== undefined) return own % width === 0;
    return this.#along !== undefined && this.#analysis.isAligned(index, this.#along, width, width);
  }

  #loadRun({ buffer, type }: LoadExpression, at: string, dtype: DType): readonly string[] {
    const { width } = this.#layout;
    const pointer = `${this.#source.buffer(buffer)} + ${at}`;
    const pack = `tutti_pack<${elementType[dtype]}, ${width}>`;
    const [name] = this.#keep(pack, 'r', [`tutti_load<${width}>(${pointer})`]) as [string];
    const texts = Array.from({ length: width }, (_, i) => widened(dtype, `${name}.at[${i}]`));
    return bytesOf(dtype) === 4 ? texts : this.#keep(typeName[type], 'x', texts);
  }
}

/** The statements of a loop over the runs of `count` neighbouring columns of a thread. */
export const overRuns = (
  count: number,
  width: RunWidth,
  body: (first: (i: number) => string) => string,
): string =>
  lines(
    '#pragma unroll',
    block(
      `for (int c = 0; c < ${count}; c += ${Math.min(width, count)})`,
      body((i) => (i === 0 ? 'c' : `c + ${i}`)),
    ),
  );
