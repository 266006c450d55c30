/**
 * A stage of points without loops: a thread has one point, or neighbouring ones as lanes, or several of either side by side.
 *
 *     elementwise    lanes along the innermost dimension where elements lie side by side and are aligned: 16 bytes an access
 *     transposed     lanes along the dimension in which what is loaded lies side by side, neighbouring threads along the innermost
 *     otherwise      neighbouring threads have neighbouring points
 *
 * Memory is slow to answer: where there is much to do, a thread has several units, a block apart, and asks for all of them before it
 * computes. Units behind the last one are the last one, and are not stored, so that no branch stands between loads.
 */
import {
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  loadIndices,
  type MapPhase,
  type PhaseScopes,
  rootsOf,
  Schedule,
  type Segment,
  sizeOf,
  usedVariables,
} from '@tutti/core/backend';
import type { CudaFeatures, KernelStage } from '../program.ts';
import { Code } from './code.ts';
import { decodePoint } from './decode.ts';
import { forEachBlock, type Grid, gridOf, type LaunchLimits, unitType } from './grid.ts';
import { type KernelMemory, type KernelParameters, KernelText } from './kernel-text.ts';
import { crossLanes, type LanePlan, laneWidth, planLanes } from './lane-plan.ts';
import { Lanes } from './lanes.ts';
import { type FlatPlan, planFlat } from './plan.ts';
import { emitStores } from './stores.ts';
import { Scope, Values } from './values.ts';

export function flatStage(
  { space, phases }: Segment,
  name: string,
  parameters: KernelParameters,
  memory: KernelMemory,
  features: CudaFeatures,
  limits: LaunchLimits,
  analysis: IndexAnalysis,
): KernelStage {
  const phase = phases[0] as MapPhase;
  const lanes = lanesOf(space, phase, parameters, analysis);
  const width = lanes?.width ?? 1;
  const points = sizeOf(space);
  const rest = points % width;
  const units = (points - rest) / width;
  const plan = planFlat(units, phase, width, features);
  const grid = gridOf(units, plan.threads * plan.copies, limits);
  const values = new Values(new KernelText(parameters, memory), new Code(), analysis);
  const emitter = new FlatEmitter(values, phase, space, plan, grid, units, lanes);
  emitter.emit(rest);
  const isAcross = lanes && space.findLast(({ extent }) => extent > 1) !== lanes.variable;
  const each = width > 1 ? `${width} points side by side${isAcross ? ', across rows' : ''}` : 'one point';
  return values.kernel.stage(values.code.text(), {
    comment: [
      `${name}: ${points} points, each on its own.`,
      `A thread computes ${each}${plan.copies > 1 ? `, ${plan.copies} times, a block apart` : ''}.`,
    ],
    grid: [grid.blocks, 1, 1],
    threads: plan.threads,
  });
}

/** Lanes along the innermost dimension, or across it. Points behind the last whole unit are few, and there only where it is the only dimension. */
function lanesOf(
  space: readonly IndexVariable[],
  phase: MapPhase,
  parameters: KernelParameters,
  analysis: IndexAnalysis,
): LanePlan | undefined {
  const long = space.filter(({ extent }) => extent > 1);
  const along = long.at(-1);
  if (!along) return undefined;
  const cross = crossLanes(phase, space, parameters, analysis);
  if (cross) return cross;
  let width = laneWidth(phase, along, parameters, analysis);
  if (along.extent < width || (long.length > 1 && along.extent % width !== 0)) {
    while (width > 1 && along.extent % width !== 0) width /= 2;
  }
  return width > 1 ? planLanes(phase, along, width, parameters, analysis) : undefined;
}

class FlatEmitter {
  readonly #values: Values;
  readonly #phase: MapPhase;
  readonly #space: readonly IndexVariable[];
  readonly #roots: readonly Expression[];
  readonly #plan: FlatPlan;
  readonly #grid: Grid;
  readonly #units: number;
  readonly #lanes: LanePlan | undefined;

  constructor(
    values: Values,
    phase: MapPhase,
    space: readonly IndexVariable[],
    plan: FlatPlan,
    grid: Grid,
    units: number,
    lanes: LanePlan | undefined,
  ) {
    this.#values = values;
    this.#phase = phase;
    this.#space = space;
    this.#roots = rootsOf(phase);
    this.#plan = plan;
    this.#grid = grid;
    this.#units = units;
    this.#lanes = lanes;
  }

  emit(rest: number): void {
    forEachBlock(this.#values.code, this.#grid, (block) => this.#block(block, rest === 0));
    if (rest > 0) this.#rest(rest);
  }

  /** Every thread has all the units that it could have. */
  get #isFull(): boolean {
    return this.#units % (this.#plan.threads * this.#plan.copies) === 0;
  }

  /** `isLast`: nothing comes behind. */
  #block(block: string, isLast: boolean): void {
    const { code } = this.#values;
    const { threads, copies } = this.#plan;
    const type = unitType(this.#grid);
    const first = code.keep(type, 'p', `${block} * ${threads * copies}u + threadIdx.x`);
    const places = [
      first,
      ...Array.from({ length: copies - 1 }, (_, i) =>
        code.keep(type, 'p', `${first} + ${(i + 1) * threads}u`),
      ),
    ];
    if (this.#isFull) {
      this.#run(places);
    } else if (copies === 1) {
      const only = (): void => this.#run(places);
      if (this.#grid.strides || !isLast) code.block(`if (${first} < ${this.#units}u)`, only);
      else {
        code.line(`if (${first} >= ${this.#units}u) return;`);
        only();
      }
    } else {
      const last = `${this.#units - 1}u`;
      const bounded = places.map((place) => code.keep(type, 'p', `${place} < ${last} ? ${place} : ${last}`));
      this.#run(bounded, (copy) => `${places[copy]} < ${this.#units}u`);
    }
  }

  /** Units side by side. */
  #run(units: readonly string[], exists?: (copy: number) => string): void {
    if (this.#lanes) this.#laned(units, this.#lanes, exists);
    else this.#points(units, exists);
  }

  #points(points: readonly string[], exists?: (copy: number) => string): void {
    const [outside, scope] = this.#open(points.length);
    // Positions in 64 bits are no indices.
    if (!this.#grid.wide) this.#values.namePositions(scope, this.#roots, this.#stored, this.#space, points);
    this.#decode(scope, points, this.#space, []);
    const schedule = this.#schedule(new Map(this.#space.map((variable) => [variable, 1])), 1);
    this.#values.settle(schedule, outside);
    this.#values.settle(schedule);
    emitStores(this.#values, this.#phase, [...points.keys()], { exists });
    this.#close();
  }

  #laned(units: readonly string[], lanes: LanePlan, exists?: (copy: number) => string): void {
    const { code } = this.#values;
    const { variable, width } = lanes;
    const [outside, scope] = this.#open(units.length);
    const isInner = this.#space.findLast(({ extent }) => extent > 1) === variable;
    const positions = isInner && !this.#grid.wide ? this.#positions(units, width) : new Map();
    // The dimension of the lanes is cut into units.
    const unit: IndexVariable = { name: 'u', extent: Math.floor(variable.extent / width) };
    const rows = this.#space.map((each) => (each === variable ? unit : each));
    const isKnown = (e: Expression): boolean => positions.has(e);
    const whole = !usedVariables(this.#roots, isKnown).has(variable);
    this.#decode(scope, units, rows, whole ? [] : [unit], isKnown);
    const numbers = scope.variables.get(unit) ?? units.map(() => '0');
    const firsts = whole
      ? units.map(() => '')
      : numbers.map((text) => code.keep('int', 'n', `${text} * ${width}`));
    const depths = new Map(this.#space.map((each) => [each, each === variable ? 2 : 1]));
    const schedule = this.#schedule(depths, 2, isKnown);
    this.#values.settle(schedule, outside);
    this.#values.settle(schedule);
    new Lanes(this.#values, schedule, lanes, { firsts, positions, exists }).emit((copy, lane, packs) =>
      emitStores(this.#values, this.#phase, [copy], { exists, packed: { lane, packs } }),
    );
    this.#close();
  }

  get #stored(): readonly Expression[] {
    return this.#phase.stores.map(({ index }) => index);
  }

  /** Indices that are the row-major position, or lie at a fixed distance from it, with their names in the first lane. */
  #positions(units: readonly string[], width: number): Map<Expression, readonly string[]> {
    const { analysis, code } = this.#values;
    const names = new Map<number, readonly string[]>();
    const positions = new Map<Expression, readonly string[]>();
    for (const index of [...loadIndices(this.#roots), ...this.#stored]) {
      const offset = analysis.offsetFromRowMajor(index, this.#space);
      if (offset === undefined) continue;
      const moved = offset === 0 ? '' : offset < 0 ? ` - ${-offset}` : ` + ${offset}`;
      const known =
        names.get(offset) ?? units.map((unit) => code.keep('int', 'n', `(int)${unit} * ${width}${moved}`));
      names.set(offset, known);
      positions.set(index, known);
    }
    return positions;
  }

  #open(copies: number): readonly [outside: Scope, scope: Scope] {
    const scopes = [new Scope(0), new Scope(1, copies)] as const;
    for (const scope of scopes) this.#values.open(scope);
    return scopes;
  }

  #close(): void {
    this.#values.close();
    this.#values.close();
  }

  /** Binds the variables that are used at these places of `variables`, and `more`. */
  #decode(
    scope: Scope,
    places: readonly string[],
    variables: readonly IndexVariable[],
    more: readonly IndexVariable[],
    isKnown: (e: Expression) => boolean = () => false,
  ): void {
    const { code } = this.#values;
    for (const variable of this.#space) if (variable.extent === 1) scope.bind(variable, '0');
    const used = usedVariables(this.#roots, (e) => isKnown(e) || this.#values.isNamed(e));
    for (const variable of more) used.add(variable);
    const decoded = places.map((place) => decodePoint(code, place, variables, used, this.#grid.wide));
    for (const variable of variables)
      if (decoded[0]!.has(variable)) scope.bind(variable, ...decoded.map((names) => names.get(variable)!));
  }

  #schedule(
    depths: ReadonlyMap<IndexVariable, number>,
    body: number,
    isKnown: (e: Expression) => boolean = () => false,
  ): Schedule {
    const { kernel } = this.#values;
    const scopes: PhaseScopes = { depths, body, accumulators: 1, isMutable: (b) => kernel.isMutable(b) };
    return new Schedule(scopes, this.#roots, new Set(), (e) => isKnown(e) || this.#values.isNamed(e));
  }

  /** The points behind the last whole unit, by the first threads. */
  #rest(count: number): void {
    const { code } = this.#values;
    const long = this.#space.find(({ extent }) => extent > 1)!;
    code.block(`if (blockIdx.x == 0 && threadIdx.x < ${count})`, () => {
      const [outside, scope] = this.#open(1);
      for (const variable of this.#space) if (variable.extent === 1) scope.bind(variable, '0');
      scope.bind(long, code.keep('int', 'n', `${sizeOf(this.#space) - count} + (int)threadIdx.x`));
      const schedule = this.#schedule(new Map(this.#space.map((variable) => [variable, 1])), 1);
      this.#values.settle(schedule, outside);
      this.#values.settle(schedule);
      emitStores(this.#values, this.#phase, [0]);
      this.#close();
    });
  }
}
