/**
 * A stage of points with loops.
 *
 *     a thread           has a point of its own: short rows, and maps that must run in order
 *     threads of a warp  share a row that lies side by side, and join what they found by shuffles
 *     a block            shares a long row, also through shared memory
 *     columns            points lie side by side: a warp has 32 of them, and warps share their loops
 *
 * The phases of a point run one after the other. What several of them need of a row stays in registers, where there is room.
 */
import {
  type Expression,
  type IndexAnalysis,
  type IndexVariable,
  innerLoops,
  type MapPhase,
  type Phase,
  type PhaseScopes,
  type ReducePhase,
  rootsOf,
  Schedule,
  Scope,
  type Segment,
  sizeOf,
  touches,
  usedVariables,
  weightOf,
} from '@tutti/core/backend';
import type { KernelStage } from '../program.ts';
import { Accumulation, joinAccumulations, type Sharing } from './accumulate.ts';
import { Code, typeName } from './code.ts';
import { decodePoint } from './decode.ts';
import { forEachBlock, type Grid, gridOf, type LaunchLimits, unitType } from './grid.ts';
import { alikePhases, type Kept, type PhaseKept, planKept } from './kept.ts';
import type { KernelText } from './kernel-text.ts';
import { planLanes } from './lane-plan.ts';
import { type LoopBody, type LoopPlan, Loops, tripsOf } from './loops.ts';
import { keptValues, type RowPlan, registersToKeep, unrollOf, warp } from './plan.ts';
import { describeRows, type RowForm } from './row-form.ts';
import { emitStores } from './stores.ts';
import { Values } from './values.ts';

export function rowStages(
  segment: Segment,
  name: string,
  kernel: KernelText,
  { plan, widths }: RowForm,
  limits: LaunchLimits,
  analysis: IndexAnalysis,
): readonly KernelStage[] {
  const alike = alikePhases(segment.phases);
  const grid = gridOf(sizeOf(segment.space), plan.points, limits);
  const common = alike[0] ? widths.get(alike[0])! : 1;
  const row: Row = { segment, plan, grid, widths, kept: keptOf(alike, common, plan, kernel) };
  const values = new Values(kernel, new Code(), analysis);
  new RowEmitter(values, row).emit();
  const [points, block] = describeRows(segment, plan);
  return kernel.stages(values.code.text(), {
    comment: [`${name}: ${points}.`, block],
    grid: [grid.blocks, 1, 1],
    threads: plan.points * plan.sharing,
  });
}

/** Simple operations that a phase may have when its trips are written out. */
const mostWritten = 3000;

/** Values that phases hand on in registers. Each takes one for every iteration of a thread. */
function keptOf(
  alike: readonly Phase[],
  width: number,
  { points, sharing }: RowPlan,
  kernel: KernelText,
): ReadonlyMap<Phase, PhaseKept> {
  const [first] = alike;
  if (!first || (sharing === 1 && first.loops.length > 1)) return new Map();
  const each = Math.ceil(sizeOf(first.loops) / width / sharing) * width;
  // All trips are written out: what is dear to compute makes long code, and gains little.
  const written = each * Math.max(...alike.map((phase) => weightOf(rootsOf(phase))));
  if (each > keptValues || written > mostWritten) return new Map();
  const room = Math.floor(registersToKeep(points * sharing, alike) / each);
  const plan = planKept(alike, room, (b) => kernel.isMutable(b));
  return [...plan.values()].some(({ made }) => made.size > 0) ? plan : new Map();
}

interface Row {
  readonly segment: Segment;
  readonly plan: RowPlan;
  readonly grid: Grid;
  /** Lanes of the innermost loop of a phase. */
  readonly widths: ReadonlyMap<Phase, number>;
  readonly kept: ReadonlyMap<Phase, PhaseKept>;
}

class RowEmitter {
  readonly #values: Values;
  readonly #code: Code;
  readonly #row: Row;
  readonly #count: number;
  /** Arrays of registers, by the number of the value that they keep. */
  readonly #arrays = new Map<number, string>();
  #sharing: Sharing = { count: 1, index: '0' };
  /** A condition under which the thread's point exists. */
  #exists: string | undefined;
  #usesBarriers = false;

  constructor(values: Values, row: Row) {
    this.#values = values;
    this.#code = values.code;
    this.#row = row;
    this.#count = sizeOf(row.segment.space);
  }

  emit(): void {
    const { plan, grid } = this.#row;
    const type = unitType(grid);
    this.#place(plan);
    forEachBlock(this.#code, grid, this.#values.kernel.block, (block) => {
      const turn = plan.points === 1 ? '' : ` * ${plan.points}u + ${this.#pointInBlock(plan)}`;
      const point = this.#code.keep(type, 'p', `${block}${turn}`);
      if (this.#count % plan.points === 0) this.#point(point);
      else if (plan.sharing > 1) {
        // All threads reach every barrier and shuffle, also those without a point.
        const last = `${this.#count - 1}u`;
        this.#exists = `${point} < ${this.#count}u`;
        const bounded = this.#count === 1 ? '0u' : `${point} < ${last} ? ${point} : ${last}`;
        this.#point(this.#code.keep(type, 'p', bounded));
      } else if (grid.strides) this.#code.block(`if (${point} < ${this.#count}u)`, () => this.#point(point));
      else {
        this.#code.line(`if (${point} >= ${this.#count}u) return;`);
        this.#point(point);
      }
      if (grid.strides && this.#usesBarriers) this.#code.line('__syncthreads();');
    });
  }

  /** Names where a thread is among those that share its point. */
  #place({ points, sharing, pointsFastest }: RowPlan): void {
    if (sharing === 1) return;
    if (!pointsFastest) {
      const text = points === 1 ? '(int)threadIdx.x' : `(int)(threadIdx.x % ${sharing}u)`;
      this.#sharing = { count: sharing, index: this.#code.keep('int', 't', text) };
      return;
    }
    const index = this.#code.keep('int', 't', `(int)(threadIdx.x / ${points}u)`);
    const column = this.#code.keep('int', 'c', `(int)(threadIdx.x % ${points}u)`);
    this.#sharing = { count: sharing, index, columns: { count: points, index: column } };
  }

  #pointInBlock({ sharing }: RowPlan): string {
    if (this.#sharing.columns) return `(unsigned)${this.#sharing.columns.index}`;
    return sharing === 1 ? 'threadIdx.x' : `threadIdx.x / ${sharing}u`;
  }

  #point(point: string): void {
    const { space, phases } = this.#row.segment;
    const [outside, inside] = [new Scope(0), new Scope(1)];
    this.#values.open(outside);
    this.#values.open(inside);
    const roots = phases.flatMap(rootsOf);
    const indices = phases.flatMap((phase) =>
      phase.kind === 'map' ? phase.stores.map(({ index }) => index) : [],
    );
    if (!this.#row.grid.wide) this.#values.namePositions(inside, roots, indices, space, [point]);
    const used = usedVariables(roots, (e) => this.#values.isNamed(e));
    for (const [variable, name] of decodePoint(this.#code, point, space, used, this.#row.grid.wide))
      inside.bind(variable, name);
    this.#phases(outside, inside);
    this.#values.close();
    this.#values.close();
  }

  #phases(outside: Scope, inside: Scope): void {
    const written = new Set<number>();
    for (const phase of this.#row.segment.phases) {
      if (this.#sharing.count > 1 && touches(phase, written)) this.#barrier();
      const plan = this.#loopPlan(phase);
      const schedule = this.#schedule(phase, plan);
      this.#values.settle(schedule, outside);
      if (phase.loops.length > 0) this.#values.settle(schedule, inside);
      if (phase.kind === 'reduce') this.#reduce(phase, schedule, plan);
      else {
        this.#map(phase, schedule, plan);
        for (const { buffer } of phase.stores) written.add(buffer);
      }
    }
  }

  /** What a thread of the point has stored, the others see. */
  #barrier(): void {
    const { count, columns } = this.#sharing;
    if (columns || count > warp) {
      this.#usesBarriers = true;
      this.#code.line('__syncthreads();');
    } else this.#code.line('__syncwarp();');
  }

  #loopPlan(phase: Phase): LoopPlan {
    const { loops } = phase;
    const { kernel, analysis } = this.#values;
    const kept = this.#row.kept.get(phase);
    const isTaken = (e: Expression): boolean => kept?.taken.has(e) ?? false;
    const width = this.#row.widths.get(phase)!;
    const count = kept ? loops.length : innerLoops(phase, this.#sharing.count);
    const last = loops.at(-1);
    return {
      outer: loops.slice(0, loops.length - count),
      inner: loops.slice(loops.length - count),
      used: usedVariables(rootsOf(phase), isTaken),
      lanes:
        last && width > 1 ? planLanes(phase, last, width, kernel.parameters, analysis, isTaken) : undefined,
      kept: kept !== undefined,
      unroll: unrollOf(phase, width),
    };
  }

  #schedule(phase: Phase, { outer, inner, lanes }: LoopPlan): Schedule {
    const { kernel } = this.#values;
    const kept = this.#row.kept.get(phase);
    const depths = new Map<IndexVariable, number>(this.#row.segment.space.map((variable) => [variable, 1]));
    for (const [i, loop] of outer.entries()) depths.set(loop, 2 + i);
    for (const loop of inner) depths.set(loop, 2 + outer.length);
    if (lanes) depths.set(lanes.variable, 3 + outer.length);
    const body = phase.loops.length === 0 ? 1 : 2 + outer.length + (lanes ? 1 : 0);
    const scopes: PhaseScopes = { depths, body, accumulators: 1, isMutable: (b) => kernel.isMutable(b) };
    return new Schedule(
      scopes,
      rootsOf(phase),
      new Set(kept?.made.keys()),
      (e) => this.#values.isNamed(e) || (kept?.taken.has(e) ?? false),
    );
  }

  /** Declares registers for what a phase makes, and names what it takes over and makes. */
  #keptBody(phase: Phase, { inner, lanes }: LoopPlan): Pick<LoopBody, 'preset'> & { keep: LoopBody['emit'] } {
    const kept = this.#row.kept.get(phase);
    const width = lanes?.width ?? 1;
    const place = (trip: string, lane: string | undefined): string =>
      lane === undefined ? trip : trip === '0' ? lane : `${trip} * ${width} + ${lane}`;
    const { whole, rest } = tripsOf(inner, width, this.#sharing.count);
    for (const { type, number } of kept?.made.values() ?? []) {
      const name = this.#code.name('row');
      this.#code.line(`${typeName[type]} ${name}[${(whole + (rest > 0 ? 1 : 0)) * width}];`);
      this.#arrays.set(number, name);
    }
    const element = ({ number }: Kept, trip: string, lane: string | undefined): string =>
      `${this.#arrays.get(number)!}[${place(trip, lane)}]`;
    return {
      preset: (scope, { trip }, lane) => {
        for (const [e, value] of kept?.taken ?? []) scope.names.set(e, [element(value, trip, lane)]);
      },
      keep: ({ trip, packed }) => {
        for (const [e, value] of kept?.made ?? [])
          this.#code.line(`${element(value, trip, packed?.lane)} = ${this.#values.text(e)};`);
      },
    };
  }

  #reduce(phase: ReducePhase, schedule: Schedule, plan: LoopPlan): void {
    const accumulations = phase.accumulators.map((each) => new Accumulation(each, this.#values));
    for (const each of accumulations) each.declare();
    const { preset, keep } = this.#keptBody(phase, plan);
    const sums = phase.accumulators.some(({ op, type }) => op === 'sum' && type === 'f32');
    const blocks = {
      begin: () => {
        for (const each of accumulations) each.beginBlock();
      },
      end: () => {
        for (const each of accumulations) each.endBlock();
      },
    };
    new Loops(this.#values, schedule, plan, this.#sharing, {
      emit: (turn) => {
        keep(turn);
        for (const each of accumulations) each.update();
      },
      ...(preset ? { preset } : {}),
      ...(sums ? blocks : {}),
    }).emit();
    const { count, columns } = this.#sharing;
    if (count > 1) {
      joinAccumulations(this.#values, accumulations, this.#sharing);
      if (columns || count > warp) this.#usesBarriers = true;
    }
    for (const each of accumulations) each.finish();
  }

  #map(phase: MapPhase, schedule: Schedule, plan: LoopPlan): void {
    const { preset, keep } = this.#keptBody(phase, plan);
    const loops = new Loops(this.#values, schedule, plan, this.#sharing, {
      emit: (turn) => {
        keep(turn);
        emitStores(this.#values, phase, [0], turn.packed ? { packed: turn.packed } : {});
      },
      ...(preset ? { preset } : {}),
    });
    const isAlone = this.#sharing.count > 1 && phase.loops.length === 0;
    const alone = isAlone ? `${this.#sharing.index} == 0` : undefined;
    const conditions = [alone, this.#exists].filter((condition) => condition !== undefined);
    if (conditions.length === 0) loops.emit();
    else this.#code.block(`if (${conditions.join(' && ')})`, () => loops.emit());
  }
}
