/**
 * Attention in one pass over the keys, with an online softmax: scores and weights never reach memory.
 *
 * An invocation holds one query, the largest score so far, the sum of the powers exp(score - largest), and the sum of the values
 * weighed by them, in vectors of four. When a larger score turns up, both sums are scaled down. The invocations of a workgroup
 * have queries of one batch entry, and bring keys and values to workgroup memory together, `tile` of them at a time.
 *
 * Software adapters take attention apart instead. There is no memory traffic to be saved there, barriers and workgroup memory are
 * dear, and one row of a tile takes more loads for a product than the tiles of a matrix product do; the code of this kernel takes
 * seconds to compile.
 */
import { type AttentionAnchor, ceilDiv, type DotOperand, range } from '@tutti/core/backend';
import { Code } from '../kernels/code.ts';
import { floatLiteral } from '../kernels/functions/index.ts';
import { gridOf } from '../kernels/grid.ts';
import { Shader } from '../kernels/shader.ts';
import type { ShaderFeatures, WgslProgram } from '../program.ts';
import { Results, resultMemory } from './epilogue.ts';
import { assemble } from './finish.ts';

/** Wider queries and values do not fit into registers. */
const mostWidth = 128;

/** How the work is cut. */
export interface AttentionForm {
  /** Invocations of a workgroup. */
  readonly size: number;
  /** Keys between two looks at the largest score. */
  readonly keys: number;
  /** Keys in workgroup memory at a time, a multiple of `keys`. */
  readonly tile: number;
}

function formFor(anchor: AttentionAnchor, features: ShaderFeatures): AttentionForm {
  const vectors = ceilDiv(anchor.width, 4) + ceilDiv(anchor.valueWidth, 4);
  const fitting = Math.floor(features.maxWorkgroupBytes / (vectors * 16));
  const keys = Math.min(Math.max(1, Math.floor(128 / vectors)), 4, anchor.keys);
  const tile = Math.min(32, Math.floor(fitting / keys) * keys, ceilDiv(anchor.keys, keys) * keys);
  return { size: Math.min(64, features.maxInvocations), keys, tile };
}

/** The program, or undefined where attention has to be taken apart. */
export function attentionRoutine(
  anchor: AttentionAnchor,
  features: ShaderFeatures,
  form: AttentionForm = formFor(anchor, features),
): WgslProgram | undefined {
  if (features.software || Math.max(anchor.width, anchor.valueWidth) > mostWidth) return undefined;
  if (anchor.buffers.length > features.maxStorageBuffers) return undefined;
  const writer = new AttentionWriter(anchor, features, form);
  const { size, keys, tile } = form;
  const variant = `${size} queries, ${keys} keys at a time, ${tile} in workgroup memory`;
  return assemble(anchor, [writer.stage()], 0, variant);
}

class AttentionWriter {
  readonly #anchor: AttentionAnchor;
  readonly #features: ShaderFeatures;
  readonly #form: AttentionForm;
  readonly #code = new Code();
  readonly #layout: { readonly extent: number; readonly width: number; readonly ragged: boolean };
  readonly #shader: Shader;
  /** Vectors of a query and of a value. */
  readonly #width: number;
  readonly #valueWidth: number;
  /** The query of this invocation, and the first element of each operand's batch entry; i32. */
  #query = '';
  #bases: readonly string[] = [];

  constructor(anchor: AttentionAnchor, features: ShaderFeatures, form: AttentionForm) {
    this.#anchor = anchor;
    this.#features = features;
    this.#form = form;
    this.#width = ceilDiv(anchor.width, 4);
    this.#valueWidth = ceilDiv(anchor.valueWidth, 4);
    const width = this.#valueWidth * 4;
    this.#layout = { extent: anchor.valueWidth, width, ragged: width !== anchor.valueWidth };
    const operands = [anchor.query, anchor.key, anchor.value];
    const inVectors = operands.flatMap((operand, i) => (this.#isInVectors(operand, i) ? [i] : []));
    this.#shader = new Shader(
      anchor,
      features,
      resultMemory(anchor, this.#layout, { vectors: new Set(inVectors) }),
    );
  }

  #isInVectors({ dtype, offset, batch, row, column }: DotOperand, position: number): boolean {
    const width = position === 2 ? this.#anchor.valueWidth : this.#anchor.width;
    const aligned = [width, offset, row, ...batch].every((n) => n % 4 === 0);
    return dtype === 'float32' && column === 1 && aligned;
  }

  stage(): ReturnType<Shader['stage']> {
    const { batch, queries } = this.#anchor;
    const { size } = this.#form;
    const groups = ceilDiv(queries, size);
    const count = groups * batch.reduce((a, b) => a * b, 1);
    const grid = gridOf(count, this.#features);
    const code = this.#code;
    const group = code.keep('g', grid.block);
    this.#place(group, groups);
    this.#start();
    this.#overTiles();
    this.#write(grid.exact ? undefined : `${group} < ${count}u`);
    return this.#shader.stage(code.text(), { size, workgroups: grid.workgroups });
  }

  /** Names the invocation's query and where the operands of its batch entry begin. */
  #place(group: string, groups: number): void {
    const { batch, query, key, value, mask } = this.#anchor;
    const code = this.#code;
    this.#query = code.keep('q', `i32((${group} % ${groups}u) * ${this.#form.size}u + lane)`);
    let rest = code.keep('e', `${group} / ${groups}u`);
    const entry = rest;
    const indices = batch.map(() => '');
    for (let d = batch.length - 1; d >= 0; d--) {
      indices[d] = d === 0 ? `i32(${rest})` : code.keep('d', `i32(${rest} % ${batch[d]}u)`);
      if (d > 0) rest = code.keep('e', `${rest} / ${batch[d]}u`);
    }
    this.#bases = [query, key, value, ...(mask ? [mask] : [])].map((operand) =>
      code.keep(
        'o',
        [`${operand.offset}`, ...operand.batch.map((stride, d) => `${indices[d]} * ${stride}`)].join(' + '),
      ),
    );
    code.line(`let entry = ${entry};`);
  }

  /** Vectors of a row of an operand; what is behind the end of the row is 0. `row` is an i32. */
  #row(position: number, operand: DotOperand, row: string, vectors: number): readonly string[] {
    const code = this.#code;
    const at = code.keep('r', `${this.#bases[position]} + ${row} * ${operand.row}`);
    if (this.#isInVectors(operand, position)) {
      const name = this.#shader.buffer(position);
      const start = code.keep('w', `${at} >> 2u`);
      return range(vectors).map((i) => `${name}[${i === 0 ? start : `${start} + ${i}`}]`);
    }
    const width = position === 2 ? this.#anchor.valueWidth : this.#anchor.width;
    const element = (i: number): string =>
      i < width ? this.#shader.load(position, i === 0 ? at : `${at} + ${i * operand.column}`) : '0.0';
    return range(vectors).map(
      (i) =>
        `vec4<f32>(${range(4)
          .map((c) => element(i * 4 + c))
          .join(', ')})`,
    );
  }

  /** The query, scaled, and the sums. One that does not exist is the last. */
  #start(): void {
    const { queries, query, scale } = this.#anchor;
    const code = this.#code;
    code.line(`let i = min(${this.#query}, ${queries - 1});`);
    for (const [e, vector] of this.#row(0, query, 'i', this.#width).entries()) {
      code.line(`let q_${e} = ${vector} * ${floatLiteral(Math.fround(scale))};`);
    }
    code.line('var top = -3.4028234e38;');
    code.line('var total = 0.0;');
    for (const c of range(this.#valueWidth)) code.line(`var sum_${c} = vec4<f32>();`);
  }

  /** Keys and values through workgroup memory. */
  #overTiles(): void {
    const { keys, key, value } = this.#anchor;
    const { tile, keys: turn, size } = this.#form;
    const code = this.#code;
    const [k, v] = [
      this.#shader.shared('vec4<f32>', tile * this.#width),
      this.#shader.shared('vec4<f32>', tile * this.#valueWidth),
    ];
    const bring = (target: string, position: number, operand: DotOperand, vectors: number): void =>
      code.block(`for (var s = i32(lane); s < ${tile}; s += ${size})`, () => {
        const row = this.#row(position, operand, `min(base + s, ${keys - 1})`, vectors);
        for (const [i, vector] of row.entries()) code.line(`${target}[s * ${vectors} + ${i}] = ${vector};`);
      });
    const fromTile = (name: string, vectors: number) => (j: string) =>
      range(vectors).map((i) => `${name}[(${j} - base) * ${vectors} + ${i}]`);
    const step = (first: string, count: number): void =>
      this.#turn(
        range(count).map((t) => (t === 0 ? first : `(${first} + ${t})`)),
        fromTile(k, this.#width),
        fromTile(v, this.#valueWidth),
      );
    const whole = Math.floor(keys / turn) * turn;
    code.block(`for (var base = 0; base < ${keys}; base += ${tile})`, () => {
      bring(k, 1, key, this.#width);
      bring(v, 2, value, this.#valueWidth);
      code.line('workgroupBarrier();');
      code.block(`for (var j = base; j < min(base + ${tile}, ${whole}); j += ${turn})`, () =>
        step('j', turn),
      );
      if (whole < keys) code.block(`if (base + ${tile} > ${whole})`, () => step(`${whole}`, keys - whole));
      code.line('workgroupBarrier();');
    });
  }

  /** Some keys at once. */
  #turn(
    keys: readonly string[],
    keyAt: (j: string) => readonly string[],
    valueAt: (j: string) => readonly string[],
  ): void {
    const code = this.#code;
    const scores = keys.map((j) => this.#score(j, keyAt(j)));
    const top = code.keep(
      't',
      scores.reduce((a, b) => `larger(${a}, ${b})`, 'top'),
    );
    const shrink = code.keep('c', `exp_f32(top - ${top})`);
    code.line(`top = ${top};`);
    const weights = scores.map((score) => code.keep('p', `exp_f32(${score} - ${top})`));
    code.line(`total = total * ${shrink} + (${weights.join(' + ')});`);
    for (const [t, j] of keys.entries()) {
      for (const [c, vector] of valueAt(j).entries()) {
        const before = t === 0 ? `sum_${c} * ${shrink}` : `sum_${c}`;
        code.line(`sum_${c} = ${before} + ${weights[t]} * ${vector};`);
      }
    }
  }

  #score(j: string, key: readonly string[]): string {
    const { causal, mask } = this.#anchor;
    const code = this.#code;
    let product = '';
    for (const [e, vector] of key.entries()) {
      product = code.keep('x', `${e > 0 ? `${product} + ` : ''}q_${e} * ${vector}`);
    }
    let score = `(${product}.x + ${product}.y) + (${product}.z + ${product}.w)`;
    const hidden: string[] = [];
    if (mask) {
      const at = `${this.#bases[3]} + i * ${mask.row} + ${j} * ${mask.column}`;
      const seen = this.#shader.load(3, at);
      if (mask.dtype === 'bool') hidden.push(`!${seen}`);
      else score = `${score} + ${seen}`;
    }
    if (causal) hidden.push(`${j} > i`);
    return code.keep(
      's',
      hidden.length > 0 ? `select(${score}, -infinity(), ${hidden.join(' || ')})` : score,
    );
  }

  /** Through the epilogue. A query that saw no key has a total of 0. */
  #write(inside: string | undefined): void {
    const { queries } = this.#anchor;
    const code = this.#code;
    const inverse = code.keep('n', 'select(1.0 / total, not_a_number(), total == 0.0)');
    const vectors = range(this.#valueWidth).map((c) => code.keep('y', `sum_${c} * ${inverse}`));
    const exists = queries % this.#form.size === 0 ? undefined : `${this.#query} < ${queries}`;
    const row = {
      row: code.keep('row', `entry * ${queries}u + u32(${this.#query})`),
      exists: [inside, exists].filter((text) => text !== undefined).join(' && ') || undefined,
      values: vectors.flatMap((vector) => [...'xyzw'].map((c) => `${vector}.${c}`)),
    };
    const { software } = this.#features;
    new Results(this.#shader, code, this.#anchor, this.#layout, software).write('0u', [row]);
  }
}
