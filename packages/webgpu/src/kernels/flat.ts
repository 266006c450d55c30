/**
 * A stage of points without loops: each invocation has one point, or several that lie a workgroup apart.
 *
 *     elementwise                up to four points side by side
 *     stores to narrow buffers   a group of consecutive points along the innermost dimension, which make up words: copies of the
 *                                body that share what does not depend on that dimension, and load whole words
 */
import type { IndexVariable, MapPhase } from '@tutti/core/backend';
import type { ShaderFeatures, WgslStage } from '../program.ts';
import type { IndexAnalysis } from './analysis.ts';
import { Code } from './code.ts';
import { decodePoint } from './decode.ts';
import { formsOf, groupAlong } from './forms.ts';
import { type Grid, gridOf } from './grid.ts';
import { type FlatPlan, planFlat } from './plan.ts';
import { type PhaseScopes, Schedule } from './schedule.ts';
import { rootsOf, type Segment, sizeOf } from './segments.ts';
import { Shader, type ShaderParameters } from './shader.ts';
import { type StoreForms, Stores, type Tail } from './stores.ts';
import { usedVariables } from './used.ts';
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
  const shader = new Shader(parameters, stored, atomic);
  const values = new Values(shader, new Code(), analysis);
  const perRow = group ? Math.ceil(group.along.extent / group.size) : 1;
  const units = group ? (sizeOf(space) / group.along.extent) * perRow : sizeOf(space);
  const plan = planFlat(units, phase, features);
  const grid = gridOf(Math.ceil(units / (plan.size * plan.copies)), features);
  const emitter = new FlatEmitter(values, phase, space, forms, plan, grid, units);
  if (group) emitter.groups(group);
  else emitter.points();
  return shader.stage(values.code.text(), { size: plan.size, workgroups: grid.workgroups });
}

class FlatEmitter {
  readonly #values: Values;
  readonly #phase: MapPhase;
  readonly #space: readonly IndexVariable[];
  readonly #used: ReadonlySet<IndexVariable>;
  readonly #stores: Stores;
  readonly #plan: FlatPlan;
  readonly #units: number;
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
  ) {
    this.#values = values;
    this.#phase = phase;
    this.#space = space;
    this.#used = usedVariables(rootsOf(phase));
    this.#stores = new Stores(values, phase, forms);
    this.#plan = plan;
    this.#units = units;
    this.#full = grid.exact && units % (plan.size * plan.copies) === 0;
    this.#first = values.code.keep('p', `${grid.block} * ${plan.size * plan.copies}u + lane`);
    values.open(new Scope(0));
  }

  #schedule(depths: ReadonlyMap<IndexVariable, number>, body: number): Schedule {
    const { shader } = this.#values;
    const scopes: PhaseScopes = {
      depths,
      body,
      accumulators: 1,
      isMutable: (buffer) => shader.isMutable(buffer),
    };
    return new Schedule(scopes, rootsOf(this.#phase), new Set(), (e) => this.#values.isNamed(e));
  }

  /** Names of the invocation's units. */
  #unitNames(): string[] {
    const { code } = this.#values;
    const { size, copies } = this.#plan;
    const rest = Array.from({ length: copies - 1 }, (_, i) =>
      code.keep('p', `${this.#first} + ${(i + 1) * size}u`),
    );
    return [this.#first, ...rest];
  }

  points(): void {
    const { code } = this.#values;
    const { copies } = this.#plan;
    if (!this.#full && copies === 1) code.line(`if (${this.#first} >= ${this.#units}u) { return; }`);
    const depths = new Map(this.#space.map((variable) => [variable, 1]));
    const schedule = this.#schedule(depths, 1);
    this.#values.settle(schedule);
    const points = this.#unitNames();
    const scope = new Scope(1, copies);
    const decoded = points.map((point) => decodePoint(code, point, this.#space, this.#used));
    for (const variable of decoded[0]!.keys())
      scope.bind(variable, ...decoded.map((names) => names.get(variable)!));
    this.#values.open(scope);
    this.#values.settle(schedule);
    const checked = !this.#full && copies > 1;
    this.#stores.emit(checked ? { exists: (copy) => `${points[copy]} < ${this.#units}u` } : {});
  }

  groups(group: PointGroup): void {
    const { code } = this.#values;
    const { along, size } = group;
    const schedule = this.#schedule(
      new Map(this.#space.map((variable) => [variable, variable === along ? 2 : 1])),
      2,
    );
    this.#values.settle(schedule);
    // A row of groups stands for the innermost dimension.
    const groups: IndexVariable = { name: 'group', extent: Math.ceil(along.extent / size) };
    const rows = this.#space.map((variable) => (variable === along ? groups : variable));
    for (const unit of this.#unitNames()) {
      const body = (): void => this.#group(unit, group, groups, rows, schedule);
      if (this.#full) code.block('', body);
      else code.block(`if (${unit} < ${this.#units}u)`, body);
    }
  }

  #group(
    unit: string,
    { along, size }: PointGroup,
    groups: IndexVariable,
    rows: readonly IndexVariable[],
    schedule: Schedule,
  ): void {
    const { code } = this.#values;
    const outer = new Scope(1);
    const names = decodePoint(code, unit, rows, new Set([...this.#used, groups]));
    for (const [variable, name] of names) outer.bind(variable, name);
    this.#values.open(outer);
    this.#values.settle(schedule);
    const inner = new Scope(2, size, { variable: along, size });
    const first = code.keep('n', `${names.get(groups)} * ${size}`);
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
