/** Kernels that become others, of which a GPU has more to do at once. */
import { type Expression, operands } from '@tutti/core/backend';

export const int = (value: number): Expression => ({ op: 'const', type: 'i32', value });

export const alu = (
  op: Extract<Expression, { op: 'alu' }>['alu'],
  type: Expression['type'],
  ...args: readonly Expression[]
): Expression => ({ op: 'alu', alu: op, type, args });

/** `a * scale + b` of i32. */
export const scaled = (a: Expression, scale: number, b: Expression): Expression =>
  alu('add', 'i32', alu('mul', 'i32', a, int(scale)), b);

/**
 * The same expressions with others in them: `replace` gives what stands for an expression, from its operands as they have become;
 * undefined leaves it as it is. What was one object stays one.
 */
export function rewriter(
  replace: (e: Expression, rewrite: (e: Expression) => Expression) => Expression | undefined,
): (e: Expression) => Expression {
  const known = new Map<Expression, Expression>();
  const rewrite = (e: Expression): Expression => {
    let result = known.get(e);
    if (!result) {
      result = replace(e, rewrite) ?? withOperands(e, rewrite);
      known.set(e, result);
    }
    return result;
  };
  return rewrite;
}

function withOperands(e: Expression, rewrite: (e: Expression) => Expression): Expression {
  if (operands(e).every((operand) => rewrite(operand) === operand)) return e;
  if (e.op === 'alu') return { ...e, args: e.args.map(rewrite) };
  if (e.op !== 'load') return e;
  return { ...e, index: rewrite(e.index), ...(e.guard ? { guard: rewrite(e.guard) } : {}) };
}
