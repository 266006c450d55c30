/**
 * The end of every routine: from a result in a register to what lies in memory, through the anchor's epilogue.
 *
 * A routine sees the contiguous result as rows of `extent` columns, at `row * extent + column`, where `extent` is whatever suits its
 * tiles: n, or the points of an image. An invocation hands over runs of `width` neighbouring columns, for as many rows as it has:
 *
 *     const layout = { extent: n, width: 4, ragged: n % 64 !== 0 };
 *     const shader = new Shader(anchor, features, resultMemory(anchor, layout));
 *     new Results(shader, code, anchor, layout, software).write(column, [{ row, values: ['c0.x', 'c0.y', 'c0.z', 'c0.w'] }]);
 *
 * What depends on the column alone (a bias) is evaluated once for all rows of a run, what depends on the row alone once for its
 * columns.
 */
import {
  type Anchor,
  type Expression,
  IndexAnalysis,
  type IndexVariable,
  loadIndices,
  resultBuffer,
  Schedule,
  sizeOf,
  usedVariables,
  visitExpressions,
} from '@tutti/core/backend';
import type { Code } from '../kernels/code.ts';
import { decodePoint } from '../kernels/decode.ts';
import { lanesOf, pack, packWord, wordShift, wordType } from '../kernels/memory.ts';
import type { Shader, ShaderMemory } from '../kernels/shader.ts';
import { type Group, Scope, Values } from '../kernels/values.ts';

/** How a routine sees the result. */
export interface ResultLayout {
  /** Columns of a row. */
  readonly extent: number;
  /** Columns of a run: 1, or a multiple of 4. The first is a multiple of it. */
  readonly width: number;
  /** Runs may reach, or lie, beyond the last column: those columns are not stored. */
  readonly ragged: boolean;
  /** Words are stored one by one, also where a run is whole vectors: several widths may meet in a stage. */
  readonly single?: boolean;
}

/** One row of a run. Texts are WGSL, and may be used several times. */
export interface ResultRow {
  /** The row, as a u32. */
  readonly row: string;
  /** A condition under which the row exists, where it may not. */
  readonly exists?: string | undefined;
  /** The sums, of the anchor's type. */
  readonly values: readonly string[];
}

/**
 * - `vector`: four words at once.
 * - `element`: the element is a word.
 * - `word`: the run has whole words of narrow elements.
 * - `atomic`: bits of a word that other invocations store to as well.
 */
type ResultForm = 'vector' | 'element' | 'word' | 'atomic';

function formOf(anchor: Anchor, { extent, width, single }: ResultLayout): ResultForm {
  const lanes = lanesOf(anchor.buffers[resultBuffer(anchor)]!.dtype);
  if (lanes > 1) return width % lanes === 0 && extent % lanes === 0 ? 'word' : 'atomic';
  return width % 4 === 0 && extent % 4 === 0 && !single ? 'vector' : 'element';
}

/** The memory of a stage that writes results; `more` names vectors among the operands, and the workspace. */
export function resultMemory(
  anchor: Anchor,
  layout: ResultLayout,
  more: Pick<ShaderMemory, 'vectors' | 'workspace'> = {},
): ShaderMemory {
  const form = formOf(anchor, layout);
  const out = resultBuffer(anchor);
  const vectors = new Set(more.vectors);
  if (form === 'vector') vectors.add(out);
  return {
    ...more,
    stored: new Set([out]),
    atomic: new Set(form === 'atomic' ? [out] : []),
    vectors,
  };
}

/** Whether the result or what the epilogue loads is narrower than a word. */
const hasNarrow = (anchor: Anchor): boolean =>
  anchor.buffers.slice(resultBuffer(anchor)).some(({ dtype }) => lanesOf(dtype) > 1);

/** Depths of values: of the function, of a column, of a row, of an element. */
const depths = { all: 0, column: 1, row: 2, element: 3 } as const;

const join = (a: number, b: number): number =>
  a === b || b === depths.all ? a : a === depths.all ? b : depths.element;

export class Results {
  readonly #shader: Shader;
  readonly #code: Code;
  readonly #anchor: Anchor;
  readonly #layout: ResultLayout;
  readonly #software: boolean;
  readonly #form: ResultForm;
  readonly #analysis = new IndexAnalysis();
  readonly #epilogue: EpiloguePlan | undefined;

  constructor(shader: Shader, code: Code, anchor: Anchor, layout: ResultLayout, software: boolean) {
    this.#shader = shader;
    this.#code = code;
    this.#anchor = anchor;
    this.#layout = layout;
    this.#software = software;
    this.#form = formOf(anchor, layout);
    if (anchor.epilogue)
      this.#epilogue = planEpilogue(anchor, anchor.epilogue, layout.extent, this.#analysis);
  }

  /** Stores the results of the columns from `column`, a u32, in these rows. */
  write(column: string, rows: readonly ResultRow[]): void {
    const { ragged, extent, width } = this.#layout;
    const all = (): void => {
      if (this.#epilogue) this.#finish(this.#epilogue, column, rows);
      else
        for (const row of rows)
          this.#inRow(row, () => this.#store(column, this.#first(column, row), row.values));
    };
    // A run that lies in the row as a whole, or not at all.
    if (ragged && (extent % width === 0 || width === 1)) this.#code.block(`if (${column} < ${extent}u)`, all);
    else all();
  }

  #inRow({ exists }: ResultRow, body: () => void): void {
    if (exists) this.#code.block(`if (${exists})`, body);
    else this.#code.block('', body);
  }

  /** The position of a row's run, as a u32. */
  #first(column: string, { row }: ResultRow): string {
    const { extent } = this.#layout;
    return this.#code.keep('p', extent === 1 ? `${row} + ${column}` : `${row} * ${extent}u + ${column}`);
  }

  #finish(plan: EpiloguePlan, column: string, rows: readonly ResultRow[]): void {
    const { width } = this.#layout;
    const values = new Values(this.#shader, this.#code, this.#analysis);
    const schedule = new Schedule({ ...plan.scopes, isMutable: () => false }, [plan.value], new Set(), (e) =>
      plan.positions.has(e),
    );
    const constants = new Scope(depths.all);
    values.open(constants);
    values.settle(schedule);
    const columns = new Scope(depths.column, width, this.#group(plan, column));
    if (plan.split) this.#bind(columns, plan.inner, plan.used, column);
    values.open(columns);
    values.settle(schedule);
    for (const row of rows) {
      this.#inRow(row, () => {
        const single = new Scope(depths.row);
        if (plan.split) {
          const names = decodePoint(this.#code, row.row, plan.outer, plan.used, this.#software);
          for (const [variable, name] of names) single.bind(variable, name);
        }
        values.open(single);
        values.settle(schedule);
        const first = this.#first(column, row);
        const elements = new Scope(depths.element, width, columns.group);
        for (const accumulator of plan.accumulators) elements.names.set(accumulator, row.values);
        this.#bindPositions(elements, plan, first);
        if (!plan.split) this.#bind(elements, plan.inner, plan.used, first);
        values.open(elements);
        values.settle(schedule);
        this.#store(
          column,
          first,
          row.values.map((_, copy) => values.text(plan.value, copy)),
        );
        values.close();
        values.close();
      });
    }
    values.close();
    values.close();
  }

  /** Columns as a group of the innermost variable: what shares words of narrow buffers. */
  #group(plan: EpiloguePlan, column: string): Group | undefined {
    const { width } = this.#layout;
    const [variable] = plan.inner;
    if (!hasNarrow(this.#anchor) || !plan.split || plan.inner.length !== 1 || width === 1) return undefined;
    return { variable: variable!, size: width, number: this.#code.keep('g', `i32(${column} / ${width}u)`) };
  }

  /** Binds the variables of `space` for the copies from position `first` on. */
  #bind(
    scope: Scope,
    space: readonly IndexVariable[],
    used: ReadonlySet<IndexVariable>,
    first: string,
  ): void {
    const { width } = this.#layout;
    const code = this.#code;
    const last = space.at(-1);
    const within = used.size > 0 && space.some((variable) => used.has(variable));
    if (!last || !within) return;
    if (width === 1 || space.length === 1 || this.#stays(last)) {
      for (const [variable, name] of decodePoint(code, first, space, used, this.#software)) {
        const texts = Array.from({ length: width }, (_, i) =>
          i === 0 ? name : code.keep('n', `${name} + ${i}`),
        );
        scope.bind(variable, ...(variable === last ? texts : [name]));
      }
      return;
    }
    const decoded = Array.from({ length: width }, (_, i) =>
      decodePoint(code, i === 0 ? first : code.keep('p', `${first} + ${i}u`), space, used, this.#software),
    );
    for (const variable of decoded[0]!.keys()) {
      scope.bind(variable, ...decoded.map((names) => names.get(variable)!));
    }
  }

  /** Whether a run stays within one turn of the innermost variable. */
  #stays({ extent }: IndexVariable): boolean {
    const { width, extent: columns } = this.#layout;
    return extent % width === 0 && columns % width === 0;
  }

  #bindPositions(scope: Scope, { positions }: EpiloguePlan, first: string): void {
    const known = new Map<number, readonly string[]>();
    for (const [index, offset] of positions) {
      let names = known.get(offset);
      if (!names) {
        const name = this.#code.keep('n', offset === 0 ? `i32(${first})` : `i32(${first}) + ${offset}`);
        names = Array.from({ length: scope.copies }, (_, i) => (i === 0 ? name : `(${name} + ${i})`));
        known.set(offset, names);
      }
      scope.names.set(index, names);
    }
  }

  #store(column: string, first: string, values: readonly string[]): void {
    const { ragged, extent, width } = this.#layout;
    const out = resultBuffer(this.#anchor);
    const { dtype } = this.#anchor.buffers[resultBuffer(this.#anchor)]!;
    const name = this.#shader.buffer(out);
    const together = this.#form === 'vector' ? 4 : this.#form === 'word' ? lanesOf(dtype) : 1;
    const place =
      this.#form === 'vector'
        ? `${first} >> 2u`
        : this.#form === 'word'
          ? `${first} >> ${wordShift(dtype)}u`
          : first;
    const at = together > 1 && width > together ? this.#code.keep('w', place) : place;
    for (let i = 0; i < width; i += together) {
      const part = values.slice(i, i + together);
      const index = i === 0 ? at : `${at} + ${i / together}u`;
      const line = (): void => {
        if (this.#form === 'atomic') {
          this.#code.line(this.#shader.storeAtomic(out, `i32(${index})`, pack(dtype, part[0]!)));
        } else this.#code.line(`${name}[${index}] = ${this.#packed(part)};`);
      };
      if (ragged && extent % width !== 0 && width > 1) {
        this.#code.block(`if (${i === 0 ? column : `${column} + ${i}u`} < ${extent}u)`, line);
      } else line();
    }
  }

  #packed(values: readonly string[]): string {
    const { dtype } = this.#anchor.buffers[resultBuffer(this.#anchor)]!;
    if (this.#form === 'element') return values[0]!;
    return this.#form === 'word' ? packWord(dtype, values) : `vec4<${wordType(dtype)}>(${values.join(', ')})`;
  }
}

interface EpiloguePlan {
  readonly value: Expression;
  readonly accumulators: readonly Expression[];
  /** Rows and columns of the routine are whole dimensions: `outer` are those of a row, `inner` those of a column. */
  readonly split: boolean;
  readonly outer: readonly IndexVariable[];
  /** Without a split: all dimensions. */
  readonly inner: readonly IndexVariable[];
  readonly used: ReadonlySet<IndexVariable>;
  /** Indices at a fixed distance from the element's own position. */
  readonly positions: ReadonlyMap<Expression, number>;
  readonly scopes: {
    readonly depths: ReadonlyMap<IndexVariable, number>;
    readonly body: number;
    readonly accumulators: number;
    readonly join: typeof join;
  };
}

function planEpilogue(
  anchor: Anchor,
  { space, value }: NonNullable<Anchor['epilogue']>,
  extent: number,
  analysis: IndexAnalysis,
): EpiloguePlan {
  let at = space.length;
  while (at > 0 && sizeOf(space.slice(at)) < extent) at--;
  const split = sizeOf(space.slice(at)) === extent;
  const outer = split ? space.slice(0, at) : [];
  const inner = split ? space.slice(at) : space;
  const depthOf = new Map<IndexVariable, number>();
  for (const variable of outer) depthOf.set(variable, depths.row);
  for (const variable of inner) depthOf.set(variable, split ? depths.column : depths.element);
  const accumulators: Expression[] = [];
  visitExpressions([value], (e) => {
    if (e.op === 'accumulator') accumulators.push(e);
  });
  const positions = new Map<Expression, number>();
  if (space.filter((variable) => variable.extent > 1).length > 1) {
    for (const index of loadIndices([value])) {
      const offset = analysis.offsetFromRowMajor(index, space);
      // Where rows have one column, what has the element's index belongs to the row.
      if (offset !== undefined && sizeOf(outer) > 1 && sizeOf(inner) > 1) positions.set(index, offset);
      else if (offset !== undefined && !split) positions.set(index, offset);
    }
  }
  return {
    value,
    accumulators,
    split,
    outer,
    inner,
    // Words of narrow buffers are found through the variables.
    used: usedVariables([value], (e) => positions.has(e) && !hasNarrow(anchor)),
    positions,
    scopes: { depths: depthOf, body: depths.element, accumulators: depths.element, join },
  };
}
