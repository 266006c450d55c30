/**
 * What generated code costs, in nanoseconds on one thread of a current machine. Rough, and enough to choose between strategies
 * and to size the ranges that threads get.
 */
import type { AluOp, Expression } from '@tutti/core/backend';
import type { Lens } from './lens.ts';
import { type MathName, mathCosts } from './math/index.ts';
import { type Item, storesOf } from './schedule.ts';
import type { PhasePlan, Strand, Strategy } from './strategy.ts';
import { dividesFast } from './vector-alu.ts';

const slowAlu: Partial<Record<AluOp, number>> = {
  div: 1,
  sqrt: 1,
  rsqrt: 2,
  max: 0.4,
  min: 0.4,
  idiv: 3,
  rem: 4,
  roundF16: 2,
};

function aluCost(e: Expression & { op: 'alu' }, vector: boolean): number {
  const math = mathCosts[e.alu as MathName];
  if (math !== undefined) return math; // a scalar goes through one lane of the same code
  if (vector && (e.alu === 'idiv' || e.alu === 'rem')) return dividesFast(e) ? 1.2 : 8;
  return slowAlu[e.alu] ?? 0.12;
}

/** One evaluation of an item; for a vector, of four lanes. */
function itemCost(lens: Lens, { expression, form }: Item): number {
  if (form === 'splat') return 0.1;
  switch (expression.op) {
    case 'alu':
      return aluCost(expression, form === 'vector');
    case 'load': {
      const access = lens.access(expression.buffer, expression.index);
      const guard = expression.guard ? 0.6 : 0;
      if (form === 'scalar') return 0.2 + guard;
      return (
        accessCost(access.kind, access.kind === 'walk' ? access.step : 0, bytesOf(lens, expression.buffer)) +
        guard
      );
    }
    default:
      return 0;
  }
}

const bytesOf = (lens: Lens, place: number): number => {
  const { dtype } = lens.graph.places[place]!;
  return dtype === 'float16' || dtype === 'bfloat16' ? 2 : dtype === 'uint8' || dtype === 'bool' ? 1 : 4;
};

/** Four lanes. Elements far apart each take a cache line, and with it most of the time. */
function accessCost(kind: 'walk' | 'fixed' | 'lanes', step: number, bytes: number): number {
  if (kind === 'fixed') return 0.2;
  if (kind === 'lanes') return 2;
  if (step === bytes) return 0.25;
  return Math.abs(step) < 64 ? 1 : 5;
}

/** The phase's own work for each value: accumulating or storing. */
function bodyCost(strand: Strand): number {
  const { lens } = strand;
  const { phase } = lens;
  let cost = 0;
  for (const a of phase.kind === 'reduce' ? phase.accumulators : []) {
    cost += a.position ? 2 : a.op === 'max' || a.op === 'min' ? 0.3 : 0.15;
  }
  for (const store of storesOf(phase)) {
    const access = lens.access(store.buffer, store.index);
    if (!lens.vector) cost += 0.2;
    else
      cost += accessCost(access.kind, access.kind === 'walk' ? access.step : 0, bytesOf(lens, store.buffer));
  }
  return cost;
}

/** One run of a strand over the phase's loops, the innermost of which takes `innerTrips`. */
function strandCost(strand: Strand, innerTrips: number): number {
  const { lens, schedule } = strand;
  const loops = lens.phase.loops;
  const trips = (depth: number): number => {
    let product = 1;
    for (let level = 0; level < Math.min(loops.length, depth - 2); level++) {
      product *= level === loops.length - 1 ? innerTrips : loops[level]!.extent;
    }
    return product;
  };
  let cost = trips(lens.bodyDepth) * (bodyCost(strand) + 0.3 / strand.copies);
  for (const item of schedule.items) {
    if (item.depth >= 2) cost += trips(item.depth) * itemCost(lens, item);
  }
  return cost;
}

function loopPhaseCost({ phase, vector, scalar }: PhasePlan): number {
  const extent = phase.loops.at(-1)?.extent ?? 1;
  if (!vector) return strandCost(scalar, extent);
  const folding = phase.kind === 'reduce' ? 4 * phase.accumulators.length : 0;
  const tail = extent % 4 > 0 ? strandCost(scalar, extent % 4) : 0;
  return strandCost(vector, extent >> 2) + tail + folding + 1;
}

/** One point of the space. `innermost` is the extent of the innermost space variable. */
export function pointCost(strategy: Strategy, innermost: number): number {
  const rowOverhead = 3 / innermost;
  if (strategy.over === 'loops') {
    return strategy.plans.reduce((sum, plan) => sum + loopPhaseCost(plan), rowOverhead);
  }
  const lanes = innermost - (innermost % 4);
  return strategy.plans.reduce((sum, { phase, vector, scalar }) => {
    const extent = phase.loops.at(-1)?.extent ?? 1;
    const four = strandCost(vector!, extent);
    const one = innermost > lanes ? strandCost(scalar, extent) : 0;
    return sum + (four * (lanes / 4) + one * (innermost - lanes)) / innermost;
  }, rowOverhead);
}
