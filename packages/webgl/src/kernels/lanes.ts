/**
 * Expressions of a kernel as a fragment evaluates them: for four consecutive points at a time, side by side in the lanes of vectors.
 *
 *     quad    the number of the four points
 *     point   their positions, a vector
 *
 * Where four points never cross the end of a row, only the innermost variable is a vector; elsewhere all variables are. The
 * innermost loop of a reduction is unrolled by four in the same way, as *copies* of its body.
 *
 * Loads along lanes or along copies get four elements at once. Their indices are rewritten to what memory wants, with `quad` in
 * place of the position, so that what is written down later is arithmetic of scalars:
 *
 *     aligned     the number of a quad of the buffer
 *     otherwise   the first of four elements
 */
import {
  type Accumulator,
  type AluExpression,
  type Expression,
  ExpressionBuilder,
  type IndexAnalysis,
  type IndexVariable,
  type LoadExpression,
  operands,
  sizeOf,
} from '@tutti/core/backend';

/** How a load gets its elements. */
export interface LoadForm {
  /** Four elements are the lanes of a vector, or go to four copies; or each lane and copy gets its own. */
  readonly along: 'lanes' | 'copies' | 'elements';
  /** The index counts quads. */
  readonly aligned: boolean;
}

/** A variable whose values go by fours, from a multiple of four on. */
interface Quads {
  readonly variable: IndexVariable;
  /** The number of the four values. */
  readonly number: IndexVariable;
}

const quadsOf = (variable: IndexVariable): Quads => ({
  variable,
  number: { name: `${variable.name}_quad`, extent: Math.ceil(variable.extent / 4) },
});

export class Lanes {
  readonly quad: IndexVariable;
  readonly point: IndexVariable;
  /** The dimensions of the space that are not 1. */
  readonly dimensions: readonly IndexVariable[];
  /** The innermost dimension, where lanes are consecutive values of it. */
  readonly inner: Quads | undefined;
  /** The innermost loop, where its body is unrolled. */
  readonly copies: Quads | undefined;
  readonly #builder = new ExpressionBuilder();
  readonly #analysis: IndexAnalysis;
  readonly #vectors: ReadonlySet<IndexVariable>;
  readonly #rewritten = new Map<Expression, Expression>();
  readonly #forms = new Map<Expression, LoadForm>();
  readonly #isVector = new Map<Expression, boolean>();
  readonly #isCopied = new Map<Expression, boolean>();
  readonly #vectorAccumulators = new Set<number>();

  /** `unrolled`: the loop whose body is copied. */
  constructor(space: readonly IndexVariable[], analysis: IndexAnalysis, unrolled?: IndexVariable) {
    const points = sizeOf(space);
    this.#analysis = analysis;
    this.quad = { name: 'quad', extent: Math.ceil(points / 4) };
    this.point = { name: 'point', extent: points };
    this.dimensions = space.filter(({ extent }) => extent > 1);
    const innermost = this.dimensions.at(-1);
    if (innermost && this.dimensions.length === 1) this.inner = { variable: innermost, number: this.quad };
    else if (innermost && innermost.extent % 4 === 0) this.inner = quadsOf(innermost);
    this.copies = unrolled && quadsOf(unrolled);
    const vectors = this.inner ? [this.inner.variable] : this.dimensions;
    this.#vectors = new Set(innermost ? [...vectors, this.point] : []);
  }

  /** The form of a load among what `rewrite` gave. */
  form(load: LoadExpression): LoadForm {
    return this.#forms.get(load)!;
  }

  /** Whether the value of a rewritten expression differs from lane to lane. */
  isVector(e: Expression): boolean {
    if (e.op === 'index') return this.#vectors.has(e.variable);
    if (e.op === 'accumulator') return this.isVectorAccumulator(e.id);
    if (e.op === 'load' && this.form(e).along === 'lanes') return true;
    return remembered(this.#isVector, e, () => operands(e).some((operand) => this.isVector(operand)));
  }

  /** Whether the value of a rewritten expression differs from copy to copy. */
  isCopied(e: Expression): boolean {
    if (e.op === 'index') return e.variable === this.copies?.variable;
    if (e.op === 'load' && this.form(e).along === 'copies') return true;
    return remembered(this.#isCopied, e, () => operands(e).some((operand) => this.isCopied(operand)));
  }

  isVectorAccumulator(id: number): boolean {
    return this.#vectorAccumulators.has(id);
  }

  /** Accumulators of a reduction, whose values later expressions may refer to. */
  rewriteAccumulators(accumulators: readonly Accumulator[]): Accumulator[] {
    const rewritten = accumulators.map(({ position, ...rest }) => ({
      ...rest,
      value: this.rewrite(rest.value),
      ...(position ? { position: this.rewrite(position) } : {}),
    }));
    for (const { id, value, position } of rewritten)
      if (this.isVector(value) || (position && this.isVector(position))) this.#vectorAccumulators.add(id);
    return rewritten;
  }

  rewrite(e: Expression): Expression {
    if (e.op === 'const' || e.op === 'scalar' || e.op === 'accumulator') return e;
    return remembered(this.#rewritten, e, () => {
      if (e.op === 'load') return this.#load(e);
      const offset = this.#offset(e);
      if (offset !== undefined) return this.#plus(this.#builder.index(this.point), offset);
      if (e.op === 'index') return e.variable.extent === 1 ? this.#builder.int(0) : e;
      return this.#with(
        e,
        e.args.map((arg) => this.rewrite(arg)),
      );
    });
  }

  /** What an index lies behind the position of its point; undefined where it lies elsewhere. */
  #offset(e: Expression): number | undefined {
    const innermost = this.dimensions.at(-1);
    if (!innermost || e.type !== 'i32' || this.#analysis.stride(e, innermost) !== 1) return undefined;
    return this.#analysis.offsetFromRowMajor(e, this.dimensions);
  }

  #load(e: LoadExpression): Expression {
    const { inner, copies } = this;
    const offset = this.#offset(e.index);
    if (offset !== undefined) {
      const quad = this.#builder.index(this.quad);
      return offset % 4 === 0
        ? this.#made(e, this.#plus(quad, offset / 4), { along: 'lanes', aligned: true })
        : this.#made(e, this.#plus(this.#times(quad, 4), offset), { along: 'lanes', aligned: false });
    }
    const grouped = inner ? this.#grouped(e, inner, 'lanes') : this.#behindPoints(e);
    return (
      grouped ??
      (copies && this.#grouped(e, copies, 'copies')) ??
      this.#made(e, this.rewrite(e.index), { along: 'elements', aligned: false })
    );
  }

  /** A load of consecutive elements for consecutive values of a variable. */
  #grouped(e: LoadExpression, quads: Quads, along: 'lanes' | 'copies'): Expression | undefined {
    const { index } = e;
    if (this.#analysis.stride(index, quads.variable) !== 1) return undefined;
    const aligned = this.#analysis.isAligned(index, quads.variable, 4, 4);
    const at = aligned ? this.#quotient(index, quads) : this.#first(index, quads);
    const differs = along === 'lanes' ? this.isVector(at) : this.isCopied(at);
    return differs ? undefined : this.#made(e, at, { along, aligned });
  }

  /** A load at the position of the point and something that is the same for all points. */
  #behindPoints(e: LoadExpression): Expression | undefined {
    let step = 1;
    for (const variable of this.dimensions.toReversed()) {
      if (this.#analysis.stride(e.index, variable) !== step) return undefined;
      step *= variable.extent;
    }
    const base = this.dimensions.length > 0 ? this.#atOrigin(e.index) : undefined;
    if (!base || this.isVector(base)) return undefined;
    const first = this.#times(this.#builder.index(this.quad), 4);
    const at =
      base.op === 'const' ? this.#plus(first, base.value) : this.#builder.alu('add', 'i32', base, first);
    return this.#made(e, at, { along: 'lanes', aligned: false });
  }

  /** An affine index where all dimensions are 0; undefined where it is not as simple as that. */
  #atOrigin(e: Expression): Expression | undefined {
    if (this.dimensions.every((variable) => this.#analysis.stride(e, variable) === 0)) return this.rewrite(e);
    if (e.op === 'index') return this.#builder.int(0);
    if (e.op !== 'alu') return undefined;
    const args = e.args.map((arg) => this.#atOrigin(arg));
    return args.every((arg) => arg !== undefined) ? this.#with(e, args) : undefined;
  }

  #made(e: LoadExpression, index: Expression, form: LoadForm): Expression {
    const guard = e.guard && this.rewrite(e.guard);
    const made: LoadExpression = {
      op: 'load',
      type: e.type,
      buffer: e.buffer,
      index,
      ...(guard ? { guard } : {}),
    };
    this.#forms.set(made, form);
    return made;
  }

  /** An index where a variable has the first of its four values. */
  #first(e: Expression, quads: Quads): Expression {
    if (this.#analysis.stride(e, quads.variable) === 0) return this.rewrite(e);
    if (e.op === 'index') return this.#times(this.#builder.index(quads.number), 4);
    if (e.op !== 'alu') return this.rewrite(e);
    return this.#with(
      e,
      e.args.map((arg) => this.#first(arg, quads)),
    );
  }

  /** A quarter of what `#first` gives, which is a multiple of four. */
  #quotient(e: Expression, quads: Quads): Expression {
    const shifted = (): Expression =>
      this.#builder.alu('shr', 'i32', this.#first(e, quads), this.#builder.int(2));
    if (e.op === 'const' && e.value % 4 === 0) return this.#builder.int(e.value / 4);
    if (e.op === 'index') {
      if (e.variable === quads.variable) return this.#builder.index(quads.number);
      return e.variable.extent === 1 ? this.#builder.int(0) : shifted();
    }
    if (e.op !== 'alu') return shifted();
    const [a, b] = e.args as [Expression, Expression];
    if (e.alu === 'mul' && b.op === 'const' && b.value % 4 === 0)
      return this.#times(this.#first(a, quads), b.value / 4);
    if (e.alu !== 'add' && e.alu !== 'sub') return shifted();
    return this.#with(e, [this.#quotient(a, quads), this.#quotient(b, quads)]);
  }

  /** An operation on rewritten operands. */
  #with(e: AluExpression, args: readonly Expression[]): Expression {
    const [a, b] = args as [Expression, Expression];
    if (e.type === 'i32' && b?.op === 'const') {
      if (e.alu === 'add') return this.#plus(a, b.value);
      if (e.alu === 'mul') return this.#times(a, b.value);
    }
    if (e.type === 'i32' && e.alu === 'add' && a.op === 'const') return this.#plus(b, a.value);
    if (args.every((arg, i) => arg === e.args[i])) return e;
    return this.#builder.alu(e.alu, e.type, ...args);
  }

  #plus(e: Expression, by: number): Expression {
    if (by === 0) return e;
    if (e.op === 'const') return this.#builder.int((e.value + by) | 0);
    return this.#builder.alu('add', 'i32', e, this.#builder.int(by));
  }

  #times(e: Expression, by: number): Expression {
    if (by === 1) return e;
    if (by === 0) return this.#builder.int(0);
    if (e.op === 'const') return this.#builder.int(Math.imul(e.value, by));
    return this.#builder.alu('mul', 'i32', e, this.#builder.int(by));
  }
}

function remembered<T>(known: Map<Expression, T>, e: Expression, make: () => T): T {
  let value = known.get(e);
  if (value === undefined) {
    value = make();
    known.set(e, value);
  }
  return value;
}
