/**
 * A stage of points without loops: each invocation has one point, or several that lie a workgroup apart.
 *
 *     elementwise                up to four points side by side
 *     stores to narrow buffers   a group of consecutive points along the innermost dimension, which make up words: copies of the
 *                                body that share what does not depend on that dimension, and load whole words
 */
import {
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  type MapPhase,
  type PhaseScopes,
  rootsOf,
  Schedule,
  type Segment,
  sizeOf,
  usedVariables,
} from '@tutti/core/backend';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import { Code } from './code.ts';
import { decodePoint } from './decode.ts';
import { formsOf, groupAlong } from './forms.ts';
import { type Grid, gridOf } from './grid.ts';
import { type FlatPlan, planFlat } from './plan.ts';
import { Shader, type ShaderParameters } from './shader.ts';
import { type StoreForms, Stores, type Tail } from './stores.ts';
import { Scope, Values } from './values.ts';

/** Consecutive points that an invocation has. */
interface PointGroup {
  readonly size: number;
  readonly along: IndexVariable;
}

export function flatGroup(
  { space, phases }: Segment,
  parameters: ShaderParameters,
  analysis: IndexAnalysis,
): PointGroup | undefined {
  const along = space.findLast(({ extent }) => extent > 1);
  const size = groupAlong(phases[0]!, along, parameters, analysis);
  return along && size > 1 ? { along, size } : undefined;
}

export function flatStage(
  { space, phases }: Segment,
  group: PointGroup | undefined,
  parameters: ShaderParameters,
  features: ShaderFeatures,
  analysis: IndexAnalysis,
): WgslStage {
  const phase = phases[0] as MapPhase;
  const copies = new Map(group ? [[phase, group.size as 2 | 4]] : []);
  const { forms, stored, atomic } = formsOf(
    space,
    [phase],
    { points: 1, copies },
    () => group?.along,
    parameters,
    analysis,
  );
  const shader = new Shader(parameters, features, { stored, atomic });
  const values = new Values(shader, new Code(), analysis);
  const perRow = group ? Math.ceil(group.along.extent / group.size) : 1;
  const units = group ? (sizeOf(space) / group.along.extent) * perRow : sizeOf(space);
  const plan = planFlat(units, phase, features);
  const grid = gridOf(Math.ceil(units / (plan.size * plan.copies)), features);
  const emitter = new FlatEmitter(values, phase, space, forms, plan, grid, units, features.software);
  if (group) emitter.groups(group);
  else emitter.points();
  return shader.stage(values.code.text(), { size: plan.size, workgroups: grid.workgroups });
}

class FlatEmitter {
  readonly #values: Values;
  readonly #phase: MapPhase;
  readonly #space: readonly IndexVariable[];
  readonly #roots: readonly Expression[];
  readonly #stores: Stores;
  readonly #plan: FlatPlan;
  readonly #units: number;
  readonly #software: boolean;
  readonly #outside = new Scope(0);
  readonly #first: string;
  /** Every invocation has all the units that it could have. */
  readonly #full: boolean;

  constructor(
    values: Values,
    phase: MapPhase,
    space: readonly IndexVariable[],
    forms: StoreForms,
    plan: FlatPlan,
    grid: Grid,
    units: number,
    software: boolean,
  ) {
    this.#values = values;
    this.#phase = phase;
    this.#space = space;
    this.#roots = rootsOf(phase);
    this.#stores = new Stores(values, phase, forms);
    this.#plan = plan;
    this.#units = units;
    this.#software = software;
    const each = plan.size * plan.copies;
    this.#full = grid.exact && units % each === 0;
    // What `min` bounds, compilers need not check at every access.
    const block = this.#full ? `min(${grid.block}, ${units / each - 1}u)` : grid.block;
    this.#first = values.code.keep('p', `${block} * ${each}u + lane`);
    values.open(this.#outside);
  }

  #schedule(depths: ReadonlyMap<IndexVariable, number>, body: number): Schedule {
    const { shader } = this.#values;
    const scopes: PhaseScopes = {
      depths,
      body,
      accumulators: 1,
      isMutable: (buffer) => shader.isMutable(buffer),
    };
    return new Schedule(scopes, this.#roots, new Set(), (e) => this.#values.isNamed(e));
  }

  /** Names of the invocation's units, some of which may not exist. */
  #unitNames(): string[] {
    const { code } = this.#values;
    const { size, copies } = this.#plan;
    const rest = Array.from({ length: copies - 1 }, (_, i) =>
      code.keep('p', `${this.#first} + ${(i + 1) * size}u`),
    );
    return [this.#first, ...rest];
  }

  /** The unit itself where it exists. */
  #bounded(unit: string): string {
    return this.#full ? unit : this.#values.code.keep('p', `min(${unit}, ${this.#units - 1}u)`);
  }

  points(): void {
    const { code } = this.#values;
    const { copies } = this.#plan;
    if (!this.#full && copies === 1) code.line(`if (${this.#first} >= ${this.#units}u) { return; }`);
    const units = this.#unitNames();
    const points = units.map((unit) => this.#bounded(unit));
    const scope = new Scope(1, copies);
    this.#values.open(scope);
    const indices = this.#phase.stores.map(({ index }) => index);
    this.#values.namePositions(scope, this.#roots, indices, this.#space, points);
    const used = usedVariables(this.#roots, (e) => this.#values.isNamed(e));
    const decoded = points.map((point) => decodePoint(code, point, this.#space, used, this.#software));
    for (const variable of used) scope.bind(variable, ...decoded.map((names) => names.get(variable)!));
    const schedule = this.#schedule(new Map(this.#space.map((variable) => [variable, 1])), 1);
    this.#values.settle(schedule, this.#outside);
    this.#values.settle(schedule);
    const checked = !this.#full && copies > 1;
    this.#stores.emit(checked ? { exists: (copy) => `${units[copy]} < ${this.#units}u` } : {});
  }

  groups(group: PointGroup): void {
    const { code } = this.#values;
    const { along } = group;
    const schedule = this.#schedule(
      new Map(this.#space.map((variable) => [variable, variable === along ? 2 : 1])),
      2,
    );
    this.#values.settle(schedule);
    for (const unit of this.#unitNames()) {
      const body = (): void => this.#group(this.#bounded(unit), group, schedule);
      if (this.#full) code.block('', body);
      else code.block(`if (${unit} < ${this.#units}u)`, body);
    }
  }

  #group(unit: string, { along, size }: PointGroup, schedule: Schedule): void {
    const { code } = this.#values;
    // A row of groups stands for the innermost dimension.
    const groups: IndexVariable = { name: 'group', extent: Math.ceil(along.extent / size) };
    const rows = this.#space.map((variable) => (variable === along ? groups : variable));
    const outer = new Scope(1);
    const used = usedVariables(this.#roots);
    const names = decodePoint(code, unit, rows, new Set([...used, groups]), this.#software);
    for (const [variable, name] of names) outer.bind(variable, name);
    this.#values.open(outer);
    this.#values.settle(schedule);
    const number = names.get(groups)!;
    const inner = new Scope(2, size, { variable: along, size, number });
    const first = code.keep('n', `${number} * ${size}`);
    const rest = Array.from({ length: size - 1 }, (_, i) => code.keep('n', `${first} + ${i + 1}`));
    inner.bind(along, first, ...rest);
    this.#values.open(inner);
    this.#values.settle(schedule);
    this.#stores.emit({ tail: tailOf(first, along.extent, size) });
    this.#values.close();
    this.#values.close();
  }
}

/** What the last group of a variable lacks; undefined where it lacks nothing. */
export function tailOf(first: string, extent: number, size: number): Tail | undefined {
  if (extent % size === 0) return undefined;
  return {
    whole: `${first} <= ${extent - size}`,
    count: extent % size,
    exists: (copy) => `${first} + ${copy} < ${extent}`,
  };
}
