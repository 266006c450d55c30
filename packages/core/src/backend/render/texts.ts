/** Expressions as text. */
import type { ScalarType } from '../dtype.ts';
import type { AluExpression, Expression, IndexVariable, LoadExpression } from '../kernel.ts';
import type { IndexAnalysis } from './analysis.ts';
import { type Scope, Scopes } from './scopes.ts';

/** What has a name is named; the rest is written out in the words of a language. */
export abstract class Texts<S extends Scope> extends Scopes<S> {
  /** The value of an expression in a copy of the innermost scope. */
  text(e: Expression, copy = 0): string {
    return this.nameOf(e, copy) ?? this.writtenOut(e, copy);
  }

  /** The same of one that may be about to get a name. */
  protected writtenOut(e: Expression, copy: number): string {
    switch (e.op) {
      case 'const':
        return this.constant(e.type, e.value);
      case 'index':
        return this.variable(e.variable, copy);
      case 'scalar':
        return this.scalar(e.type, e.param);
      case 'accumulator':
        return this.accumulator(e.id);
      case 'load':
        return this.load(e, copy);
      case 'alu':
        return this.alu(e, copy);
    }
  }

  protected abstract constant(type: ScalarType, value: number): string;
  protected abstract scalar(type: ScalarType, param: number): string;
  protected abstract load(e: LoadExpression, copy: number): string;
  protected abstract alu(e: AluExpression, copy: number): string;
}

/**
 * Names for those of `indices` that are the row-major position in `space`, or lie at a fixed distance from it: no need to take the
 * position apart and to put it together again.
 *
 * @param name Names what is at a distance, in each copy. Called once for each distance.
 */
export function positionNames(
  indices: readonly Expression[],
  space: readonly IndexVariable[],
  analysis: IndexAnalysis,
  name: (offset: number) => readonly string[],
): Map<Expression, readonly string[]> {
  const byOffset = new Map<number, readonly string[]>();
  const names = new Map<Expression, readonly string[]>();
  for (const index of indices) {
    const offset = analysis.offsetFromRowMajor(index, space);
    if (offset === undefined) continue;
    const known = byOffset.get(offset) ?? name(offset);
    byOffset.set(offset, known);
    names.set(index, known);
  }
  return names;
}
