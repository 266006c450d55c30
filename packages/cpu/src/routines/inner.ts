/**
 * Products of few rows or few columns where the k of both operands are neighbours: a matrix by a vector (m = 1), and
 * Linear layers with weights (out, in) for small batches.
 *
 *     out[i, j] = sum over k of lhs[i, k] * rhs[j, k]        both read by vectors along k; nothing is packed
 *
 * A tile is a handful of (i, j), each with four partial sums, added up at its end. Tiles: 1x8, 2x4, 4x2, 8x1, and 3x3
 * where there is room; all read rhs (or lhs) once, so that memory is the limit for large ones (13 GB/s on one thread).
 * A long k with few units is cut into a fixed number of chunks, added in order by a second stage.
 */
import { ceilDiv, product, range, roundUp } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { emitSumChunks } from './chunks.ts';
import { addConstant, addScaled, emitBlockSize, emitOffsets, signatureOf } from './emit.ts';
import {
  assemble,
  emitFinish,
  finishCost,
  flatScratch,
  flatStage,
  sumsFitResult,
  workspaceSlot,
} from './finish.ts';
import { memoryBytes, type Product } from './gemm-plan.ts';
import { emitTranspose4 } from './pack.ts';
import { emitMultiplyAdd } from './tile.ts';
import { cyclesPerNanosecond, unitsFor } from './units.ts';

/** Shortest chunk of k. */
const shortestChunk = 4096;

interface Plan {
  readonly tileRows: number;
  readonly tileColumns: number;
  /** Rows and columns of a unit. */
  readonly rows: number;
  readonly columns: number;
  readonly chunk: number;
  readonly chunks: number;
  readonly time: number;
}

/** True where this routine is the one to take. */
export const isInner = ({ m, n, k, lhs, rhs }: Product): boolean =>
  (lhs.column === 1 || k === 1) && (rhs.row === 1 || k === 1) && Math.min(m, n) <= 8 && k >= 8;

function planInner({ m, n, k, batch }: Product): Plan {
  const [tileRows, tileColumns] =
    m === 1 ? [1, 8] : n === 1 ? [8, 1] : m === 2 || m === 4 ? [2, 4] : n === 2 || n === 4 ? [4, 2] : [3, 3];
  const batches = product(batch);
  // Cycles for each four k of a tile; streaming the larger operand from memory costs 0.07 ns a byte.
  const tiles = ceilDiv(m, tileRows) * ceilDiv(n, tileColumns);
  const multiply =
    (batches * tiles * ((k / 4) * (Math.max(4, (tileRows + tileColumns) / 2) + 0.5) + 25)) /
    cyclesPerNanosecond;
  const bytes = (m + n) * k * 4;
  const time = Math.max(multiply, batches * bytes * (bytes > memoryBytes ? 0.07 : 0.02));
  const wanted = unitsFor(time);
  let rows = m;
  let columns = n;
  const units = (): number => batches * ceilDiv(m, rows) * ceilDiv(n, columns);
  while (units() < wanted) {
    if (n >= m && columns >= 2 * tileColumns) columns = roundUp(ceilDiv(columns, 2), tileColumns);
    else if (n < m && rows >= 2 * tileRows) rows = roundUp(ceilDiv(rows, 2), tileRows);
    else break;
  }
  const wantedChunks =
    units() < Math.min(8, wanted) ? Math.min(16, ceilDiv(wanted, units()), ceilDiv(k, shortestChunk)) : 1;
  const chunk = wantedChunks > 1 ? roundUp(ceilDiv(k, wantedChunks), 4) : k;
  return { tileRows, tileColumns, rows, columns, chunk, chunks: ceilDiv(k, chunk), time };
}

export function innerProgram(anchor: Product): WasmProgram {
  const plan = planInner(anchor);
  const { m, n } = anchor;
  const batches = product(anchor.batch);
  const elements = batches * m * n;
  const split = plan.chunks > 1;
  const units = plan.chunks * batches * ceilDiv(m, plan.rows) * ceilDiv(n, plan.columns);
  const stage: Stage = {
    units,
    grain: Math.max(1, Math.min(ceilDiv(units, 32), Math.floor((10_000 * units) / plan.time))),
    cost: (plan.time + (split ? 0 : elements * finishCost(anchor))) / units,
    emit: (fn, module) => emitStage(fn, module, anchor, plan),
  };
  const variant = `inner products, tile ${plan.tileRows}x${plan.tileColumns}, blocks ${plan.rows}x${plan.columns}, ${plan.chunks} chunks of k`;
  if (!split) {
    const scratch = sumsFitResult(anchor) ? 0 : plan.rows * plan.columns * 4 + 64;
    return assemble(anchor, [stage], { scratch, workspace: 0 }, variant);
  }
  const reduce = flatStage(anchor, elements, plan.chunks * 0.15, (fn, { args, target, first, count }) => {
    emitSumChunks(fn, {
      args,
      target,
      first,
      count,
      slot: workspaceSlot(anchor),
      chunks: plan.chunks,
      elements,
    });
  });
  const memory = { scratch: flatScratch, workspace: plan.chunks * elements * 4 + 64 };
  return assemble(anchor, [stage, reduce], memory, variant);
}

function emitStage(fn: FunctionBuilder, module: ModuleBuilder, anchor: Product, plan: Plan): void {
  const [begin, end, args, scratch] = fn.params as readonly [Local, Local, Local, Local];
  const { m, n, k, lhs, rhs } = anchor;
  const batches = product(anchor.batch);
  const { chunks, chunk } = plan;
  const inResult = chunks > 1 || sumsFitResult(anchor);
  const sumsRow = inResult ? n : plan.columns;
  const locals = range(16).map(() => fn.local('i32'));
  const [flat, part, image, row, column, rows, columns, count] = locals as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [a, b, c, first, sums, i, j, pb] = locals.slice(8) as [
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const only = (index: number, scale: number): number[] => range(4).map((at) => (at === index ? scale : 0));

  fn.loopRange(begin, begin, end, 1, () => {
    fn.get(begin).set(flat);
    for (const local of [part, image, row, column]) fn.i32(0).set(local);
    emitOffsets(
      fn,
      flat,
      [chunks, batches, ceilDiv(m, plan.rows), ceilDiv(n, plan.columns)],
      [
        { target: part, strides: only(0, 1) },
        { target: image, strides: only(1, 1) },
        { target: row, strides: only(2, plan.rows) },
        { target: column, strides: only(3, plan.columns) },
      ],
    );
    emitBlockSize(fn, rows, row, plan.rows, m);
    emitBlockSize(fn, columns, column, plan.columns, n);
    fn.get(part).i32(chunk).op('i32.mul').set(first);
    emitBlockSize(fn, count, first, chunk, k);
    for (const [pointer, operand, stride, from] of [
      [a, lhs, lhs.row, row],
      [b, rhs, rhs.column, column],
    ] as const) {
      fn.get(args).load('i32.load', operand.slot * 4);
      addConstant(fn, operand.offset * 4);
      addScaled(fn, from, stride * 4);
      addScaled(fn, first, 4);
      fn.set(pointer);
    }
    fn.get(image).set(flat);
    emitOffsets(fn, flat, anchor.batch, [
      { target: a, strides: lhs.batch.map((s) => s * 4) },
      { target: b, strides: rhs.batch.map((s) => s * 4) },
    ]);
    fn.get(image)
      .i32(m * n)
      .op('i32.mul');
    addScaled(fn, row, n);
    fn.get(column).op('i32.add').set(first);
    if (chunks > 1) {
      fn.get(args).load('i32.load', workspaceSlot(anchor));
      addScaled(fn, part, batches * m * n * 4);
      addScaled(fn, first, 4);
    } else if (inResult) {
      fn.get(args).load('i32.load', 8);
      addScaled(fn, first, 4);
    } else fn.get(scratch);
    fn.tee(sums).set(c);

    // Tiles of the block; what is left over at the last row and the last column has functions of its own.
    const across = (tileRows: number): void => {
      const tile = (tileColumns: number): void => {
        fn.get(a).get(pb).get(c).get(j).i32(4).op('i32.mul').op('i32.add').get(count);
        fn.call(
          emitInnerTile(module, { tileRows, tileColumns, a: lhs.row * 4, b: rhs.column * 4, c: sumsRow * 4 }),
        );
      };
      fn.get(b).set(pb).i32(0).set(j);
      fn.get(columns).i32(plan.tileColumns).op('i32.ge_s').if();
      const again = fn.loop();
      tile(plan.tileColumns);
      fn.get(pb)
        .i32(plan.tileColumns * rhs.column * 4)
        .op('i32.add')
        .set(pb);
      fn.get(j).i32(plan.tileColumns).op('i32.add').tee(j).i32(plan.tileColumns).op('i32.add');
      fn.get(columns).op('i32.le_s').brIf(again);
      fn.end().end();
      if (n % plan.tileColumns > 0) {
        fn.get(j).get(columns).op('i32.lt_s').if();
        tile(n % plan.tileColumns);
        fn.end();
      }
    };
    fn.i32(0).set(i);
    fn.get(rows).i32(plan.tileRows).op('i32.ge_s').if();
    const again = fn.loop();
    across(plan.tileRows);
    fn.get(a)
      .i32(plan.tileRows * lhs.row * 4)
      .op('i32.add')
      .set(a);
    fn.get(c)
      .i32(plan.tileRows * sumsRow * 4)
      .op('i32.add')
      .set(c);
    fn.get(i).i32(plan.tileRows).op('i32.add').tee(i).i32(plan.tileRows).op('i32.add');
    fn.get(rows).op('i32.le_s').brIf(again);
    fn.end().end();
    if (m % plan.tileRows > 0) {
      fn.get(i).get(rows).op('i32.lt_s').if();
      across(m % plan.tileRows);
      fn.end();
    }
    if (chunks === 1) {
      fn.loopRange(i, 0, rows, 1, () => {
        emitFinish(fn, module, anchor, { args, source: sums, begin: first, count: columns });
        fn.get(sums)
          .i32(sumsRow * 4)
          .op('i32.add')
          .set(sums);
        fn.get(first).i32(n).op('i32.add').set(first);
      });
    }
  });
}

/** A function (a, b, c, k) for one tile. Strides between rows of lhs, columns of rhs and rows of c in bytes. */
function emitInnerTile(
  module: ModuleBuilder,
  spec: { tileRows: number; tileColumns: number; a: number; b: number; c: number },
): number {
  return module.helper(`inner ${JSON.stringify(spec)}`, signatureOf(4), (fn) => {
    const [a, b, c, k] = fn.params as readonly [Local, Local, Local, Local];
    const { tileRows, tileColumns } = spec;
    const sums = range(tileRows * tileColumns).map(() => fn.local('v128'));
    const left = range(tileRows).map(() => fn.local('v128'));
    const right = fn.local('v128');
    const mask = fn.local('v128');
    const step = (masked: boolean): void => {
      const load = (pointer: Local, offset: number, to: Local): void => {
        fn.get(pointer).load('v128.load', offset, 4);
        if (masked) fn.get(mask).op('v128.and');
        fn.set(to);
      };
      for (const [i, local] of left.entries()) load(a, i * spec.a, local);
      for (let j = 0; j < tileColumns; j++) {
        load(b, j * spec.b, right);
        for (const [i, local] of left.entries())
          emitMultiplyAdd(fn, local, right, sums[i * tileColumns + j]!);
      }
    };
    fn.get(k).i32(4).op('i32.ge_s').if();
    const again = fn.loop();
    step(false);
    for (const pointer of [a, b]) fn.get(pointer).i32(16).op('i32.add').set(pointer);
    fn.get(k).i32(4).op('i32.sub').tee(k).i32(4).op('i32.ge_s').brIf(again);
    fn.end().end();
    // The last k: lanes behind them are read (there is room behind every buffer) and both sides cleared.
    fn.get(k).if();
    fn.i32x4(0, 1, 2, 3).get(k).op('i32x4.splat').op('i32x4.lt_s').set(mask);
    step(true);
    fn.end();
    for (let i = 0; i < tileRows; i++) {
      for (let j = 0; j < tileColumns; j += 4) {
        emitRowSums(
          fn,
          c,
          i * spec.c + j * 4,
          sums.slice(i * tileColumns + j, i * tileColumns + Math.min(j + 4, tileColumns)),
        );
      }
    }
  });
}

/** Adds up the lanes of up to four vectors, and stores the sums next to each other. */
function emitRowSums(fn: FunctionBuilder, c: Local, offset: number, sums: readonly Local[]): void {
  if (sums.length === 4) {
    const [p, q, r, s] = emitTranspose4(fn, sums) as [Local, Local, Local, Local];
    fn.get(c).get(p).get(q).op('f32x4.add').get(r).get(s).op('f32x4.add').op('f32x4.add');
    fn.store('v128.store', offset, 4);
    return;
  }
  for (const [j, sum] of sums.entries()) {
    // In the order of the transposed case: (0 + 1) + (2 + 3).
    fn.get(sum).get(sum).get(sum).shuffle32(1, 0, 3, 2).op('f32x4.add').set(sum);
    fn.get(c).get(sum).lane('f32x4.extract_lane', 0).get(sum).lane('f32x4.extract_lane', 2).op('f32.add');
    fn.store('f32.store', offset + j * 4);
  }
}
