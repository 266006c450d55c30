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
  positionNames,
  rootsOf,
  Schedule,
  Scope,
  type Segment,
  sizeOf,
  usedVariables,
} from '@tutti/core/backend';
import type { CudaFeatures, KernelStage } from '../program.ts';
import { Code } from './code.ts';
import { decodePoint, modulo, quotient } from './decode.ts';
import { forEachBlock, type Grid, gridOf, type LaunchLimits, unitType } from './grid.ts';
import type { KernelParameters, KernelText } from './kernel-text.ts';
import { crossLanes, type LanePlan, laneWidth, planLanes } from './lane-plan.ts';
import { Lanes } from './lanes.ts';
import { type FlatPlan, planFlat } from './plan.ts';
import { emitStores } from './stores.ts';
import { Values } from './values.ts';

export function flatStages(
  { space, phases }: Segment,
  name: string,
  kernel: KernelText,
  features: CudaFeatures,
  limits: LaunchLimits,
  analysis: IndexAnalysis,
): readonly KernelStage[] {
  const phase = phases[0] as MapPhase;
  const lanes = lanesOf(space, phase, kernel.parameters, analysis);
  const width = lanes?.width ?? 1;
  const points = sizeOf(space);
  const units = Math.floor(points / width);
  const code = new Code();
  const { points: given } = kernel;
  // Where the number of points comes with the launch, there may be few.
  const plan = { ...planFlat(units, phase, width, features), ...(given === undefined ? {} : { copies: 1 }) };
  const amount = given === undefined ? knownAmount(points, width, plan) : givenAmount(code, given, width);
  const grid = gridOf(units, plan.threads * plan.copies, limits);
  const values = new Values(kernel, code, analysis);
  new FlatEmitter(values, phase, space, plan, grid, amount, lanes).emit();
  const isAcross = lanes && space.findLast(({ extent }) => extent > 1) !== lanes.variable;
  const each = width > 1 ? `${width} points side by side${isAcross ? ', across rows' : ''}` : 'one point';
  return kernel.stages(code.text(), {
    comment: [
      `${name}: ${given === undefined ? points : 'any number of'} points, each on its own.`,
      `A thread computes ${each}${plan.copies > 1 ? `, ${plan.copies} times, a block apart` : ''}.`,
    ],
    grid: [grid.blocks, 1, 1],
    threads: plan.threads,
    pointsOfBlock: plan.threads * plan.copies * width,
  });
}

/** How many units there are, and points behind the last of them. */
interface Amount {
  readonly units: string;
  /** The number of the last unit, where a thread may have several. */
  readonly last?: string;
  /** Every thread has all the units that it could have. */
  readonly isFull: boolean;
  readonly rest: { readonly count: string; readonly first: string } | undefined;
}

function knownAmount(points: number, width: number, { threads, copies }: FlatPlan): Amount {
  const rest = points % width;
  const units = (points - rest) / width;
  return {
    units: `${units}u`,
    last: `${units - 1}u`,
    isFull: units % (threads * copies) === 0,
    rest: rest === 0 ? undefined : { count: `${rest}`, first: `${points - rest}` },
  };
}

function givenAmount(code: Code, points: string, width: number): Amount {
  if (width === 1) return { units: points, isFull: false, rest: undefined };
  const units = code.keep('unsigned', 'u', quotient(points, width));
  const count = code.keep('unsigned', 'r', modulo(points, width));
  return { units, isFull: false, rest: { count, first: `(int)(${points} - ${count})` } };
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
  readonly #amount: Amount;
  readonly #lanes: LanePlan | undefined;

  constructor(
    values: Values,
    phase: MapPhase,
    space: readonly IndexVariable[],
    plan: FlatPlan,
    grid: Grid,
    amount: Amount,
    lanes: LanePlan | undefined,
  ) {
    this.#values = values;
    this.#phase = phase;
    this.#space = space;
    this.#roots = rootsOf(phase);
    this.#plan = plan;
    this.#grid = grid;
    this.#amount = amount;
    this.#lanes = lanes;
  }

  emit(): void {
    const { code, kernel } = this.#values;
    forEachBlock(code, this.#grid, kernel.block, (block) => this.#block(block));
    if (this.#amount.rest) this.#rest(this.#amount.rest);
  }

  #block(block: string): void {
    const { code } = this.#values;
    const { units, last, isFull, rest } = this.#amount;
    const { threads, copies } = this.#plan;
    const type = unitType(this.#grid);
    const first = code.keep(type, 'p', `${block} * ${threads * copies}u + threadIdx.x`);
    const places = [
      first,
      ...Array.from({ length: copies - 1 }, (_, i) =>
        code.keep(type, 'p', `${first} + ${(i + 1) * threads}u`),
      ),
    ];
    if (isFull) {
      this.#run(places);
    } else if (copies === 1) {
      const only = (): void => this.#run(places);
      if (this.#grid.strides || rest) code.block(`if (${first} < ${units})`, only);
      else {
        code.line(`if (${first} >= ${units}) return;`);
        only();
      }
    } else {
      const bounded = places.map((place) => code.keep(type, 'p', `${place} < ${last} ? ${place} : ${last}`));
      this.#run(bounded, (copy) => `${places[copy]} < ${units}`);
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
    const values = this.#values;
    const all = [...loadIndices(this.#roots), ...this.#stored];
    return positionNames(all, this.#space, values.analysis, (offset) =>
      values.placesAt(offset, units, width),
    );
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
  #rest({ count, first }: NonNullable<Amount['rest']>): void {
    const { code, kernel } = this.#values;
    const long = this.#space.find(({ extent }) => extent > 1)!;
    code.block(`if (${kernel.block} == 0 && threadIdx.x < ${count})`, () => {
      const [outside, scope] = this.#open(1);
      for (const variable of this.#space) if (variable.extent === 1) scope.bind(variable, '0');
      scope.bind(long, code.keep('int', 'n', `${first} + (int)threadIdx.x`));
      const schedule = this.#schedule(new Map(this.#space.map((variable) => [variable, 1])), 1);
      this.#values.settle(schedule, outside);
      this.#values.settle(schedule);
      emitStores(this.#values, this.#phase, [0]);
      this.#close();
    });
  }
}
