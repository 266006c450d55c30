/**
 * A kernel as a GLSL program of one stage: a fragment for each texel of the output, which holds four elements of 32 bits, eight halves
 * or sixteen bytes. Elements are computed four at a time in vectors; the fours of a texel of narrow elements in a loop.
 */
import {
  type Accumulator,
  type Expression,
  IndexAnalysis,
  type IndexVariable,
  InternalError,
  type Kernel,
  type PhaseScopes,
  Schedule,
  Scope,
  sizeOf,
  usedVariables,
  weightOf,
} from '@tutti/core/backend';
import type { GlslProgram, GlslStage, ShaderFeatures } from '../program.ts';
import { Code } from './code.ts';
import { formOf, type KernelForm } from './form.ts';
import { Lanes } from './lanes.ts';
import { packed, quadBits } from './memory.ts';
import { type InParts, inParts } from './parts.ts';
import { declarePoints } from './points.ts';
import { Reducer, type Reduction } from './reduce.ts';
import { Shader, type Substitute } from './shader.ts';
import { widened } from './types.ts';
import { Values } from './values.ts';

/** @throws InternalError for kernels that the device's capabilities rule out. */
export function compileKernel(kernel: Kernel, features: ShaderFeatures): GlslProgram {
  const form = formOf(kernel);
  const parts = inParts(form, features);
  const stages = parts ? partStages(parts, features) : [new StageEmitter(form, features).stage()];
  for (const { inputs } of stages)
    if (inputs.length > features.maxInputs)
      throw new InternalError(`kernel ${kernel.name} reads ${inputs.length} buffers`);
  return {
    name: kernel.name,
    stages,
    scalarTypes: kernel.scalars,
    scratch: parts ? [parts.scratch] : [],
    source: () => stages.map(({ code }) => code).join('\n'),
  };
}

function partStages({ first, last, scratch }: InParts, features: ShaderFeatures): GlslStage[] {
  const { rowShift } = scratch;
  const shared: Substitute = {
    buffer: first.buffers.length - 1,
    textures: [{ kind: 'scratch', index: 0 }],
    fetch: 'fetch_scratch',
    code: ([name]) => `uvec4 fetch_scratch(int index) {
  return texelFetch(${name}, ivec2(index & ${2 ** rowShift - 1}, index >> ${rowShift}), 0);
}`,
  };
  return [first, last].map((kernel) => compileStage(kernel, features, shared));
}

/** The stage of a kernel that needs but one, with something else in place of one of its buffers. */
export function compileStage(kernel: Kernel, features: ShaderFeatures, substitute: Substitute): GlslStage {
  return new StageEmitter(formOf(kernel), features, substitute).stage();
}

/** Bodies heavier than this gain little from being copied, and compile longer. */
const copiedWeight = 64;

/** The loop of a reduction that is unrolled by four. */
function unrolledLoop({ reduce }: KernelForm): IndexVariable | undefined {
  const innermost = reduce?.loops.findLast(({ extent }) => extent > 1);
  if (!reduce || !innermost) return undefined;
  return weightOf(rootsOfReduction(reduce.accumulators)) <= copiedWeight ? innermost : undefined;
}

const rootsOfReduction = (accumulators: readonly Accumulator[]): Expression[] =>
  accumulators.flatMap(({ value, position }) => (position ? [value, position] : [value]));

class StageEmitter {
  readonly #form: KernelForm;
  readonly #values: Values;
  readonly #code = new Code();
  readonly #shader: Shader;
  readonly #lanes: Lanes;
  readonly #reduction: Reduction | undefined;
  readonly #value: Expression;
  readonly #guard: Expression | undefined;

  constructor(form: KernelForm, features: ShaderFeatures, substitute?: Substitute) {
    this.#form = form;
    const { kernel, reduce, store } = form;
    const analysis = new IndexAnalysis();
    this.#shader = new Shader(kernel, substitute);
    this.#lanes = new Lanes(kernel.space, analysis, unrolledLoop(form));
    this.#values = new Values(this.#shader, this.#code, this.#lanes, analysis, features.software);
    this.#reduction = reduce && {
      loops: reduce.loops.filter(({ extent }) => extent > 1),
      accumulators: this.#lanes.rewriteAccumulators(reduce.accumulators),
    };
    this.#value = this.#lanes.rewrite(store.value);
    this.#guard = store.guard && this.#lanes.rewrite(store.guard);
  }

  stage(): GlslStage {
    const { points, lanes, store } = this.#form;
    const fours = lanes / 4;
    const quads = Math.ceil(points / 4);
    if (fours === 1) this.#code.line(`return ${this.#quad(points > 4 ? 'index' : '0')};`);
    else if (quads === 1) {
      const zeros = lanes === 8 ? '0u, 0u' : '0u, 0u, 0u';
      this.#code.line(`return uvec4(${this.#words('0')}, ${zeros});`);
    } else this.#narrow(quads, fours);
    const texels = Math.ceil(points / lanes);
    return this.#shader.stage(describe(this.#form), this.#code.text(), store.buffer, texels, this.#work());
  }

  /** All fours of a texel, of which the last texel may not have all. */
  #narrow(quads: number, fours: number): void {
    const code = this.#code;
    const words = code.name('words');
    code.line(`uvec4 ${words} = uvec4(0u);`);
    const four = code.name('q');
    code.counted(four, `${fours}`, () => {
      const all = `index * ${fours} + ${four}`;
      const quad = code.variable('quad');
      code.line(`int ${quad} = ${quads % fours === 0 ? all : `min(${all}, ${quads - 1})`};`);
      const kept = fours === 2 ? 'zw' : 'yzw';
      code.line(`${words} = uvec4(${words}.${kept}, ${this.#words(quad)});`);
    });
    code.line(`return ${words};`);
  }

  /** Four elements in two words, or in one. */
  #words(quad: string): string {
    const { library } = this.#values;
    return library.call(this.#form.lanes === 8 ? 'pack_halves' : 'pack_bytes', 'scalar', this.#quad(quad));
  }

  /** The bits of four elements. */
  #quad(quad: string): string {
    const values = this.#values;
    const scope = new Scope(1);
    values.open(scope);
    const roots = [this.#value, ...(this.#guard ? [this.#guard] : [])];
    const reduced = this.#reduction ? rootsOfReduction(this.#reduction.accumulators) : [];
    declarePoints(values, scope, quad, usedVariables([...roots, ...reduced]));
    if (this.#reduction) this.#reduce(this.#reduction, reduced);
    const schedule = this.#schedule(roots, 1);
    values.settle(schedule, 0);
    values.settle(schedule);
    return this.#bits(quad);
  }

  #reduce(reduction: Reduction, roots: readonly Expression[]): void {
    const { loops } = reduction;
    const schedule = this.#schedule(roots, 1 + loops.length, loops);
    this.#values.settle(schedule, 0);
    if (loops.length > 0) this.#values.settle(schedule);
    new Reducer(this.#values, schedule, this.#form.reduce!, reduction).emit();
  }

  #schedule(roots: readonly Expression[], body: number, loops: readonly IndexVariable[] = []): Schedule {
    const { dimensions, quad, point, inner, copies } = this.#lanes;
    const outside = [...dimensions, quad, point, ...(inner ? [inner.number] : [])];
    const depths = new Map(outside.map((variable) => [variable, 1]));
    for (const [i, loop] of loops.entries()) depths.set(loop, 2 + i);
    if (copies && loops.length > 0) depths.set(copies.number, body);
    // Memory is as it was before the stage, so that loads may be anywhere.
    const scopes: PhaseScopes = { depths, body, accumulators: 1, isMutable: () => false };
    // Extremes of floats look at a value twice.
    const kept = new Set(loops.length > 0 ? roots : []);
    return new Schedule(scopes, roots, kept, (e) => this.#values.isNamed(e));
  }

  /** The bits of the value, beside those of elements that a guard leaves as they are. */
  #bits(quad: string): string {
    const values = this.#values;
    const { kernel, store } = this.#form;
    const { dtype } = kernel.buffers[store.buffer]!;
    const value = values.value(this.#value);
    const bits = { text: packed(dtype, value, values.library), width: value.width };
    if (!this.#guard) return widened(bits, 'u32', 'vector');
    const old = quadBits(dtype, this.#shader.source(store.buffer), quad, true, values.library);
    const guard = widened(values.value(this.#guard), 'bool', 'vector');
    return values.library.call('select_u32', 'vector', old, widened(bits, 'u32', 'vector'), guard);
  }

  /** Simple operations and loads of a texel. */
  #work(): number {
    const { lanes, reduce, store } = this.#form;
    const weight = 1 + weightOf(store.guard ? [store.value, store.guard] : [store.value]);
    const repeated = reduce
      ? sizeOf(reduce.loops) * (1 + weightOf(rootsOfReduction(reduce.accumulators)))
      : 0;
    return lanes * (weight + repeated);
  }
}

/** What the kernel computes, for whoever reads the shader. */
function describe({ kernel, reduce, store }: KernelForm): string {
  const extents = (variables: readonly IndexVariable[]): string =>
    variables.map(({ extent }) => extent).join(' x ') || '1';
  const ops = reduce?.accumulators.map(({ op, type }) => `${op} of ${type}`).join(', ');
  const reduced = reduce ? `, each from ${ops} over ${extents(reduce.loops)}` : '';
  return `${kernel.name}: ${extents(kernel.space)} of ${kernel.buffers[store.buffer]!.dtype}${reduced}`;
}
