/**
 * What values an index can take, from the extents of its variables. Small non-negative values divide faster.
 */
import { type Expression, operands } from '@tutti/core/backend';

/** Both ends are included. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

/** Expressions never change, so what was found out about one holds for as long as it lives. */
const known = new WeakMap<Expression, { readonly range: Range | undefined }>();

/** The range of an i32 expression, or undefined where it is not known or may wrap. */
export function rangeOf(expression: Expression): Range | undefined {
  let entry = known.get(expression);
  if (!entry) {
    const range = find(expression);
    const wraps = range && (range.least < -0x80000000 || range.most > 0x7fffffff);
    entry = { range: wraps ? undefined : range };
    known.set(expression, entry);
  }
  return entry.range;
}

function find(e: Expression): Range | undefined {
  if (e.op === 'const') return { least: e.value, most: e.value };
  if (e.op === 'index') return { least: 0, most: e.variable.extent - 1 };
  if (e.op !== 'alu' || e.type !== 'i32') return undefined;
  const [a, b] = operands(e).map(rangeOf);
  if (!a || !b) return undefined;
  const divisor = b.least === b.most && b.least > 0 ? b.least : undefined;
  switch (e.alu) {
    case 'add':
      return { least: a.least + b.least, most: a.most + b.most };
    case 'sub':
      return { least: a.least - b.most, most: a.most - b.least };
    case 'mul': {
      const products = [a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most];
      return { least: Math.min(...products), most: Math.max(...products) };
    }
    case 'idiv':
      return divisor === undefined
        ? undefined
        : { least: Math.trunc(a.least / divisor), most: Math.trunc(a.most / divisor) };
    case 'rem':
      if (divisor === undefined) return undefined;
      return { least: a.least < 0 ? 1 - divisor : 0, most: Math.min(Math.max(a.most, 0), divisor - 1) };
    case 'min':
      return { least: Math.min(a.least, b.least), most: Math.min(a.most, b.most) };
    case 'max':
      return { least: Math.max(a.least, b.least), most: Math.max(a.most, b.most) };
    default:
      return undefined;
  }
}
