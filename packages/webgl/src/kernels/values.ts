/**
 * Expressions as text. Values that a schedule names are settled on entering their scope; the rest is written out where it is used.
 *
 * A scope may hold several *copies* of the body of a loop, for consecutive values of its variable: what depends on that is evaluated once
 * for each copy, side by side, so that loads are shared and overlap.
 */
import {
  type AluExpression,
  type Expression,
  type IndexAnalysis,
  isFolded,
  type LoadExpression,
  type ScalarType,
  type Schedule,
  type Scope,
  Texts,
} from '@tutti/core/backend';
import { Arithmetic } from './alu.ts';
import type { Code } from './code.ts';
import type { Library, Width } from './functions/index.ts';
import type { Lanes } from './lanes.ts';
import { literal } from './literal.ts';
import { elementText, quadText } from './memory.ts';
import type { Shader } from './shader.ts';
import { typeName, type Value } from './types.ts';

const components = ['x', 'y', 'z', 'w'];

export class Values extends Texts<Scope> {
  readonly shader: Shader;
  readonly code: Code;
  readonly lanes: Lanes;
  readonly arithmetic: Arithmetic;
  readonly #analysis: IndexAnalysis;

  constructor(shader: Shader, code: Code, lanes: Lanes, analysis: IndexAnalysis, software: boolean) {
    super();
    this.shader = shader;
    this.code = code;
    this.lanes = lanes;
    this.arithmetic = new Arithmetic(shader.kernel, shader.library, analysis, software);
    this.#analysis = analysis;
  }

  get library(): Library {
    return this.shader.library;
  }

  /** Evaluates what the schedule names in the innermost scope, or at a lesser depth before it. */
  settle(schedule: Schedule, depth: number = this.scope.depth): void {
    const { scope } = this;
    for (const { expression } of schedule.namedAt(depth)) {
      const byCopies = expression.op === 'load' && this.lanes.form(expression).along === 'copies';
      const names = byCopies ? this.#copiedLoad(expression, scope.copies) : this.#names(expression, scope);
      scope.names.set(expression, names);
    }
  }

  #names(e: Expression, { copies }: Scope): string[] {
    const prefix = e.op === 'load' ? 'x' : 'v';
    const count = this.lanes.isCopied(e) ? copies : 1;
    return Array.from({ length: count }, (_, copy) =>
      this.code.keep(typeName(e.type, this.#width(e)), prefix, this.writtenOut(e, copy)),
    );
  }

  #width(e: Expression): Width {
    return this.lanes.isVector(e) ? 'vector' : 'scalar';
  }

  /** The value of an expression, in a copy of the innermost scope. */
  value(e: Expression, copy = 0): Value {
    return { text: this.text(e, copy), width: this.#width(e) };
  }

  protected override constant(type: ScalarType, value: number): string {
    return literal(type, value, this.library);
  }

  protected override scalar(type: ScalarType, param: number): string {
    return this.shader.scalar(type, param);
  }

  protected override alu(e: AluExpression, copy: number): string {
    const args = e.args.map((arg, i) => {
      const value = this.value(arg, copy);
      if (!isFolded(e, i, this.#analysis)) return value;
      return { ...value, text: this.library.call('opaque', value.width, value.text) };
    });
    // What consists of constants alone is evaluated by compilers, by rules of their own.
    if (e.args.every((arg) => arg.op === 'const')) {
      const type = typeName(e.args[0]!.type, 'scalar');
      args[0] = { text: this.code.keep(type, 'c', args[0]!.text), width: 'scalar' };
    }
    return this.arithmetic.text(e, args);
  }

  protected override load(e: LoadExpression, copy: number): string {
    const { along, aligned } = this.lanes.form(e);
    const { dtype } = this.shader.kernel.buffers[e.buffer]!;
    const source = this.shader.source(e.buffer);
    const index = this.value(e.index, copy);
    if (along === 'elements')
      return this.#guarded(
        e,
        { text: elementText(dtype, source, index, this.library), width: index.width },
        copy,
      );
    const text = quadText(dtype, source, index.text, aligned, this.library);
    return this.#guarded(e, { text, width: 'vector' }, copy);
  }

  /** Outside a texture there are zeros, which nobody sees here. */
  #guarded(e: LoadExpression, value: Value, copy: number): string {
    if (!e.guard) return value.text;
    // A guard that compilers can settle must not show them a 0 to simplify with.
    const folded = e.type === 'f32' && !this.#analysis.hasData(e.guard);
    const plain = literal(e.type, 0, this.library);
    const zero = folded ? this.library.call('opaque', 'scalar', plain) : plain;
    return this.arithmetic.select(e.type, { text: zero, width: 'scalar' }, value, this.value(e.guard, copy));
  }

  /** Four elements, or four for each lane, of which every copy gets its own. */
  #copiedLoad(e: LoadExpression, copies: number): string[] {
    const { dtype } = this.shader.kernel.buffers[e.buffer]!;
    const source = this.shader.source(e.buffer);
    const { aligned } = this.lanes.form(e);
    const type = typeName(e.type, 'vector');
    const quad = (index: string): string =>
      this.code.keep(type, 'x', quadText(dtype, source, index, aligned, this.library));
    const width = this.#width(e.index);
    let parts: string[];
    if (width === 'scalar')
      parts = components.map(
        (
          (name) => (c) =>
            `${name}.${c}`
        )(quad(this.text(e.index))),
      );
    else {
      const index = this.isNamed(e.index)
        ? this.text(e.index)
        : this.code.keep('ivec4', 'n', this.text(e.index));
      const rows = components.map((c) => quad(`${index}.${c}`));
      parts = components.map((c) => `${type}(${rows.map((row) => `${row}.${c}`).join(', ')})`);
    }
    const value = typeName(e.type, this.#width(e));
    return parts.slice(0, copies).map((text, copy) => {
      const guarded = this.#guarded(e, { text, width }, copy);
      return guarded === text && width === 'scalar' ? text : this.code.keep(value, 'x', guarded);
    });
  }
}
