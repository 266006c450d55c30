/**
 * Expressions as text. Values that a schedule names are settled on entering their scope; the rest is written out where it is used.
 */
import {
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  type LoadExpression,
  loadIndices,
  type Schedule,
  Scope,
  Scopes,
} from '@tutti/core/backend';
import { aluText, literal } from './alu.ts';
import { type Code, typeName } from './code.ts';
import type { KernelText } from './kernel-text.ts';

export { Scope };

export class Values extends Scopes<Scope> {
  readonly kernel: KernelText;
  readonly code: Code;
  readonly analysis: IndexAnalysis;

  constructor(kernel: KernelText, code: Code, analysis: IndexAnalysis) {
    super();
    this.kernel = kernel;
    this.code = code;
    this.analysis = analysis;
  }

  /**
   * Names, in `scope`, the indices that are the row-major position in `space`, or lie at a fixed distance from it: no need to take the
   * position apart and to put it together again. `points` are positions, one for each copy.
   */
  namePositions(
    scope: Scope,
    roots: readonly Expression[],
    indices: readonly Expression[],
    space: readonly IndexVariable[],
    points: readonly string[],
  ): void {
    if (space.filter(({ extent }) => extent > 1).length < 2) return;
    const names = new Map<number, readonly string[]>();
    for (const index of [...loadIndices(roots), ...indices]) {
      const offset = this.analysis.offsetFromRowMajor(index, space);
      if (offset === undefined) continue;
      const known = names.get(offset) ?? points.map((point) => this.#position(point, offset));
      names.set(offset, known);
      scope.names.set(index, known);
    }
  }

  #position(point: string, offset: number): string {
    const moved = offset === 0 ? '' : offset < 0 ? ` - ${-offset}` : ` + ${offset}`;
    return this.code.keep('int', 'n', `(int)${point}${moved}`);
  }

  /** Evaluates what the schedule names in a scope: the innermost one, or one around it. */
  settle(schedule: Schedule, scope: Scope = this.scope, isNeeded = (_: Expression): boolean => true): void {
    for (const { expression } of schedule.namedAt(scope.depth)) {
      if (scope.names.has(expression) || !isNeeded(expression)) continue;
      if (expression.op === 'scalar') {
        scope.names.set(expression, [this.#compute(expression, 0)]);
        continue;
      }
      const prefix = expression.op === 'load' ? 'x' : 'v';
      const names: string[] = [];
      for (let copy = 0; copy < scope.copies; copy++)
        names.push(this.code.keep(typeName[expression.type], prefix, this.#compute(expression, copy)));
      scope.names.set(expression, names);
    }
  }

  /** The value of an expression in a copy of the innermost scope. */
  text(e: Expression, copy = 0): string {
    return this.nameOf(e, copy) ?? this.#compute(e, copy);
  }

  #compute(e: Expression, copy: number): string {
    switch (e.op) {
      case 'const':
        return literal(e.type, e.value);
      case 'index':
        return this.variable(e.variable, copy);
      case 'scalar':
        return this.kernel.scalar(e.type, e.param);
      case 'accumulator':
        return this.accumulator(e.id);
      case 'load':
        return this.#load(e, copy);
      case 'alu':
        return aluText(
          e,
          e.args.map((arg) => this.text(arg, copy)),
          this.analysis,
        );
    }
  }

  #load(e: LoadExpression, copy: number): string {
    const value = this.kernel.load(e.buffer, this.text(e.index, copy));
    return e.guard ? `(${this.text(e.guard, copy)} ? ${value} : ${literal(e.type, 0)})` : value;
  }
}
