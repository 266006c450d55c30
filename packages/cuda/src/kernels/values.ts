/**
 * Expressions as text. Values that a schedule names are settled on entering their scope; the rest is written out where it is used.
 */
import {
  type AluExpression,
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  type LoadExpression,
  loadIndices,
  positionNames,
  type ScalarType,
  type Schedule,
  type Scope,
  Texts,
} from '@tutti/core/backend';
import { aluText, literal } from './alu.ts';
import { type Code, typeName } from './code.ts';
import type { KernelText } from './kernel-text.ts';

export class Values extends Texts<Scope> {
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
    const all = [...loadIndices(roots), ...indices];
    const names = positionNames(all, space, this.analysis, (offset) => this.placesAt(offset, points));
    for (const [index, texts] of names) scope.names.set(index, texts);
  }

  /** Names what lies at a distance from positions, each with `width` elements of its own. */
  placesAt(offset: number, positions: readonly string[], width = 1): readonly string[] {
    const times = width === 1 ? '' : ` * ${width}`;
    const moved = offset === 0 ? '' : offset < 0 ? ` - ${-offset}` : ` + ${offset}`;
    return positions.map((position) => this.code.keep('int', 'n', `(int)${position}${times}${moved}`));
  }

  /** Evaluates what the schedule names in a scope: the innermost one, or one around it. */
  settle(schedule: Schedule, scope: Scope = this.scope, isNeeded = (_: Expression): boolean => true): void {
    for (const { expression } of schedule.namedAt(scope.depth)) {
      if (scope.names.has(expression) || !isNeeded(expression)) continue;
      if (expression.op === 'scalar') {
        scope.names.set(expression, [this.writtenOut(expression, 0)]);
        continue;
      }
      const prefix = expression.op === 'load' ? 'x' : 'v';
      const names: string[] = [];
      for (let copy = 0; copy < scope.copies; copy++)
        names.push(this.code.keep(typeName[expression.type], prefix, this.writtenOut(expression, copy)));
      scope.names.set(expression, names);
    }
  }

  protected override constant(type: ScalarType, value: number): string {
    return literal(type, value);
  }

  protected override scalar(type: ScalarType, param: number): string {
    return this.kernel.scalar(type, param);
  }

  protected override alu(e: AluExpression, copy: number): string {
    const args = e.args.map((arg) => this.text(arg, copy));
    return aluText(e, args, this.analysis);
  }

  protected override load(e: LoadExpression, copy: number): string {
    const value = this.kernel.load(e.buffer, this.text(e.index, copy));
    return e.guard ? `(${this.text(e.guard, copy)} ? ${value} : ${literal(e.type, 0)})` : value;
  }
}
