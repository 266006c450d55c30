/**
 * The loops of a generated function.
 *
 *     for each row of the space (all variables but the innermost, decoded from the first unit once and then counted up)
 *       for each point of the row, or each group of points
 *         for each phase: its loops, its body
 *
 * Values are settled on entering each scope, as deep as they have to be and no deeper. A strategy over `space` makes the point
 * loop three times: for groups of several vectors, for one vector, and for single points; one over `loops` does the same with the
 * innermost loop of each phase. Scalar code and lanes run the same instructions on each value, so it does not matter which of
 * them a point falls to.
 */
import type { IndexVariable, MapPhase as Mapping, ReducePhase as Reduction } from '@tutti/core/backend';
import type { FunctionBuilder, Local } from '../wasm/index.ts';
import { Accumulation } from './accumulate.ts';
import type { Graph, GraphPhase } from './graph.ts';
import { Environment, type Frame, Region } from './region.ts';
import { storesOf } from './schedule.ts';
import { emitStores } from './store.ts';
import type { PhasePlan, Strand, Strategy } from './strategy.ts';

/** Additions into one f32 accumulator before it is folded into an outer one: bounds the rounding error of long sums. */
const blockLength = 256;

type MapPhase = GraphPhase & Mapping;
type ReducePhase = GraphPhase & Reduction;

interface Bounds {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

export class Nest {
  readonly #fn: FunctionBuilder;
  readonly #frame: Frame;
  readonly #graph: Graph;
  readonly #strategy: Strategy;

  constructor(frame: Frame, graph: Graph, strategy: Strategy) {
    this.#fn = frame.code.fn;
    this.#frame = frame;
    this.#graph = graph;
    this.#strategy = strategy;
  }

  /** All points from unit `begin` to `end`. */
  emit(begin: Local, end: Local): void {
    const outside = new Environment();
    this.#settleAll(outside, 0);
    const { space } = this.#graph;
    const inner = this.#declare(space.at(-1)!);
    const fn = this.#fn;
    if (space.length === 1) {
      fn.get(begin).set(inner);
      this.#settleAll(outside, 1);
      this.#points(outside, inner, end);
      return;
    }
    // An empty range has no row to decode.
    fn.get(begin).get(end).op('i32.lt_s').if();
    this.#decode(begin);
    const unit = fn.local('i32');
    const stop = fn.local('i32');
    fn.get(begin).set(unit);
    const again = fn.loop();
    const row = new Environment(outside);
    this.#settleAll(row, 1);
    // stop = min(extent, inner + end - unit); unit moves on by what the row covers
    const extent = space.at(-1)!.extent;
    fn.get(end).get(unit).op('i32.sub').get(inner).op('i32.add').set(stop);
    fn.get(stop).i32(extent).get(stop).i32(extent).op('i32.lt_s').op('select').set(stop);
    fn.get(unit).get(stop).get(inner).op('i32.sub').op('i32.add').set(unit);
    this.#points(row, inner, stop);
    fn.i32(0).set(inner);
    this.#countUp();
    fn.get(unit).get(end).op('i32.lt_s').brIf(again).end();
    fn.end();
  }

  #declare(variable: IndexVariable): Local {
    let local = this.#frame.variables.get(variable);
    if (!local) {
      local = this.#fn.local('i32');
      this.#frame.variables.set(variable, local);
    }
    return local;
  }

  #decode(begin: Local): void {
    const fn = this.#fn;
    const rest = fn.local('i32');
    fn.get(begin).set(rest);
    for (const variable of this.#graph.space.slice(1).reverse()) {
      fn.get(rest).i32(variable.extent).op('i32.rem_u').set(this.#declare(variable));
      fn.get(rest).i32(variable.extent).op('i32.div_u').set(rest);
    }
    fn.get(rest).set(this.#declare(this.#graph.space[0]!));
  }

  /** The next row: an odometer. */
  #countUp(): void {
    const fn = this.#fn;
    const outer = this.#graph.space.slice(0, -1).reverse();
    for (const [i, variable] of outer.entries()) {
      const local = this.#declare(variable);
      fn.get(local).i32(1).op('i32.add').set(local);
      if (i === outer.length - 1) break;
      fn.get(local).i32(variable.extent).op('i32.eq').if();
      fn.i32(0).set(local);
    }
    for (let i = 1; i < outer.length; i++) fn.end();
  }

  #strands(): readonly Strand[] {
    return this.#strategy.plans.flatMap((plan) => (plan.vector ? [plan.vector, plan.scalar] : [plan.scalar]));
  }

  /** Settles, for all phases, what neither points nor loops change. */
  #settleAll(environment: Environment, depth: number): void {
    for (const { lens, schedule, copies } of this.#strands()) {
      new Region(this.#frame, lens, environment, copies).settle(schedule, depth);
    }
  }

  #points(row: Environment, inner: Local, stop: Local): void {
    const fn = this.#fn;
    if (this.#strategy.over === 'loops') {
      fn.loopRange(inner, inner, stop, 1, () => this.#loopPoint(row));
      return;
    }
    const limit = fn.local('i32');
    const copies = this.#strategy.plans[0]!.vector!.copies;
    for (const width of copies > 1 ? [copies, 1] : [1]) {
      fn.get(stop)
        .i32(4 * width - 1)
        .op('i32.sub')
        .set(limit);
      fn.loopRange(inner, inner, limit, 4 * width, () => this.#spacePoint(row, width));
    }
    fn.loopRange(inner, inner, stop, 1, () => this.#spacePoint(row, 0));
  }

  /** All phases for `4 * copies` points, or for one point where `copies` is 0. */
  #spacePoint(row: Environment, copies: number): void {
    const point = new Environment(row);
    for (const plan of this.#strategy.plans) {
      const strand = copies > 0 ? { ...plan.vector!, copies } : plan.scalar;
      this.#plainPhase(plan, strand, point);
    }
  }

  #loopPoint(row: Environment): void {
    const point = new Environment(row);
    for (const plan of this.#strategy.plans) {
      if (!plan.vector) this.#plainPhase(plan, plan.scalar, point);
      else if (plan.phase.kind === 'reduce') this.#vectorReduce(plan.phase, plan.vector, plan.scalar, point);
      else this.#vectorMap(plan.phase, plan.vector, plan.scalar, point);
    }
  }

  /** A phase whose loops all run one value at a time. */
  #plainPhase({ phase }: PhasePlan, strand: Strand, point: Environment): void {
    this.#settle([strand], point, 2);
    if (phase.kind === 'map') {
      const body = (environment: Environment) => this.#mapBody(phase, strand, environment);
      if (phase.loops.length === 0) {
        body(point);
        return;
      }
      this.#outerLoops([strand], point, (environment) => {
        this.#loop(phase.loops.at(-1)!, { from: 0, to: phase.loops.at(-1)!.extent, step: 1 }, () =>
          body(environment),
        );
      });
      return;
    }
    const vector = strand.lens.vector !== undefined;
    const totals = this.#accumulations(phase, vector ? 'vector' : 'scalar', strand.copies);
    for (const total of totals) total.reset();
    this.#outerLoops([strand], point, (environment) => {
      const bounds = { from: 0, to: phase.loops.at(-1)?.extent ?? 1, step: 1 };
      this.#reduceLoop(phase, strand, bounds, totals, environment);
    });
    for (const total of totals) {
      for (let copy = 0; copy < strand.copies; copy++) {
        this.#bind(point, total, vector ? 'vector' : 'scalar', copy);
      }
    }
  }

  #accumulations(phase: ReducePhase, shape: 'scalar' | 'vector', copies: number): readonly Accumulation[] {
    return phase.accumulators.map((a) => new Accumulation(this.#frame.code, a, shape, copies));
  }

  #bind(point: Environment, total: Accumulation, form: 'scalar' | 'vector', copy: number): void {
    const { id, type } = total.accumulator;
    point.bind(this.#graph.builder.accumulator(type, id), form, copy, total.result(copy));
  }

  #vectorReduce(phase: ReducePhase, vector: Strand, scalar: Strand, point: Environment): void {
    const { main, rest, tail } = cut(phase.loops.at(-1)!.extent, vector.copies);
    const lanes = this.#accumulations(phase, 'vector', vector.copies);
    const totals = this.#accumulations(phase, 'scalar', 1);
    for (const accumulation of [...lanes, ...totals]) accumulation.reset();
    const strands = tail ? [vector, scalar] : [vector];
    this.#settle(strands, point, 2);
    this.#outerLoops(strands, point, (environment) => {
      if (main) this.#reduceLoop(phase, vector, main, lanes, environment);
      if (rest) this.#reduceLoop(phase, { ...vector, copies: 1 }, rest, lanes, environment);
      if (tail) this.#reduceLoop(phase, scalar, tail, totals, environment);
    });
    for (const [i, total] of totals.entries()) {
      lanes[i]!.foldCopies();
      total.absorbLanes(lanes[i]!);
      this.#bind(point, total, 'scalar', 0);
    }
  }

  #vectorMap(phase: MapPhase, vector: Strand, scalar: Strand, point: Environment): void {
    const loop = phase.loops.at(-1)!;
    const { main, rest, tail } = cut(loop.extent, vector.copies);
    const strands = tail ? [vector, scalar] : [vector];
    this.#settle(strands, point, 2);
    this.#outerLoops(strands, point, (environment) => {
      if (main) this.#loop(loop, main, () => this.#mapBody(phase, vector, environment));
      if (rest) this.#loop(loop, rest, () => this.#mapBody(phase, { ...vector, copies: 1 }, environment));
      if (tail) this.#loop(loop, tail, () => this.#mapBody(phase, scalar, environment));
    });
  }

  #settle(strands: readonly Strand[], environment: Environment, depth: number): void {
    for (const { lens, schedule, copies } of strands) {
      new Region(this.#frame, lens, environment, copies).settle(schedule, depth);
    }
  }

  /** The loops of a phase around its innermost one. */
  #outerLoops(
    strands: readonly Strand[],
    point: Environment,
    inside: (environment: Environment) => void,
  ): void {
    const loops = strands[0]!.lens.phase.loops.slice(0, -1);
    const open = (level: number, outer: Environment): void => {
      const loop = loops[level];
      if (!loop) {
        inside(outer);
        return;
      }
      this.#loop(loop, { from: 0, to: loop.extent, step: 1 }, () => {
        const environment = new Environment(outer);
        this.#settle(strands, environment, 3 + level);
        open(level + 1, environment);
      });
    };
    open(0, point);
  }

  #loop(variable: IndexVariable, { from, to, step }: Bounds, body: () => void): void {
    this.#fn.loopRange(this.#declare(variable), from, to, step, body);
  }

  #mapBody(phase: MapPhase, strand: Strand, outer: Environment): void {
    const environment = phase.loops.length > 0 ? new Environment(outer) : outer;
    const region = new Region(this.#frame, strand.lens, environment, strand.copies);
    if (phase.loops.length > 0) region.settle(strand.schedule, strand.lens.bodyDepth);
    for (let copy = 0; copy < strand.copies; copy++) emitStores(region, storesOf(phase), copy);
  }

  #reduceBody(phase: ReducePhase, strand: Strand, into: readonly Accumulation[], outer: Environment): void {
    const region = new Region(this.#frame, strand.lens, new Environment(outer), strand.copies);
    region.settle(strand.schedule, strand.lens.bodyDepth);
    for (let copy = 0; copy < strand.copies; copy++) {
      for (const [i, a] of phase.accumulators.entries()) {
        const position = a.position && region.value(strand.lens.use(a.position), copy);
        into[i]!.update(copy, region.value(strand.lens.use(a.value), copy), position);
      }
      if (phase.keep) emitStores(region, phase.keep, copy);
    }
  }

  /** The innermost loop of a reduction; long f32 sums go through partial sums. */
  #reduceLoop(
    phase: ReducePhase,
    strand: Strand,
    bounds: Bounds,
    totals: readonly Accumulation[],
    outer: Environment,
  ): void {
    const variable = phase.loops.at(-1);
    if (!variable) {
      this.#reduceBody(phase, strand, totals, outer);
      return;
    }
    const steps = Math.ceil((bounds.to - bounds.from) / bounds.step);
    const passes = phase.loops.slice(0, -1).reduce((product, loop) => product * loop.extent, 1);
    const sums = phase.accumulators.some((a) => a.op === 'sum' && a.type === 'f32');
    const long = steps > 2 * blockLength;
    if (!sums || !(long || (steps >= 16 && passes * steps > 4 * blockLength))) {
      this.#loop(variable, bounds, () => this.#reduceBody(phase, strand, totals, outer));
      return;
    }
    const shape = strand.lens.vector ? 'vector' : 'scalar';
    const partial = this.#accumulations(phase, shape, strand.copies);
    const block = (run: () => void): void => {
      for (const accumulation of partial) accumulation.reset();
      run();
      for (const [i, total] of totals.entries()) total.absorb(partial[i]!);
    };
    const body = () => this.#reduceBody(phase, strand, partial, outer);
    if (!long) {
      block(() => this.#loop(variable, bounds, body));
      return;
    }
    const fn = this.#fn;
    const start = fn.local('i32');
    const stop = fn.local('i32');
    const local = this.#declare(variable);
    const span = blockLength * bounds.step;
    fn.loopRange(start, bounds.from, bounds.to, span, () => {
      fn.get(start).i32(span).op('i32.add').set(stop);
      fn.get(stop).i32(bounds.to).get(stop).i32(bounds.to).op('i32.lt_s').op('select').set(stop);
      block(() => fn.loopRange(local, start, stop, bounds.step, body));
    });
  }
}

/** An innermost loop in three runs: whole groups of vectors, whole vectors, single values. */
function cut(extent: number, copies: number): { main?: Bounds; rest?: Bounds; tail?: Bounds } {
  const mainEnd = copies > 1 ? extent - (extent % (4 * copies)) : 0;
  const vectorEnd = extent - (extent % 4);
  return {
    ...(mainEnd > 0 ? { main: { from: 0, to: mainEnd, step: 4 * copies } } : {}),
    ...(vectorEnd > mainEnd ? { rest: { from: mainEnd, to: vectorEnd, step: 4 } } : {}),
    ...(extent > vectorEnd ? { tail: { from: vectorEnd, to: extent, step: 1 } } : {}),
  };
}
