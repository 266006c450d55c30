/** The stage of a matrix product that multiplies blocks: finds a unit's operands, packs, sweeps, finishes. */
import { ceilDiv, product, roundUp } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, emitBlockSize, emitOffsets } from './emit.ts';
import { emitFinish, sumsFitResult, workspaceSlot } from './finish.ts';
import type { GemmPlan, Product } from './gemm-plan.ts';
import { emitPackColumns, emitPackRows, panelGap } from './pack.ts';
import { emitSweep } from './tile.ts';

/** The body of the stage that multiplies blocks. */
export class BlockStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: Product;
  readonly #plan: GemmPlan;
  readonly #memory: { readonly rowsBytes: number; readonly columnsBytes: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: Product,
    plan: GemmPlan,
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
    return this.#inResult || this.#plan.chunks > 1
      ? n
      : roundUp(this.#plan.columns, this.#plan.tile.vectors * 4);
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
    emitOffsets(
      fn,
      l.flat,
      [chunks, batch, ceilDiv(m, rows), ceilDiv(n, columns)],
      [
        { target: l.chunk, strides: unitStrides(0) },
        { target: l.batch, strides: unitStrides(1) },
        { target: l.row, strides: unitStrides(2).map((s) => s * rows) },
        { target: l.column, strides: unitStrides(3).map((s) => s * columns) },
      ],
    );
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
      const pack = emitPackRows(this.#module, {
        row: lhs.row * 4,
        column: lhs.column * 4,
        rows: tile.rows,
        edgeRows,
      });
      fn.get(l.a).get(scratch).get(l.kk).get(l.rows).call(pack);
    }
    fn.get(l.b).set(l.panel).get(l.sums).set(l.c).get(l.columns).set(l.left);
    fn.get(l.left).i32(width).op('i32.ge_s').if();
    const again = fn.loop();
    this.#multiplyPanel(width);
    if (width * rhs.column !== 0)
      fn.get(l.panel)
        .i32(width * rhs.column * 4)
        .op('i32.add')
        .set(l.panel);
    fn.get(l.c)
      .i32(width * 4)
      .op('i32.add')
      .set(l.c);
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
        ? { kind: 'strided', row: 4, step: tile.rows * 4 }
        : { kind: 'strided', row: lhs.row * 4, step: lhs.column * 4 },
      b: { kind: 'strided', step: packColumns ? packedStep : rhs.row * 4 },
      cRow: this.#sumsRow * 4,
    });
    if (packRows)
      fn.get(scratch)
        .get(l.kk)
        .i32(tile.rows * 4)
        .op('i32.mul')
        .i32(panelGap)
        .op('i32.add');
    else fn.get(l.a).i32(tile.rows * lhs.row * 4);
    fn.get(packColumns ? l.packed : l.panel)
      .get(l.c)
      .get(l.kk)
      .get(l.rows);
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
      fn.get(l.sums)
        .i32(this.#sumsRow * 4)
        .op('i32.add')
        .set(l.sums);
      fn.get(l.first).i32(n).op('i32.add').set(l.first);
    });
  }
}

const names = [
  'flat',
  'chunk',
  'batch',
  'row',
  'column',
  'rows',
  'columns',
  'a',
  'b',
  'c',
  'first',
  'sums',
  'kFirst',
  'kEnd',
  'k0',
  'kk',
  'panel',
  'packed',
  'left',
] as const;
type Names = (typeof names)[number];
