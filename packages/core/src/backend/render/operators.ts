/** Operations as text, where languages with the operators of C have the same. */
import type { AluExpression, Expression } from '../kernel.ts';

/** Operators that stand between their operands. */
export const infix: Readonly<Record<string, string>> = {
  add: '+',
  sub: '-',
  mul: '*',
  div: '/',
  and: '&',
  or: '|',
  xor: '^',
  eq: '==',
  ne: '!=',
  lt: '<',
  le: '<=',
};

/** An operation on bools; undefined for what is none. Operands have no effects, so that no short circuit is wanted. */
export function boolText({ alu }: AluExpression, a: string, b: string): string | undefined {
  switch (alu) {
    case 'not':
      return `(!${a})`;
    case 'and':
    case 'min':
      return `(${a} & ${b})`;
    case 'or':
    case 'max':
      return `(${a} | ${b})`;
    case 'eq':
      return `(${a} == ${b})`;
    case 'xor':
    case 'ne':
      return `(${a} != ${b})`;
    case 'lt':
      return `(!${a} & ${b})`;
    case 'le':
      return `(!${a} | ${b})`;
    default:
      return undefined;
  }
}

/** A power with a small integer exponent, which is a product; undefined for others. */
export function smallPower(exponent: Expression, a: string): string | undefined {
  if (exponent.op !== 'const') return undefined;
  if (exponent.value === 1) return a;
  if (exponent.value === 2) return `(${a} * ${a})`;
  if (exponent.value === 3) return `(${a} * ${a} * ${a})`;
  return exponent.value === -1 ? `(1.0f / ${a})` : undefined;
}
