/**
 * Blocked matrix products: out (batch, m, n) = lhs (batch, m, k) x rhs (batch, k, n), any strides.
 *
 * A unit is a block of the result. It runs over k in blocks; for each, rows of lhs stay in the second-level cache, and
 * panels of rhs, a few columns wide, go through the first-level cache one after another (the order of BLIS, with the
 * packing of a panel right before its use). Rows whose k are neighbours are read in place, since the micro-kernel copies
 * single floats to all lanes anyway; rhs is read in place where it is small or hardly reused, else packed.
 *
 * Variants:
 * - one stage, sums in the result (or in scratch where the result is narrower than four bytes);
 * - split k, where the result alone gives too few units and k is long: partial results of a fixed number of chunks go
 *   to the workspace, and a second stage adds them in order. The number never depends on the threads.
 */
import type { DotAnchor, DotOperand } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, ceilDiv, emitBlockSize, emitOffsets, product, roundUp } from './emit.ts';
import { assemble, emitFinish, finishCost, flatScratch, flatStage, sumsFitResult, workspaceSlot } from './finish.ts';
import { emitPackColumns, emitPackRows, packSlack, panelGap } from './pack.ts';
import { chooseTile, emitSweep, sweepCycles, type Tile } from './tile.ts';

/** Longest block of k: a panel of 12 columns (18 KiB) and three rows stay in 48 KiB of first-level cache. */
const longestK = 384;
/** Most bytes of lhs that a block may hold in the second-level cache of 1 MiB. */
const blockBytes = 384 * 1024;
/** Matrices of this size or less stay in the first-level cache as they are. */
const residentBytes = 24 * 1024;
/** A larger rhs does not stay in the second-level cache. */
const streamedBytes = 512 * 1024;
/** A larger operand comes from memory: 0.07 ns a byte on one thread, else 0.025 at most. */
export const memoryBytes: number = 16 * 1024 * 1024;
/** Nanoseconds that make a unit worth handing out. */
const unitTime = 20_000;
const cyclesPerNanosecond = 3.5;

/** A matrix product whose operands may have changed places: `slot` is the buffer they are bound to. */
export interface Product extends DotAnchor {
  readonly lhs: DotOperand & { readonly slot: number };
  readonly rhs: DotOperand & { readonly slot: number };
}

interface Plan {
  readonly tile: Tile;
  /** Sizes of a unit's block and of a block of k. */
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
  readonly chunks: number;
  /** Length of k in a chunk; a multiple of `k` unless there is one chunk. */
  readonly chunk: number;
  readonly packRows: boolean;
  readonly packColumns: boolean;
  /** Nanoseconds of all multiplication. */
  readonly time: number;
}

/** Cuts `total` into equal blocks of at most `most`, multiples of `step`. */
function evenBlock(total: number, most: number, step: number): number {
  const blocks = ceilDiv(total, Math.max(step, most));
  return Math.min(roundUp(ceilDiv(total, blocks), step), roundUp(total, step));
}

function planGemm(anchor: Product): Plan {
  const { m, n, k, lhs, rhs } = anchor;
  const batch = product(anchor.batch);
  const tile = chooseTile(m, n);
  const width = tile.vectors * 4;
  const rowsInPlace = lhs.column === 1 || (lhs.row === 1 && lhs.column * k * 4 <= residentBytes) || n <= width;
  const columnsInPlace =
    rhs.column === 1 && (rhs.row * k * 4 <= residentBytes || m <= 2 * tile.rows || k <= 4 || rhs.row === 0);
  // A large rhs that is hardly reused comes from memory: few rows of it at a time, as long as they are.
  const streamed = columnsInPlace && m <= 4 && k * n * 4 > streamedBytes;
  const kBlock = streamed ? Math.min(k, 8) : evenBlock(k, longestK, 4);
  const multiply = (batch * k * sweepCycles(tile, m, n)) / cyclesPerNanosecond;
  const time = Math.max(multiply, batch * k * n * 4 * (k * n * 4 > memoryBytes ? 0.07 : 0.025));

  let rows = evenBlock(m, Math.floor(blockBytes / (kBlock * 4)), tile.rows);
  let columns = evenBlock(n, streamed ? 4096 : 1536, width);
  let chunks = 1;
  const units = (): number => chunks * batch * ceilDiv(m, rows) * ceilDiv(n, columns);
  const wanted = Math.min(32, Math.ceil(time / unitTime));
  // Halves blocks down to `least`. Narrower ones cost packing lhs again; shorter ones cost packing rhs again.
  const cut = (least: number): void => {
    while (units() < wanted) {
      const narrower = columns >= 2 * Math.max(least, width) && (columns > rows / 2 || rows < 2 * least);
      if (narrower && !(rowsInPlace === false && rows > columns)) columns = evenBlock(n, columns / 2, width);
      else if (rows >= 2 * least) rows = evenBlock(m, rows / 2, tile.rows);
      else if (narrower) columns = evenBlock(n, columns / 2, width);
      else return;
    }
  };
  if (!streamed) cut(128);
  // Two blocks of k at least, or loading and storing partial sums shows.
  if (units() < Math.min(streamed ? 16 : 8, wanted)) {
    chunks = Math.max(1, Math.min(16, ceilDiv(wanted, units()), Math.floor(k / (2 * kBlock))));
  }
  if (units() < Math.min(8, wanted)) cut(40);
  const chunk = chunks > 1 ? roundUp(ceilDiv(k, chunks), kBlock) : k;
  return {
    tile,
    rows,
    columns,
    k: kBlock,
    chunk,
    chunks: ceilDiv(k, chunk),
    packRows: !rowsInPlace,
    packColumns: !columnsInPlace,
    time,
  };
}

export function gemmProgram(anchor: Product): WasmProgram {
  const plan = planGemm(anchor);
  const { m, n } = anchor;
  const batch = product(anchor.batch);
  const elements = batch * m * n;
  const split = plan.chunks > 1;
  const units = plan.chunks * batch * ceilDiv(m, plan.rows) * ceilDiv(n, plan.columns);
  const width = plan.tile.vectors * 4;
  const sumsBytes = split || sumsFitResult(anchor) ? 0 : plan.rows * roundUp(plan.columns, width) * 4 + packSlack;
  const rowsBytes = plan.packRows ? roundUp(plan.rows * plan.k * 4 + ceilDiv(plan.rows, plan.tile.rows) * panelGap + packSlack, 64) : 0;
  const columnsBytes = plan.packColumns ? roundUp((plan.k + 4) * width * 4 + packSlack, 64) : 0;
  const packTime = (plan.packColumns ? ceilDiv(m, plan.rows) * anchor.k * n * 0.3 : 0) * batch;
  const block: Stage = {
    units,
    grain: 1,
    cost: (plan.time + packTime + (split ? 0 : elements * finishCost(anchor))) / units,
    emit: (fn, module) => new BlockStage(fn, module, anchor, plan, { rowsBytes, columnsBytes }).emit(),
  };
  if (!split) {
    return assemble(anchor, [block], { scratch: rowsBytes + columnsBytes + sumsBytes, workspace: 0 }, describe(plan));
  }
  const reduce = flatStage(anchor, elements, plan.chunks * 0.15, (fn, { args, target, first, count }) => {
    emitSumChunks(fn, { args, target, first, count, slot: workspaceSlot(anchor), chunks: plan.chunks, elements });
  });
  return assemble(
    anchor,
    [block, reduce],
    {
      scratch: Math.max(rowsBytes + columnsBytes, flatScratch),
      workspace: plan.chunks * elements * 4 + 64,
    },
    describe(plan),
  );
}

const describe = (plan: Plan): string =>
  `tile ${plan.tile.rows}x${plan.tile.vectors * 4}, blocks ${plan.rows}x${plan.columns}x${plan.k}, ` +
  `${plan.chunks} chunks of k${plan.packRows ? ', lhs packed' : ''}${plan.packColumns ? ', rhs packed' : ''}`;

/** target[0, count) = the sum over chunks of workspace[chunk, first + i], in the order of the chunks. */
export function emitSumChunks(
  fn: FunctionBuilder,
  at: {
    readonly args: Local;
    readonly target: Local;
    readonly first: Local;
    readonly count: Local;
    /** Where `args` holds the address of the workspace; bytes behind it to the first chunk. */
    readonly slot: number;
    readonly skip?: number;
    readonly chunks: number;
    readonly elements: number;
  },
): void {
  const [source, to, left, part] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const chunk = fn.local('i32');
  const sum = fn.local('v128');
  const single = fn.local('f32');
  fn.get(at.args).load('i32.load', at.slot);
  addScaled(fn, at.first, 4);
  addConstant(fn, at.skip ?? 0);
  fn.set(source).get(at.target).set(to);
  fn.get(at.count).set(left);
  const run = (lanes: 4 | 1): void => {
    fn.get(left).i32(lanes).op('i32.ge_s').if();
    const again = fn.loop();
    fn.get(source).set(part);
    if (lanes === 4) fn.get(part).load('v128.load', 0, 4).set(sum);
    else fn.get(part).load('f32.load').set(single);
    fn.loopRange(chunk, 1, at.chunks, 1, () => {
      fn.get(part).i32(at.elements * 4).op('i32.add').set(part);
      if (lanes === 4) fn.get(sum).get(part).load('v128.load', 0, 4).op('f32x4.add').set(sum);
      else fn.get(single).get(part).load('f32.load').op('f32.add').set(single);
    });
    if (lanes === 4) fn.get(to).get(sum).store('v128.store', 0, 4);
    else fn.get(to).get(single).store('f32.store');
    for (const local of [source, to]) fn.get(local).i32(lanes * 4).op('i32.add').set(local);
    fn.get(left).i32(lanes).op('i32.sub').tee(left).i32(lanes).op('i32.ge_s').brIf(again);
    fn.end().end();
  };
  run(4);
  run(1);
}

/** The body of the stage that multiplies blocks. */
class BlockStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: Product;
  readonly #plan: Plan;
  readonly #memory: { readonly rowsBytes: number; readonly columnsBytes: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: Product,
    plan: Plan,
    memory: { readonly rowsBytes: number; readonly columnsBytes: number },
  ) {
    this.#fn = fn;
    this.#module = module;
    this.#anchor = anchor;
    this.#plan = plan;
    this.#memory = memory;
    this.#local = Object.fromEntries(names.map((name) => [name, fn.local('i32')])) as Record<Names, Local>;
  }

  /** Elements between rows of the sums. */
  get #sumsRow(): number {
    const { n } = this.#anchor;
    return this.#inResult || this.#plan.chunks > 1 ? n : roundUp(this.#plan.columns, this.#plan.tile.vectors * 4);
  }

  get #inResult(): boolean {
    return this.#plan.chunks === 1 && sumsFitResult(this.#anchor);
  }

  emit(): void {
    const fn = this.#fn;
    const [begin, end] = fn.params as readonly [Local, Local];
    const { k } = this.#anchor;
    const { chunks, chunk } = this.#plan;
    const l = this.#local;
    fn.loopRange(begin, begin, end, 1, () => {
      this.#locate(begin);
      if (chunks === 1) fn.i32(0).set(l.kFirst).i32(k).set(l.kEnd);
      else {
        fn.get(l.chunk).i32(chunk).op('i32.mul').set(l.kFirst);
        emitBlockSize(fn, l.kEnd, l.kFirst, chunk, k);
        fn.get(l.kEnd).get(l.kFirst).op('i32.add').set(l.kEnd);
      }
      fn.loopRange(l.k0, l.kFirst, l.kEnd, this.#plan.k, () => this.#multiplyBlock());
      if (chunks === 1) this.#finishBlock();
    });
  }

  /** Where the unit's operands and sums begin. */
  #locate(unit: Local): void {
    const fn = this.#fn;
    const l = this.#local;
    const [, , args, scratch] = fn.params as readonly [Local, Local, Local, Local];
    const { m, n, lhs, rhs } = this.#anchor;
    const { rows, columns, chunks, chunk } = this.#plan;
    const batch = product(this.#anchor.batch);
    const zero: number[] = [0, 0, 0, 0];
    const unitStrides = (index: number): number[] => zero.map((_, i) => (i === index ? 1 : 0));
    fn.get(unit).set(l.flat);
    for (const local of [l.chunk, l.batch, l.row, l.column]) fn.i32(0).set(local);
    emitOffsets(fn, l.flat, [chunks, batch, ceilDiv(m, rows), ceilDiv(n, columns)], [
      { target: l.chunk, strides: unitStrides(0) },
      { target: l.batch, strides: unitStrides(1) },
      { target: l.row, strides: unitStrides(2).map((s) => s * rows) },
      { target: l.column, strides: unitStrides(3).map((s) => s * columns) },
    ]);
    emitBlockSize(fn, l.rows, l.row, rows, m);
    emitBlockSize(fn, l.columns, l.column, columns, n);

    fn.get(args).load('i32.load', lhs.slot * 4);
    addConstant(fn, lhs.offset * 4);
    addScaled(fn, l.row, lhs.row * 4);
    addScaled(fn, l.chunk, chunks > 1 ? chunk * lhs.column * 4 : 0);
    fn.set(l.a);
    fn.get(args).load('i32.load', rhs.slot * 4);
    addConstant(fn, rhs.offset * 4);
    addScaled(fn, l.column, rhs.column * 4);
    addScaled(fn, l.chunk, chunks > 1 ? chunk * rhs.row * 4 : 0);
    fn.set(l.b);
    fn.get(l.batch).set(l.flat);
    emitOffsets(fn, l.flat, this.#anchor.batch, [
      { target: l.a, strides: lhs.batch.map((s) => s * 4) },
      { target: l.b, strides: rhs.batch.map((s) => s * 4) },
    ]);

    // First element of the block in the flat result, and its sums.
    fn.i32(0);
    addScaled(fn, l.batch, m * n);
    addScaled(fn, l.row, n);
    addScaled(fn, l.column, 1);
    fn.set(l.first);
    if (chunks > 1) {
      fn.get(args).load('i32.load', workspaceSlot(this.#anchor));
      addScaled(fn, l.chunk, batch * m * n * 4);
      addScaled(fn, l.first, 4);
    } else if (this.#inResult) {
      fn.get(args).load('i32.load', 8);
      addScaled(fn, l.first, 4);
    } else {
      fn.get(scratch);
      addConstant(fn, this.#memory.rowsBytes + this.#memory.columnsBytes);
    }
    fn.set(l.sums);
  }

  /** One block of k: packs rows if need be, then goes panel by panel. Moves `a` and `b` on. */
  #multiplyBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const [, , , scratch] = fn.params as readonly [Local, Local, Local, Local];
    const { m, n, lhs, rhs } = this.#anchor;
    const { tile, packRows } = this.#plan;
    const edgeRows = m % tile.rows;
    const width = tile.vectors * 4;
    fn.get(l.kEnd).get(l.k0).op('i32.sub').tee(l.kk);
    fn.i32(this.#plan.k).get(l.kk).i32(this.#plan.k).op('i32.lt_s').op('select').set(l.kk);
    if (packRows) {
      const pack = emitPackRows(this.#module, { row: lhs.row * 4, column: lhs.column * 4, rows: tile.rows, edgeRows });
      fn.get(l.a).get(scratch).get(l.kk).get(l.rows).call(pack);
    }
    fn.get(l.b).set(l.panel).get(l.sums).set(l.c).get(l.columns).set(l.left);
    fn.get(l.left).i32(width).op('i32.ge_s').if();
    const again = fn.loop();
    this.#multiplyPanel(width);
    if (width * rhs.column !== 0) fn.get(l.panel).i32(width * rhs.column * 4).op('i32.add').set(l.panel);
    fn.get(l.c).i32(width * 4).op('i32.add').set(l.c);
    fn.get(l.left).i32(width).op('i32.sub').tee(l.left).i32(width).op('i32.ge_s').brIf(again);
    fn.end().end();
    if (n % width > 0) {
      fn.get(l.left).if();
      this.#multiplyPanel(n % width);
      fn.end();
    }
    for (const [local, step] of [
      [l.a, lhs.column],
      [l.b, rhs.row],
    ] as const) {
      fn.get(local);
      addScaled(fn, l.kk, step * 4);
      fn.set(local);
    }
  }

  #multiplyPanel(columns: number): void {
    const fn = this.#fn;
    const l = this.#local;
    const [, , , scratch] = fn.params as readonly [Local, Local, Local, Local];
    const { m, lhs, rhs } = this.#anchor;
    const { tile, packRows, packColumns } = this.#plan;
    const packedStep = Math.ceil(columns / 4) * 16;
    if (packColumns) {
      const pack = emitPackColumns(this.#module, { row: rhs.row * 4, column: rhs.column * 4, columns });
      fn.get(l.panel);
      fn.get(scratch);
      addConstant(fn, this.#memory.rowsBytes);
      fn.tee(l.packed).get(l.kk).call(pack);
    }
    const sweep = emitSweep(this.#module, {
      tile,
      edgeRows: m % tile.rows,
      columns,
      a: packRows
        ? { kind: 'strided', row: 4, step: tile.rows * 4, splat: false }
        : { kind: 'strided', row: lhs.row * 4, step: lhs.column * 4, splat: false },
      b: { kind: 'strided', step: packColumns ? packedStep : rhs.row * 4 },
      cRow: this.#sumsRow * 4,
    });
    if (packRows) fn.get(scratch).get(l.kk).i32(tile.rows * 4).op('i32.mul').i32(panelGap).op('i32.add');
    else fn.get(l.a).i32(tile.rows * lhs.row * 4);
    fn.get(packColumns ? l.packed : l.panel).get(l.c).get(l.kk).get(l.rows);
    fn.get(l.k0).get(l.kFirst).op('i32.ne').i32(0).call(sweep);
  }

  /** The epilogue: once for a block of whole rows, else row by row. */
  #finishBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { n } = this.#anchor;
    const at = { args, source: l.sums, begin: l.first, count: l.columns };
    if (this.#plan.columns >= n && this.#sumsRow === n) {
      fn.get(l.rows).i32(n).op('i32.mul').set(l.columns);
      emitFinish(fn, this.#module, this.#anchor, at);
      return;
    }
    fn.loopRange(l.flat, 0, l.rows, 1, () => {
      emitFinish(fn, this.#module, this.#anchor, at);
      fn.get(l.sums).i32(this.#sumsRow * 4).op('i32.add').set(l.sums);
      fn.get(l.first).i32(n).op('i32.add').set(l.first);
    });
  }
}

const names = [
  'flat', 'chunk', 'batch', 'row', 'column', 'rows', 'columns', 'a', 'b', 'c', 'first', 'sums', 'kFirst', 'kEnd', 'k0',
  'kk', 'panel', 'packed', 'left',
] as const;
type Names = (typeof names)[number];
