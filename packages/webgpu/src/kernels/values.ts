/**
 * Expressions as text. Values that a schedule names are settled on entering their scope; the rest is written out where it is used.
 *
 * The innermost scope may hold several *copies* of the body, for several values of its variables: what depends on them is evaluated
 * once for each copy, side by side, so that loads overlap.
 */
import {
  type AluExpression,
  type Expression,
  Scope as GeneralScope,
  type IndexAnalysis,
  type IndexVariable,
  isFolded,
  type LoadExpression,
  loadIndices,
  positionNames,
  type ScalarType,
  type Schedule,
  Texts,
} from '@tutti/core/backend';
import { aluText, literal } from './alu.ts';
import type { Code } from './code.ts';
import { lanesOf, unpackLane } from './memory.ts';
import type { Shader } from './shader.ts';

/** Copies that are consecutive values of `variable`, of which the first is a multiple of their number. */
export interface Group {
  readonly variable: IndexVariable;
  readonly size: number;
  /** The number of the group along its variable, as an i32. */
  readonly number: string;
}

export class Scope extends GeneralScope {
  readonly group: Group | undefined;
  /** Words of narrow buffers that several copies share. */
  readonly words: Map<string, string> = new Map();

  constructor(depth: number, copies = 1, group?: Group) {
    super(depth, copies);
    this.group = group;
  }
}

export class Values extends Texts<Scope> {
  readonly shader: Shader;
  readonly code: Code;
  readonly analysis: IndexAnalysis;

  constructor(shader: Shader, code: Code, analysis: IndexAnalysis) {
    super();
    this.shader = shader;
    this.code = code;
    this.analysis = analysis;
  }

  /**
   * Names, in `scope`, the indices that are the row-major position in `space`, or lie at a fixed distance from it: no need to take the
   * position apart and to put it together again. `points` are positions as u32, one for each copy.
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
    const names = positionNames(all, space, this.analysis, (offset) =>
      points.map((point) =>
        this.code.keep('n', offset === 0 ? `i32(${point})` : `i32(${point}) + ${offset}`),
      ),
    );
    for (const [index, texts] of names) scope.names.set(index, texts);
  }

  /** Evaluates what the schedule names in a scope: the innermost one, or one around it. */
  settle(schedule: Schedule, scope: Scope = this.scope): void {
    const { code } = this;
    for (const { expression } of schedule.namedAt(scope.depth)) {
      const prefix = expression.op === 'load' ? 'x' : expression.op === 'scalar' ? 's' : 'v';
      const names: string[] = [];
      for (let copy = 0; copy < scope.copies; copy++) {
        names.push(code.keep(prefix, this.writtenOut(expression, copy)));
      }
      scope.names.set(expression, names);
    }
  }

  protected override constant(type: ScalarType, value: number): string {
    return literal(type, value);
  }

  protected override scalar(type: ScalarType, param: number): string {
    return this.shader.scalar(type, param);
  }

  protected override alu(e: AluExpression, copy: number): string {
    const args = e.args.map((arg, i) => {
      const text = this.text(arg, copy);
      return isFolded(e, i, this.analysis) ? `opaque(${text})` : text;
    });
    // What consists of constants alone is evaluated by the WGSL compiler, for which overflow is an error.
    if (e.args.every((arg) => arg.op === 'const')) args[0] = this.code.keep('c', args[0]!);
    return aluText(e, args, this.analysis);
  }

  protected override load(e: LoadExpression, copy: number): string {
    const value = this.#sharedWord(e, copy) ?? this.shader.load(e.buffer, this.text(e.index, copy));
    if (!e.guard) return value;
    // A guard that compilers can settle must not show them a 0 to simplify with.
    const folded = e.type === 'f32' && !this.analysis.hasData(e.guard);
    const zero = folded ? 'opaque(0.0f)' : literal(e.type, 0);
    // Out of bounds, WGSL loads something else or nothing, which nobody sees here.
    return `select(${zero}, ${value}, ${this.text(e.guard, copy)})`;
  }

  /** Consecutive elements of a narrow buffer come out of one word. */
  #sharedWord(e: LoadExpression, copy: number): string | undefined {
    const { shader, scope, code, analysis } = this;
    const { dtype } = shader.parameters.buffers[e.buffer]!;
    const lanes = lanesOf(dtype);
    const { group } = scope;
    if (lanes === 1 || !group || shader.isAtomic(e.buffer)) return undefined;
    if (group.size < lanes || !analysis.isAligned(e.index, group.variable, group.size, lanes))
      return undefined;
    const lane = copy % lanes;
    const index = this.wordIndex(e.index, copy - lane, lanes);
    const key = `${e.buffer} ${index}`;
    let word = scope.words.get(key);
    if (!word) {
      word = code.keep('w', `${shader.buffer(e.buffer)}[${index}]`);
      scope.words.set(key, word);
    }
    return unpackLane(dtype, word, lane);
  }

  /** The index of the word that starts with the element at an aligned index, in a copy that starts a word. */
  wordIndex(e: Expression, copy: number, lanes: number): string {
    const first = this.#quotient(e, lanes);
    if (first === undefined) return `u32(${this.text(e, copy)}) >> ${Math.log2(lanes)}u`;
    return copy === 0 ? first : `${first} + ${copy / lanes}`;
  }

  /** An index in the first copy of a group, divided by a power of two; undefined where its terms are no multiples of that. */
  #quotient(e: Expression, divisor: number): string | undefined {
    const { group } = this.scope;
    if (e.op === 'const') return e.value % divisor === 0 ? literal('i32', e.value / divisor) : undefined;
    if (e.op === 'index') {
      if (e.variable !== group?.variable) return undefined;
      return group.size === divisor ? group.number : `${group.number} * ${group.size / divisor}`;
    }
    if (e.op !== 'alu') return undefined;
    const [a, b] = e.args as [Expression, Expression];
    if (e.alu === 'mul' && b.op === 'const' && b.value % divisor === 0) {
      return `${this.text(a)} * ${literal('i32', b.value / divisor)}`;
    }
    if (e.alu !== 'add' && e.alu !== 'sub') return undefined;
    const [left, right] = [this.#quotient(a, divisor), this.#quotient(b, divisor)];
    if (left === undefined || right === undefined) return undefined;
    return `(${left} ${e.alu === 'add' ? '+' : '-'} ${right})`;
  }
}
