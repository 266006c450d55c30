import type { ScalarType } from './dtype.ts';
import type { AluOp, Expression, IndexVariable } from './kernel.ts';

/**
 * Makes expressions so that equal ones are the same object. One builder serves one kernel; index variables are compared
 * by identity.
 */
export class ExpressionBuilder {
  readonly #interned = new Map<string, Expression>();
  readonly #ids = new Map<Expression | IndexVariable, number>();

  #idOf(item: Expression | IndexVariable): number {
    let id = this.#ids.get(item);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(item, id);
    }
    return id;
  }

  protected intern(key: string, make: () => Expression): Expression {
    let found = this.#interned.get(key);
    if (found === undefined) {
      found = make();
      this.#interned.set(key, found);
    }
    return found;
  }

  const(type: ScalarType, value: number): Expression {
    const key = `c:${type}:${Object.is(value, -0) ? '-0' : value}`;
    return this.intern(key, () => ({ op: 'const', type, value }));
  }

  /** An i32 constant, for index arithmetic. */
  int(value: number): Expression {
    return this.const('i32', value);
  }

  index(variable: IndexVariable): Expression {
    return this.intern(`v:${this.#idOf(variable)}`, () => ({ op: 'index', type: 'i32', variable }));
  }

  scalar(type: ScalarType, param: number): Expression {
    return this.intern(`s:${type}:${param}`, () => ({ op: 'scalar', type, param }));
  }

  load(type: ScalarType, buffer: number, index: Expression, guard?: Expression): Expression {
    const key = `l:${buffer}:${this.#idOf(index)}:${guard ? this.#idOf(guard) : ''}`;
    return this.intern(key, () => ({ op: 'load', type, buffer, index, ...(guard ? { guard } : {}) }));
  }

  accumulator(type: ScalarType, id: number): Expression {
    return this.intern(`a:${id}`, () => ({ op: 'accumulator', type, id }));
  }

  alu(alu: AluOp, type: ScalarType, ...args: Expression[]): Expression {
    const key = `${alu}:${type}:${args.map((arg) => this.#idOf(arg)).join(',')}`;
    return this.intern(key, () => ({ op: 'alu', alu, type, args }));
  }
}

/** The direct subexpressions of an expression. */
export function operands(expression: Expression): readonly Expression[] {
  switch (expression.op) {
    case 'alu':
      return expression.args;
    case 'load':
      return expression.guard ? [expression.index, expression.guard] : [expression.index];
    default:
      return [];
  }
}

/** Calls `visit` once for every distinct expression under `roots`, operands first. */
export function visitExpressions(roots: Iterable<Expression>, visit: (e: Expression) => void): void {
  const seen = new Set<Expression>();
  const walk = (expression: Expression): void => {
    if (seen.has(expression)) return;
    seen.add(expression);
    for (const operand of operands(expression)) walk(operand);
    visit(expression);
  };
  for (const root of roots) walk(root);
}

/** A memoised test of whether an expression's value can change with `variable`. Accumulators never do. */
export function dependence(variable: IndexVariable): (expression: Expression) => boolean {
  const known = new Map<Expression, boolean>();
  const depends = (expression: Expression): boolean => {
    if (expression.op === 'index') return expression.variable === variable;
    let answer = known.get(expression);
    if (answer === undefined) {
      answer = operands(expression).some(depends);
      known.set(expression, answer);
    }
    return answer;
  };
  return depends;
}

/**
 * How much an integer expression grows when `variable` grows by one: a constant, or undefined when that is not
 * constant. 0 means the expression does not depend on it; 1 on a load's index means contiguous access.
 */
export function strideOf(expression: Expression, variable: IndexVariable): number | undefined {
  switch (expression.op) {
    case 'const':
    case 'scalar':
    case 'accumulator':
      return 0;
    case 'index':
      return expression.variable === variable ? 1 : 0;
    case 'load':
      return dependence(variable)(expression) ? undefined : 0;
    case 'alu': {
      const [a, b] = expression.args as [Expression, Expression];
      const strideA = strideOf(a, variable);
      const strideB = b && strideOf(b, variable);
      if (expression.alu === 'add' && strideA !== undefined && strideB !== undefined)
        return strideA + strideB;
      if (expression.alu === 'sub' && strideA !== undefined && strideB !== undefined)
        return strideA - strideB;
      if (expression.alu === 'mul' && strideA !== undefined && b.op === 'const') return strideA * b.value;
      if (expression.alu === 'mul' && strideB !== undefined && a.op === 'const') return strideB * a.value;
      return expression.args.every((arg) => strideOf(arg, variable) === 0) ? 0 : undefined;
    }
  }
}
