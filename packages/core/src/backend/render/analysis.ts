/** What can be known about integer expressions before they run: bounds, steps and alignment. */
import { operands } from '../expressions.ts';
import type { AluExpression, Expression, IndexVariable } from '../kernel.ts';

interface Bounds {
  readonly low: number;
  readonly high: number;
}

const any: Bounds = { low: -(2 ** 31), high: 2 ** 31 - 1 };

/** The bounds themselves, or all of i32 where arithmetic could have wrapped. */
const within = (low: number, high: number): Bounds =>
  low >= any.low && high <= any.high ? { low, high } : any;

/** Answers are remembered: index arithmetic is a DAG, and walking it as a tree can take forever. */
export class IndexAnalysis {
  readonly #bounds = new Map<Expression, Bounds>();
  readonly #hasData = new Map<Expression, boolean>();
  readonly #strides = new Map<IndexVariable, Map<Expression, number | undefined>>();

  /** Whether a value depends on anything but constants and index variables. */
  hasData(e: Expression): boolean {
    if (e.op !== 'alu') return e.op !== 'const' && e.op !== 'index';
    let known = this.#hasData.get(e);
    if (known === undefined) {
      known = e.args.some((arg) => this.hasData(arg));
      this.#hasData.set(e, known);
    }
    return known;
  }

  isNonNegative(e: Expression): boolean {
    return this.bounds(e).low >= 0;
  }

  /** Whether i32 arithmetic stays within its range, so that nothing wraps. */
  isBounded(e: Expression): boolean {
    const { low, high } = this.bounds(e);
    return low > any.low || high < any.high;
  }

  /** Bounds of an i32 expression. */
  bounds(e: Expression): Bounds {
    let known = this.#bounds.get(e);
    if (!known) {
      known = this.#boundsOf(e);
      this.#bounds.set(e, known);
    }
    return known;
  }

  #boundsOf(e: Expression): Bounds {
    if (e.type !== 'i32') return any;
    if (e.op === 'const') return { low: e.value, high: e.value };
    if (e.op === 'index') return { low: 0, high: e.variable.extent - 1 };
    if (e.op !== 'alu') return any;
    const [a, b] = e.args.map((arg) => this.bounds(arg)) as [Bounds, Bounds];
    switch (e.alu) {
      case 'add':
        return within(a.low + b.low, a.high + b.high);
      case 'sub':
        return within(a.low - b.high, a.high - b.low);
      case 'mul': {
        const products = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
        return within(Math.min(...products), Math.max(...products));
      }
      case 'max':
        return within(Math.max(a.low, b.low), Math.max(a.high, b.high));
      case 'min':
        return within(Math.min(a.low, b.low), Math.min(a.high, b.high));
      case 'where':
        return this.#union(e);
      case 'cast':
        return e.args[0]!.type === 'bool' ? { low: 0, high: 1 } : any;
      default:
        return this.#quotient(e, a, b);
    }
  }

  #union(e: AluExpression): Bounds {
    const [, b, c] = e.args.map((arg) => this.bounds(arg)) as [Bounds, Bounds, Bounds];
    return { low: Math.min(b.low, c.low), high: Math.max(b.high, c.high) };
  }

  #quotient({ alu }: AluExpression, a: Bounds, b: Bounds): Bounds {
    if (alu === 'and' && b !== undefined) {
      if (b.low >= 0) return { low: 0, high: b.high };
      if (a.low >= 0) return { low: 0, high: a.high };
    }
    if (b === undefined || a.low < 0 || b.low <= 0) return any;
    if (alu === 'idiv') return { low: Math.floor(a.low / b.high), high: Math.floor(a.high / b.low) };
    if (alu === 'rem') return { low: 0, high: Math.min(a.high, b.high - 1) };
    return any;
  }

  /** How much an index grows with `variable`: a constant, or undefined. */
  stride(e: Expression, variable: IndexVariable): number | undefined {
    if (e.op === 'index') return e.variable === variable ? 1 : 0;
    let known = this.#strides.get(variable);
    if (!known) {
      known = new Map();
      this.#strides.set(variable, known);
    }
    if (!known.has(e)) known.set(e, this.#strideOf(e, variable));
    return known.get(e);
  }

  #strideOf(e: Expression, variable: IndexVariable): number | undefined {
    const strides = operands(e).map((operand) => this.stride(operand, variable));
    if (strides.every((stride) => stride === 0)) return 0;
    if (e.op !== 'alu' || strides.includes(undefined)) return undefined;
    const [a, b] = strides as [number, number];
    const [left, right] = e.args as [Expression, Expression];
    if (e.alu === 'add') return a + b;
    if (e.alu === 'sub') return a - b;
    if (e.alu === 'mul' && right.op === 'const') return a * right.value;
    if (e.alu === 'mul' && left.op === 'const') return b * left.value;
    return undefined;
  }

  /** True when the index of consecutive values of `variable`, from a multiple of `size` on, starts at a multiple of `lanes`. */
  isAligned(e: Expression, variable: IndexVariable, size: number, lanes: number): boolean {
    return this.stride(e, variable) === 1 && powerDividing(e, variable, size, new Map()) >= lanes;
  }

  /** The constant c where the index is c plus the row-major position in `space`; undefined where it is not. */
  offsetFromRowMajor(e: Expression, space: readonly IndexVariable[]): number | undefined {
    let step = 1;
    for (const variable of [...space].reverse()) {
      if (variable.extent > 1 && this.stride(e, variable) !== step) return undefined;
      step *= variable.extent;
    }
    const offset = valueAtZero(e, space, new Map());
    return Number.isFinite(offset) ? offset : undefined;
  }
}

/** The largest power of two, up to 16, that divides an integer expression wherever `variable` is a multiple of `size`. */
function powerDividing(
  e: Expression,
  variable: IndexVariable,
  size: number,
  known: Map<Expression, number>,
): number {
  if (e.op === 'const') return [16, 8, 4, 2].find((power) => e.value % power === 0) ?? 1;
  if (e.op === 'index') return e.variable.extent === 1 ? 16 : e.variable === variable ? size : 1;
  if (e.op !== 'alu' || e.type !== 'i32' || e.args.length !== 2) return 1;
  let answer = known.get(e);
  if (answer === undefined) {
    const [a, b] = e.args.map((arg) => powerDividing(arg, variable, size, known)) as [number, number];
    answer = e.alu === 'add' || e.alu === 'sub' ? Math.min(a, b) : e.alu === 'mul' ? Math.min(16, a * b) : 1;
    known.set(e, answer);
  }
  return answer;
}

/** The value of an affine expression where these variables are 0; NaN where it depends on more. */
function valueAtZero(
  e: Expression,
  variables: readonly IndexVariable[],
  known: Map<Expression, number>,
): number {
  if (e.op === 'const') return e.value;
  if (e.op === 'index') return variables.includes(e.variable) ? 0 : Number.NaN;
  if (e.op !== 'alu' || e.args.length !== 2) return Number.NaN;
  let value = known.get(e);
  if (value === undefined) {
    const [a, b] = e.args.map((arg) => valueAtZero(arg, variables, known)) as [number, number];
    value = e.alu === 'add' ? a + b : e.alu === 'sub' ? a - b : e.alu === 'mul' ? a * b : Number.NaN;
    known.set(e, value);
  }
  return value;
}
