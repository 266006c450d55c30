/**
 * The micro-kernel of all matrix products: a tile of `rows` x (4 * `vectors`) sums held in registers.
 *
 *     c[i, j] (+)= sum over k of a[i, k] * b[k, j]        a: one float, copied to four lanes; b: vectors of four columns
 *
 * Operands are reached by constant strides, so that packed panels and matrices as they lie are the same thing to it, or
 * by a table of byte offsets, one for each k (convolutions: the offsets of input pixels).
 *
 * Tiles, measured on one thread of a Zen 5 at 3.5 GHz, whose limit for 128-bit FMA is 56 GFLOP/s: 3x3 and 4x2 53 to 56,
 * 2x4 52. 3x4, 4x3, 5x2 and 6x2 (25 to 41) spill: the engine leaves 15 registers. Without relaxed_madd 3x3 falls to 40
 * for the same reason (products need a place), and 4x2 keeps 53 to 56, since this processor has separate adders.
 * Holding each element of `a` four times in packed panels (a plain load in place of a splat) gains nothing. Unrolling k
 * makes every tile slower: the engine hoists all loads over the arithmetic, then spills; with one step in the loop body
 * its own peeling does what is useful.
 */
import { features } from '../runtime/features.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { emitStoreLanes, signatureOf } from './emit.ts';

export interface Tile {
  readonly rows: number;
  /** Columns in vectors of four. */
  readonly vectors: number;
}

/**
 * Cycles of one step in k: arithmetic (two FMA; counted twice where a product and a sum are apart), loads (two), the
 * latency of a sum (four), and a little for each load, so that of equal tiles the squarer one wins.
 */
function stepCycles(rows: number, vectors: number): number {
  if (rows * vectors === 0) return 0;
  const arithmetic = (rows * vectors) / (features.relaxedMadd ? 2 : 1);
  return Math.max(arithmetic, (rows + vectors) / 2, 4) + 0.05 * (rows + vectors);
}

const candidates = (): readonly Tile[] =>
  features.relaxedMadd
    ? [
        { rows: 3, vectors: 3 },
        { rows: 4, vectors: 2 },
        { rows: 2, vectors: 4 },
        { rows: 1, vectors: 8 },
        { rows: 8, vectors: 1 },
      ]
    : [
        { rows: 4, vectors: 2 },
        { rows: 2, vectors: 4 },
        { rows: 1, vectors: 8 },
        { rows: 8, vectors: 1 },
      ];

/** Cycles of one step in k over the whole matrix: padding and thin edges counted. */
export function sweepCycles(tile: Tile, m: number, n: number): number {
  const fullRows = Math.floor(m / tile.rows);
  const edgeRows = m % tile.rows;
  const vectors = Math.ceil(n / 4);
  const fullPanels = Math.floor(vectors / tile.vectors);
  const edgeVectors = vectors % tile.vectors;
  return (
    fullPanels * (fullRows * stepCycles(tile.rows, tile.vectors) + stepCycles(edgeRows, tile.vectors)) +
    (fullRows * stepCycles(tile.rows, edgeVectors) + stepCycles(edgeRows, edgeVectors))
  );
}

/** The tile with the least work for m x n. */
export function chooseTile(m: number, n: number): Tile {
  let best = candidates()[0]!;
  for (const tile of candidates()) if (sweepCycles(tile, m, n) < sweepCycles(best, m, n)) best = tile;
  return best;
}

/** How a sweep reaches its operands; strides in bytes. */
export interface SweepSpec {
  readonly tile: Tile;
  /** Rows left over when the last block's rows do not fill a tile. */
  readonly edgeRows: number;
  /** Columns of the panel that exist; lanes behind them are computed and not stored. */
  readonly columns: number;
  /**
   * strided: a[i, k] is at a + i * row + k * step.
   * gathered: a[i, k] is at base + rowTable[i] + kTable[k].
   */
  readonly a:
    | { readonly kind: 'strided'; readonly row: number; readonly step: number }
    | { readonly kind: 'gathered' };
  /** strided: b[k, j] is at b + k * step + 4 j. gathered: at b + kTable[k] + 4 j. */
  readonly b: { readonly kind: 'strided'; readonly step: number } | { readonly kind: 'gathered' };
  /** Stride of c's rows. */
  readonly cRow: number;
}

/**
 * Parameters of a sweep: `a` (gathered: the base), `aTile` (strided: bytes from one row tile to the next; gathered: the
 * address of the row table), `b`, `c`, `k` (at least 1), `rows`, `accumulate` (add to c, or overwrite it), `table` (the
 * offsets of k, where an operand is gathered).
 */
const sweepParameters = ['a', 'aTile', 'b', 'c', 'k', 'rows', 'accumulate', 'table'] as const;

/** A function that multiplies all row tiles of a block by one panel of columns. Returns its index. */
export function emitSweep(module: ModuleBuilder, spec: SweepSpec): number {
  const key = `sweep ${JSON.stringify(spec)} ${features.relaxedMadd}`;
  return module.helper(key, signatureOf(sweepParameters.length), (fn) => {
    const [, , , c, , rows] = fn.params as readonly [Local, Local, Local, Local, Local, Local];
    const left = fn.local('i32');
    fn.get(rows).set(left);
    const full = spec.tile.rows;
    fn.get(left).i32(full).op('i32.ge_s').if();
    const again = fn.loop();
    emitTile(fn, spec, full);
    fn.get(c)
      .i32(full * spec.cRow)
      .op('i32.add')
      .set(c);
    fn.get(left).i32(full).op('i32.sub').tee(left);
    fn.i32(full).op('i32.ge_s').brIf(again);
    fn.end().end();
    if (spec.edgeRows > 0) {
      fn.get(left).if();
      emitTile(fn, spec, spec.edgeRows);
      fn.end();
    }
  });
}

/** One tile of `rows` rows: the loop over k, and c. Moves `a` (or the row table) on to the next tile. */
function emitTile(fn: FunctionBuilder, spec: SweepSpec, rows: number): void {
  const [a, aTile, b, c, k, , accumulate, table] = fn.params as readonly Local[] as readonly [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const vectors = Math.ceil(spec.columns / 4);
  const sums = Array.from({ length: rows * vectors }, () => fn.local('v128'));
  const count = fn.local('i32');
  const pa = Array.from({ length: spec.a.kind === 'gathered' ? rows : 1 }, () => fn.local('i32'));
  const pb = fn.local('i32');
  const pt = fn.local('i32');
  const offset = fn.local('i32');
  const gathered = spec.a.kind === 'gathered' || spec.b.kind === 'gathered';

  for (const sum of sums) fn.f32x4(0).set(sum);
  if (spec.a.kind === 'gathered') {
    for (const [i, p] of pa.entries())
      fn.get(aTile)
        .load('i32.load', i * 4)
        .get(a)
        .op('i32.add')
        .set(p);
    fn.get(aTile)
      .i32(rows * 4)
      .op('i32.add')
      .set(aTile);
  } else fn.get(a).set(pa[0]!);
  fn.get(b).set(pb);
  fn.get(table).set(pt);
  fn.get(k).set(count);
  const again = fn.loop();
  if (gathered) fn.get(pt).load('i32.load').set(offset);
  emitStep(fn, spec, rows, vectors, sums, pa, pb, offset);
  if (spec.a.kind === 'strided') fn.get(pa[0]!).i32(spec.a.step).op('i32.add').set(pa[0]!);
  if (spec.b.kind === 'strided') fn.get(pb).i32(spec.b.step).op('i32.add').set(pb);
  if (gathered) fn.get(pt).i32(4).op('i32.add').set(pt);
  fn.get(count).i32(1).op('i32.sub').tee(count).brIf(again);
  fn.end();

  if (spec.a.kind === 'strided') fn.get(a).get(aTile).op('i32.add').set(a);
  fn.get(accumulate).if();
  for (const [i, sum] of sums.entries()) {
    const at = Math.floor(i / vectors) * spec.cRow + (i % vectors) * 16;
    fn.get(c).load('v128.load', at, 4).get(sum).op('f32x4.add').set(sum);
  }
  fn.end();
  for (const [i, sum] of sums.entries()) {
    const j = i % vectors;
    const lanes = Math.min(4, spec.columns - j * 4);
    emitStoreLanes(fn, c, sum, lanes, Math.floor(i / vectors) * spec.cRow + j * 16);
  }
}

/** One step in k. The narrower side is loaded first and kept; the other is loaded one at a time. */
function emitStep(
  fn: FunctionBuilder,
  spec: SweepSpec,
  rows: number,
  vectors: number,
  sums: readonly Local[],
  pa: readonly Local[],
  pb: Local,
  offset: Local,
): void {
  const loadA = (i: number): void => {
    if (spec.a.kind === 'gathered') fn.get(pa[i]!).get(offset).op('i32.add').load('v128.load32_splat');
    else fn.get(pa[0]!).load('v128.load32_splat', i * spec.a.row);
  };
  const base = fn.local('i32');
  if (spec.b.kind === 'gathered') fn.get(pb).get(offset).op('i32.add').set(base);
  const loadB = (j: number): void => {
    fn.get(spec.b.kind === 'gathered' ? base : pb).load('v128.load', j * 16, 4);
  };
  const keepA = rows <= vectors;
  const kept = Array.from({ length: keepA ? rows : vectors }, () => fn.local('v128'));
  const moving = fn.local('v128');
  for (const [i, local] of kept.entries()) {
    if (keepA) loadA(i);
    else loadB(i);
    fn.set(local);
  }
  for (let outer = 0; outer < (keepA ? vectors : rows); outer++) {
    if (keepA) loadB(outer);
    else loadA(outer);
    fn.set(moving);
    for (const [inner, local] of kept.entries()) {
      const sum = sums[keepA ? inner * vectors + outer : outer * vectors + inner]!;
      emitMultiplyAdd(fn, local, moving, sum);
    }
  }
}

/** sum += x * y, in one rounding where the engine has it. */
export function emitMultiplyAdd(fn: FunctionBuilder, x: Local, y: Local, sum: Local): void {
  if (features.relaxedMadd) fn.get(x).get(y).get(sum).op('f32x4.relaxed_madd').set(sum);
  else fn.get(x).get(y).op('f32x4.mul').get(sum).op('f32x4.add').set(sum);
}
