/**
 * Index arithmetic that simplifies as it is built. Every integer expression is kept as a linear form
 * `c0 + sum of c_k * atom_k` over atoms (index variables, quotients, remainders, loaded indices), with the range of values
 * that it can take. Known ranges are what removes the divisions of a reshape and the guards of a pad.
 */
import { type Expression, ExpressionBuilder, type IndexVariable } from '../backend/index.ts';

export interface Range {
  readonly min: number;
  readonly max: number;
}

interface Linear {
  readonly constant: number;
  readonly terms: ReadonlyMap<Expression, number>;
}

const unbounded: Range = { min: -(2 ** 31), max: 2 ** 31 - 1 };

const gcd = (a: number, b: number): number => (b === 0 ? Math.abs(a) : gcd(b, a % b));

export class IndexBuilder extends ExpressionBuilder {
  readonly #linear = new Map<Expression, Linear>();
  readonly #ranges = new Map<Expression, Range>();
  readonly #order = new Map<Expression, number>();

  readonly true: Expression = this.const('bool', 1);
  readonly false: Expression = this.const('bool', 0);

  // ---- linear forms

  #form(expression: Expression): Linear {
    if (expression.op === 'const') return { constant: expression.value, terms: new Map() };
    return this.#linear.get(expression) ?? { constant: 0, terms: new Map([[expression, 1]]) };
  }

  /** The expression of a linear form; terms in the order in which their atoms were first seen, so equal forms are one object. */
  #build(unordered: Linear): Expression {
    const form = this.#recombine(unordered);
    const terms = [...form.terms].filter(([, factor]) => factor !== 0);
    for (const [atom] of terms) if (!this.#order.has(atom)) this.#order.set(atom, this.#order.size);
    terms.sort(([a], [b]) => this.#order.get(a)! - this.#order.get(b)!);
    let sum: Expression | undefined;
    for (const [atom, factor] of terms) {
      const term = factor === 1 ? atom : this.alu('mul', 'i32', atom, this.int(factor));
      sum = sum ? this.alu('add', 'i32', sum, term) : term;
    }
    if (!sum) return this.int(form.constant);
    if (form.constant === 0 && terms.length === 1 && terms[0]![1] === 1) return sum; // an atom is its own form
    if (form.constant !== 0) sum = this.alu('add', 'i32', sum, this.int(form.constant));
    if (!this.#linear.has(sum)) this.#linear.set(sum, { constant: form.constant, terms: new Map(terms) });
    return sum;
  }

  /** f*d * (x // d) + f * (x % d) is f * x: what a reshape takes apart and another puts together again. */
  #recombine(form: Linear): Linear {
    for (const [atom, factor] of form.terms) {
      if (atom.op !== 'alu' || atom.alu !== 'rem' || factor === 0) continue;
      const [x, divisor] = atom.args as [Expression, Expression];
      if (divisor.op !== 'const') continue;
      const quotient = this.divideIndex(x, divisor.value);
      const whole = this.#form(quotient);
      if (whole.constant !== 0 || whole.terms.size !== 1) continue;
      const [[part, scale]] = [...whole.terms] as [[Expression, number]];
      if (form.terms.get(part) !== factor * divisor.value * scale) continue;
      const rest = new Map(form.terms);
      rest.delete(atom);
      rest.delete(part);
      const base = this.#form(x);
      for (const [term, f] of base.terms) rest.set(term, (rest.get(term) ?? 0) + f * factor);
      return this.#recombine({ constant: form.constant + base.constant * factor, terms: rest });
    }
    return form;
  }

  addIndex(a: Expression, b: Expression): Expression {
    const terms = new Map(this.#form(a).terms);
    for (const [atom, factor] of this.#form(b).terms) terms.set(atom, (terms.get(atom) ?? 0) + factor);
    return this.#build({ constant: this.#form(a).constant + this.#form(b).constant, terms });
  }

  scaleIndex(a: Expression, factor: number): Expression {
    if (factor === 0) return this.int(0);
    const form = this.#form(a);
    const terms = new Map([...form.terms].map(([atom, f]) => [atom, f * factor]));
    return this.#build({ constant: form.constant * factor, terms });
  }

  offsetIndex(a: Expression, offset: number): Expression {
    return offset === 0 ? a : this.addIndex(a, this.int(offset));
  }

  /** Sum of `indices[k] * strides[k]`. */
  flatten(indices: readonly Expression[], strides: readonly number[]): Expression {
    return indices.reduce(
      (sum, index, k) => this.addIndex(sum, this.scaleIndex(index, strides[k]!)),
      this.int(0),
    );
  }

  /** Row-major indices of a flat index that is in range of `shape`. */
  unflatten(flat: Expression, shape: readonly number[]): Expression[] {
    const indices = new Array<Expression>(shape.length);
    let step = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const quotient = this.divideIndex(flat, step);
      // The outermost axis needs no remainder: the flat index is in range.
      const outermost = shape.slice(0, axis).every((extent) => extent === 1);
      indices[axis] = outermost ? quotient : this.remainderIndex(quotient, shape[axis]!);
      step *= shape[axis]!;
    }
    return indices;
  }

  // ---- ranges

  range(expression: Expression): Range {
    let range = this.#ranges.get(expression);
    if (!range) {
      range = this.#computeRange(expression);
      this.#ranges.set(expression, range);
    }
    return range;
  }

  #computeRange(expression: Expression): Range {
    if (expression.op === 'const') return { min: expression.value, max: expression.value };
    if (expression.op === 'index') return { min: 0, max: expression.variable.extent - 1 };
    const form = this.#linear.get(expression);
    if (form) return this.#rangeOf(form);
    if (expression.op !== 'alu') return unbounded;
    const [a, b] = expression.args as [Expression, Expression];
    if (b?.op !== 'const' || b.value <= 0) return unbounded;
    const range = this.range(a);
    if (expression.alu === 'mul') return { min: range.min * b.value, max: range.max * b.value };
    if (range.min < 0) return unbounded;
    if (expression.alu === 'idiv')
      return { min: Math.floor(range.min / b.value), max: Math.floor(range.max / b.value) };
    if (expression.alu === 'rem') return { min: 0, max: Math.min(range.max, b.value - 1) };
    return unbounded;
  }

  #rangeOf(form: Linear): Range {
    let min = form.constant;
    let max = form.constant;
    for (const [atom, factor] of form.terms) {
      const range = this.range(atom);
      min += factor > 0 ? factor * range.min : factor * range.max;
      max += factor > 0 ? factor * range.max : factor * range.min;
    }
    return { min, max };
  }

  // ---- division by a positive constant. Legal rewrites need a dividend that is never negative (truncation is then floor).

  divideIndex(a: Expression, divisor: number): Expression {
    if (divisor === 1) return a;
    const range = this.range(a);
    if (range.min < 0) return this.alu('idiv', 'i32', a, this.int(divisor));
    if (range.max < divisor) return this.int(0);
    if (a.op === 'const') return this.int(Math.floor(a.value / divisor));
    const { whole, rest } = this.#split(a, divisor);
    if (whole.terms.size > 0 || whole.constant !== 0) {
      const restRange = this.#rangeOf(rest);
      if (restRange.min >= 0) {
        const quotient = this.#build(mapTerms(whole, (f) => f / divisor));
        return this.addIndex(quotient, this.divideIndex(this.#build(rest), divisor));
      }
    }
    const common = this.#commonFactor(a, divisor);
    if (common) return this.divideIndex(common.quotient, divisor / common.factor);
    if (a.op === 'alu' && a.alu === 'idiv' && a.args[1]!.op === 'const') {
      return this.divideIndex(a.args[0]!, divisor * a.args[1]!.value);
    }
    return this.alu('idiv', 'i32', a, this.int(divisor));
  }

  remainderIndex(a: Expression, divisor: number): Expression {
    if (divisor === 1) return this.int(0);
    const range = this.range(a);
    if (range.min < 0) return this.alu('rem', 'i32', a, this.int(divisor));
    if (range.max < divisor) return a;
    if (a.op === 'const') return this.int(a.value % divisor);
    const { whole, rest } = this.#split(a, divisor);
    if (whole.terms.size > 0 || whole.constant !== 0) {
      if (this.#rangeOf(rest).min >= 0) return this.remainderIndex(this.#build(rest), divisor);
    }
    const common = this.#commonFactor(a, divisor);
    if (common) {
      const high = this.remainderIndex(common.quotient, divisor / common.factor);
      return this.addIndex(this.scaleIndex(high, common.factor), common.rest);
    }
    if (a.op === 'alu' && a.alu === 'rem' && a.args[1]!.op === 'const' && a.args[1]!.value % divisor === 0) {
      return this.remainderIndex(a.args[0]!, divisor);
    }
    return this.alu('rem', 'i32', a, this.int(divisor));
  }

  /** Terms that the divisor divides, and the others. */
  #split(a: Expression, divisor: number): { whole: Linear; rest: Linear } {
    const form = this.#form(a);
    const whole = new Map<Expression, number>();
    const rest = new Map<Expression, number>();
    for (const [atom, factor] of form.terms) (factor % divisor === 0 ? whole : rest).set(atom, factor);
    const wholeConstant = form.constant - (((form.constant % divisor) + divisor) % divisor);
    return {
      whole: { constant: wholeConstant, terms: whole },
      rest: { constant: form.constant - wholeConstant, terms: rest },
    };
  }

  /** a = factor * quotient + rest with 0 <= rest < factor and factor dividing the divisor: (6x + y) / 12 = x / 2 for y < 6. */
  #commonFactor(
    a: Expression,
    divisor: number,
  ): { factor: number; quotient: Expression; rest: Expression } | undefined {
    const form = this.#form(a);
    const candidates = new Set([...form.terms.values()].map((f) => gcd(f, divisor)).filter((f) => f > 1));
    for (const factor of [...candidates].sort((x, y) => y - x)) {
      const { whole, rest } = this.#split(a, factor);
      const restRange = this.#rangeOf(rest);
      if (whole.terms.size === 0 || restRange.min < 0 || restRange.max >= factor) continue;
      return { factor, quotient: this.#build(mapTerms(whole, (f) => f / factor)), rest: this.#build(rest) };
    }
    return undefined;
  }

  // ---- conditions

  and(a: Expression, b: Expression): Expression {
    if (a === this.true) return b;
    if (b === this.true || a === b) return a;
    if (a === this.false || b === this.false) return this.false;
    return this.alu('and', 'bool', a, b);
  }

  lessThan(a: Expression, bound: number): Expression {
    const range = this.range(a);
    if (range.max < bound) return this.true;
    if (range.min >= bound) return this.false;
    return this.alu('lt', 'bool', a, this.int(bound));
  }

  atLeast(a: Expression, bound: number): Expression {
    const range = this.range(a);
    if (range.min >= bound) return this.true;
    if (range.max < bound) return this.false;
    return this.alu('le', 'bool', this.int(bound), a);
  }

  equals(a: Expression, value: number): Expression {
    const range = this.range(a);
    if (range.min === value && range.max === value) return this.true;
    if (range.max < value || range.min > value) return this.false;
    return this.alu('eq', 'bool', a, this.int(value));
  }

  select(condition: Expression, a: Expression, b: Expression): Expression {
    if (condition === this.true || a === b) return a;
    if (condition === this.false) return b;
    return this.alu('where', a.type, condition, a, b);
  }

  /** The expression with index variables replaced; index arithmetic is simplified again. */
  substitute(expression: Expression, replace: ReadonlyMap<IndexVariable, Expression>): Expression {
    return this.rewriter(replace)(expression);
  }

  /** As `substitute`, remembering what it did: for all the expressions of one kernel. */
  rewriter(replace: ReadonlyMap<IndexVariable, Expression>): (expression: Expression) => Expression {
    const done = new Map<Expression, Expression>();
    const rewrite = (expression: Expression): Expression => {
      let result = done.get(expression);
      if (!result) {
        result = this.#rebuild(expression, replace, rewrite);
        done.set(expression, result);
      }
      return result;
    };
    return rewrite;
  }

  #rebuild(
    e: Expression,
    replace: ReadonlyMap<IndexVariable, Expression>,
    rewrite: (e: Expression) => Expression,
  ): Expression {
    switch (e.op) {
      case 'const':
        return this.const(e.type, e.value);
      case 'scalar':
        return this.scalar(e.type, e.param);
      case 'accumulator':
        return this.accumulator(e.type, e.id);
      case 'index':
        return replace.get(e.variable) ?? this.index(e.variable);
      case 'load':
        return this.load(e.type, e.buffer, rewrite(e.index), e.guard && rewrite(e.guard));
      case 'alu':
        return this.#rebuildAlu(e.alu, e.type, e.args.map(rewrite));
    }
  }

  /** Linear forms do not wrap, so they are for indices only: data of any value (a load) keeps its plain arithmetic. */
  #isIndex(...expressions: Expression[]): boolean {
    return expressions.every((e) => this.range(e).min > unbounded.min && this.range(e).max < unbounded.max);
  }

  #rebuildAlu(
    alu: Extract<Expression, { op: 'alu' }>['alu'],
    type: Expression['type'],
    args: Expression[],
  ): Expression {
    const [a, b] = args as [Expression, Expression];
    if (type === 'i32' && alu === 'add' && this.#isIndex(a, b)) return this.addIndex(a, b);
    if (type === 'i32' && alu === 'mul' && b.op === 'const' && this.#isIndex(a, b))
      return this.scaleIndex(a, b.value);
    if (type === 'i32' && alu === 'idiv' && b.op === 'const' && b.value > 0)
      return this.divideIndex(a, b.value);
    if (type === 'i32' && alu === 'rem' && b.op === 'const' && b.value > 0)
      return this.remainderIndex(a, b.value);
    if (alu === 'lt' && a.type === 'i32' && b.op === 'const') return this.lessThan(a, b.value);
    if (alu === 'le' && a.op === 'const' && b.type === 'i32') return this.atLeast(b, a.value);
    if (alu === 'eq' && a.type === 'i32' && b.op === 'const') return this.equals(a, b.value);
    if (alu === 'and' && type === 'bool') return this.and(a, b);
    if (alu === 'where') return this.select(a, b, args[2]!);
    return this.alu(alu, type, ...args);
  }
}

function mapTerms(form: Linear, map: (factor: number) => number): Linear {
  const constant = form.constant === 0 ? 0 : map(form.constant);
  return { constant, terms: new Map([...form.terms].map(([atom, factor]) => [atom, map(factor)])) };
}
