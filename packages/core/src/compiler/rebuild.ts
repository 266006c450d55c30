import type { Expression, ExpressionBuilder } from '../backend/index.ts';

export type Rebuild = (e: Expression) => Expression;

/** Makes expressions again in a builder, with what `replace` gives in place of some. Nothing else changes, and nothing is simplified. */
export function rebuilder(
  builder: ExpressionBuilder,
  replace: (e: Expression, rebuild: Rebuild) => Expression | undefined,
): Rebuild {
  const done = new Map<Expression, Expression>();
  const rebuild = (e: Expression): Expression => {
    let result = done.get(e);
    if (!result) {
      result = replace(e, rebuild) ?? again(builder, e, rebuild);
      done.set(e, result);
    }
    return result;
  };
  return rebuild;
}

function again(builder: ExpressionBuilder, e: Expression, rebuild: Rebuild): Expression {
  switch (e.op) {
    case 'const':
      return builder.const(e.type, e.value);
    case 'index':
      return builder.index(e.variable);
    case 'scalar':
      return builder.scalar(e.type, e.param);
    case 'accumulator':
      return builder.accumulator(e.type, e.id);
    case 'load':
      return builder.load(e.type, e.buffer, rebuild(e.index), e.guard && rebuild(e.guard));
    case 'alu':
      return builder.alu(e.alu, e.type, ...e.args.map(rebuild));
  }
}
