/**
 * A stage of points with loops: each point has one invocation, or several that share its loops (see `phases.ts`).
 *
 * Where a point's own result goes to a narrow buffer, one invocation has as many consecutive points as make a word, one after the
 * other, and stores words at the end.
 */
import {
  type IndexAnalysis,
  type Phase,
  rootsOf,
  type Segment,
  type Store,
  sizeOf,
  usedVariables,
} from '@tutti/core/backend';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import { Code } from './code.ts';
import { decodePoint } from './decode.ts';
import { type Forms, formsOf, groupAlong, groupOfPoints } from './forms.ts';
import { type Grid, gridOf } from './grid.ts';
import { lanesOf, pack } from './memory.ts';
import { PhaseEmitter } from './phases.ts';
import { planRows, type RowPlan } from './plan.ts';
import { Shader, type ShaderParameters } from './shader.ts';
import { storeWords } from './stores.ts';
import { Scope, Values } from './values.ts';

export function rowStage(
  segment: Segment,
  parameters: ShaderParameters,
  features: ShaderFeatures,
  analysis: IndexAnalysis,
): WgslStage {
  const { space, phases } = segment;
  const plan = planRows(segment, features, analysis);
  const groups = new Map(
    phases.map((phase) => [phase, groupAlong(phase, phase.loops.at(-1), parameters, analysis)]),
  );
  const together = plan.sharing === 1 ? groupOfPoints(space, phases, parameters, analysis) : 1;
  const forms = formsOf(
    space,
    phases,
    { points: together, copies: groups },
    (phase) => phase.loops.at(-1),
    parameters,
    analysis,
  );
  const shader = new Shader(parameters, features, forms);
  const values = new Values(shader, new Code(), analysis);
  const grid = gridOf(Math.ceil(sizeOf(space) / (plan.points * together)), features);
  new RowEmitter(values, segment, forms, plan, grid, groups, features).emit(together);
  return shader.stage(values.code.text(), { size: plan.points * plan.sharing, workgroups: grid.workgroups });
}

class RowEmitter {
  readonly #values: Values;
  readonly #code: Code;
  readonly #segment: Segment;
  readonly #forms: Forms;
  readonly #plan: RowPlan;
  readonly #grid: Grid;
  readonly #groups: ReadonlyMap<Phase, number>;
  readonly #features: ShaderFeatures;
  readonly #count: number;

  constructor(
    values: Values,
    segment: Segment,
    forms: Forms,
    plan: RowPlan,
    grid: Grid,
    groups: ReadonlyMap<Phase, number>,
    features: ShaderFeatures,
  ) {
    this.#values = values;
    this.#code = values.code;
    this.#segment = segment;
    this.#forms = forms;
    this.#plan = plan;
    this.#grid = grid;
    this.#groups = groups;
    this.#features = features;
    this.#count = sizeOf(segment.space);
  }

  emit(together: number): void {
    if (together > 1) this.#severalPoints(together);
    else if (this.#plan.sharing === 1) this.#onePoint();
    else this.#sharedPoint();
  }

  /** Every invocation has points that exist. */
  #isFull(perWorkgroup: number): boolean {
    return this.#grid.exact && this.#count % perWorkgroup === 0;
  }

  /** The point itself where it exists. What `min` bounds, compilers need not check at every access. */
  #bounded(point: string): string {
    return this.#code.keep('p', `min(${point}, ${this.#count - 1}u)`);
  }

  #onePoint(): void {
    const { points } = this.#plan;
    const point = this.#code.keep('p', `${this.#grid.block} * ${points}u + lane`);
    if (!this.#isFull(points)) this.#code.line(`if (${point} >= ${this.#count}u) { return; }`);
    this.#phases(this.#bounded(point)).emit();
  }

  /** All invocations of a workgroup reach every barrier, also those whose points do not exist. */
  #sharedPoint(): void {
    const { points, sharing, pointsFastest } = this.#plan;
    const code = this.#code;
    const { block } = this.#grid;
    let point = block;
    let turn = 'lane';
    if (points > 1) {
      const width = pointsFastest ? points : sharing;
      const [low, high] = [`lane % ${width}u`, `lane / ${width}u`];
      turn = code.keep('t', pointsFastest ? high : low);
      point = `${block} * ${points}u + (${pointsFastest ? low : high})`;
    }
    const reached = code.keep('p', point);
    const exists = this.#isFull(points) ? undefined : `${reached} < ${this.#count}u`;
    const name = this.#bounded(reached);
    const index = code.keep('t', `i32(${turn})`);
    const slotOf = (of: string): string => {
      if (points === 1) return of;
      return pointsFastest
        ? `(${of}) * ${points}u + lane % ${points}u`
        : `lane / ${sharing}u * ${sharing}u + (${of})`;
    };
    this.#phases(name).emit({ count: sharing, index, invocations: points * sharing, slotOf, exists });
  }

  /** Consecutive points one after the other; the words that they make are stored at the end. */
  #severalPoints(together: number): void {
    const { points } = this.#plan;
    const code = this.#code;
    const first = code.keep('p', `(${this.#grid.block} * ${points}u + lane) * ${together}u`);
    if (!this.#isFull(points * together)) code.line(`if (${first} >= ${this.#count}u) { return; }`);
    const collected = new Map<Store, string>();
    for (const store of this.#collectedStores()) {
      const name = code.name('w');
      code.line(`var ${name} = array<u32, ${together / this.#lanes(store)}>();`);
      collected.set(store, name);
    }
    const j = code.name('j');
    code.block(`for (var ${j} = 0u; ${j} < ${together}u; ${j}++)`, () => {
      const point = code.keep('p', `${first} + ${j}`);
      if (this.#count % together !== 0) code.line(`if (${point} >= ${this.#count}u) { break; }`);
      const collect = (store: Store, value: string): void => {
        const lanes = this.#lanes(store);
        const { dtype } = this.#values.shader.parameters.buffers[store.buffer]!;
        const place = `${collected.get(store)!}[${j} >> ${Math.log2(lanes)}u]`;
        code.line(`${place} |= ${pack(dtype, value)} << ((${j} & ${lanes - 1}u) * ${32 / lanes}u);`);
      };
      this.#phases(this.#bounded(point)).emit(undefined, collect);
    });
    for (const [store, name] of collected) this.#storeCollected(store, name, first, together);
  }

  #lanes(store: Store): number {
    return lanesOf(this.#values.shader.parameters.buffers[store.buffer]!.dtype);
  }

  /** Stores that make a word of several points, rather than of several iterations. */
  #collectedStores(): Store[] {
    return this.#segment.phases.flatMap((phase) => {
      if (phase.kind !== 'map' || phase.loops.length > 0) return [];
      return phase.stores.filter((store) => this.#forms.forms.get(store) === 'word');
    });
  }

  #storeCollected(store: Store, name: string, first: string, together: number): void {
    const lanes = this.#lanes(store);
    const offset = this.#values.analysis.offsetFromRowMajor(store.index, this.#segment.space)!;
    const start = offset === 0 ? first : `(${first} + ${offset}u)`;
    const place = this.#code.keep('w', `${start} >> ${Math.log2(lanes)}u`);
    const words = Array.from({ length: together / lanes }, (_, i) => `${name}[${i}]`);
    const last = this.#count - together;
    const whole = last < 0 ? 'false' : `${first} <= ${last}u`;
    const count = this.#count % together;
    storeWords(this.#values, store.buffer, place, words, count === 0 ? undefined : { whole, count });
  }

  /** Opens the scopes of a point. */
  #phases(point: string): PhaseEmitter {
    const { space, phases } = this.#segment;
    const outside = new Scope(0);
    const inside = new Scope(1);
    this.#values.open(outside);
    this.#values.open(inside);
    const roots = phases.flatMap(rootsOf);
    const stores = phases.flatMap((phase) => (phase.kind === 'map' ? phase.stores : []));
    const indices = stores.map(({ index }) => index);
    this.#values.namePositions(inside, roots, indices, space, [point]);
    const used = usedVariables(roots, (e) => this.#values.isNamed(e));
    const names = decodePoint(this.#code, point, space, used, this.#features.software);
    for (const [variable, name] of names) inside.bind(variable, name);
    return new PhaseEmitter(
      this.#values,
      { space, phases, forms: this.#forms.forms, groups: this.#groups },
      this.#features,
      { outside, inside },
    );
  }
}
