/** The stage of a forward convolution: finds a unit's pixels and weights, multiplies, gathers rows, finishes. */
import { type ConvAnchor, ceilDiv, range, roundUp } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { columnsOf, type ForwardPlan, sumsRow } from './conv-forward-plan.ts';
import { addConstant, addScaled, advance, emitBlockSize, emitOffsets, emitStoreLanes } from './emit.ts';
import { emitFinish, sumsFitResult, workspaceSlot } from './finish.ts';
import { emitRepair, emitSee, meetsPadding } from './padding.ts';
import { emitRelayout, shiftBytes } from './relayout.ts';
import { emitSweep } from './tile.ts';

const names = [
  'flat',
  'image',
  'depth',
  'group',
  'row',
  'channel',
  'rows',
  'channels',
  'source',
  'pixels',
  'weights',
  'sums',
  'first',
  'block',
  'count',
  'k',
  'columns',
  'left',
  'panel',
  'c',
  'result',
  'target',
  'length',
  'table',
] as const;
type Names = (typeof names)[number];

export class ForwardStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: ConvAnchor;
  readonly #plan: ForwardPlan;
  readonly #memory: { readonly tableBytes: number; readonly pixelBytes: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: ConvAnchor,
    plan: ForwardPlan,
    memory: { readonly tableBytes: number; readonly pixelBytes: number },
  ) {
    this.#fn = fn;
    this.#module = module;
    this.#anchor = anchor;
    this.#plan = plan;
    this.#memory = memory;
    this.#local = Object.fromEntries(names.map((name) => [name, fn.local('i32')])) as Record<Names, Local>;
  }

  emit(): void {
    const fn = this.#fn;
    const l = this.#local;
    const [begin, end, , scratch] = fn.params as readonly [Local, Local, Local, Local];
    fn.get(scratch).set(l.table);
    this.#fillTable();
    fn.loopRange(begin, begin, end, 1, () => {
      this.#locate(begin);
      fn.loopRange(l.block, 0, this.#anchor.inChannels, this.#plan.channels, () => this.#multiplyBlock());
      this.#repairBlock();
      this.#finishBlock();
    });
  }

  /** The offsets of all k of a block: (channel, z) planes by a loop, the taps of a plane in line. */
  #fillTable(): void {
    const fn = this.#fn;
    const l = this.#local;
    const { geometry, relayout, channels } = this.#plan;
    const { z, y, x } = geometry;
    const [channel, tz, at, plane] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
    const planeStride = relayout ? relayout.planeBytes : z.kernelDilation * z.lhs * 4;
    const channelStride = relayout ? relayout.planeBytes * z.kernelSize : this.#anchor.lhs.inner * 4;
    fn.get(l.table).set(at);
    fn.loopRange(channel, 0, channels, 1, () => {
      fn.loopRange(tz, 0, z.kernelSize, 1, () => {
        fn.get(channel).i32(channelStride).op('i32.mul');
        addScaled(fn, tz, planeStride);
        fn.set(plane);
        for (let ty = 0; ty < y.kernelSize; ty++) {
          for (let tx = 0; tx < x.kernelSize; tx++) {
            const offset = relayout
              ? shiftBytes(relayout, ty, tx)
              : (ty * y.kernelDilation * y.lhs + tx * x.kernelDilation * x.lhs) * 4;
            fn.get(at)
              .get(plane)
              .i32(offset)
              .op('i32.add')
              .store('i32.store', (ty * x.kernelSize + tx) * 4);
          }
        }
        advance(fn, at, y.kernelSize * x.kernelSize * 4);
      });
    });
  }

  #locate(unit: Local): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { batch, groups, outChannels, inChannels, lhs, rhs } = this.#anchor;
    const { geometry, rows, relayout, packWeights } = this.#plan;
    const { z, y, taps } = geometry;
    const only = (index: number, scale: number): number[] => range(5).map((i) => (i === index ? scale : 0));
    fn.get(unit).set(l.flat);
    for (const local of [l.image, l.depth, l.group, l.row, l.channel]) fn.i32(0).set(local);
    emitOffsets(
      fn,
      l.flat,
      [batch, z.outSize, groups, ceilDiv(y.outSize, rows), ceilDiv(outChannels, this.#plan.outChannels)],
      [
        { target: l.image, strides: only(0, 1) },
        { target: l.depth, strides: only(1, 1) },
        { target: l.group, strides: only(2, 1) },
        { target: l.row, strides: only(3, rows) },
        { target: l.channel, strides: only(4, this.#plan.outChannels) },
      ],
    );
    emitBlockSize(fn, l.rows, l.row, rows, y.outSize);
    emitBlockSize(fn, l.channels, l.channel, this.#plan.outChannels, outChannels);

    fn.get(args).load('i32.load', 0);
    addConstant(fn, lhs.offset * 4);
    addScaled(fn, l.image, lhs.outer * 4);
    addScaled(fn, l.group, inChannels * lhs.inner * 4);
    if (!relayout) {
      addScaled(fn, l.depth, z.stride * z.lhs * 4);
      addScaled(fn, l.row, y.lhs * 4);
    }
    fn.set(l.source);

    if (packWeights) {
      fn.get(args).load('i32.load', workspaceSlot(this.#anchor));
      addScaled(fn, l.group, roundUp(outChannels, this.#plan.tile.rows) * inChannels * taps * 4);
      addScaled(fn, l.channel, inChannels * taps * 4);
    } else {
      fn.get(args).load('i32.load', 4);
      addConstant(fn, rhs.offset * 4);
      addScaled(fn, l.group, outChannels * rhs.outer * 4);
      addScaled(fn, l.channel, rhs.outer * 4);
    }
    fn.set(l.weights);

    // The first element of the block in the flat result.
    const view = this.#plan.view;
    fn.i32(view.first);
    addScaled(fn, l.image, groups * outChannels * view.channel);
    addScaled(fn, l.group, outChannels * view.channel);
    addScaled(fn, l.channel, view.channel);
    addScaled(fn, l.depth, view.z);
    addScaled(fn, l.row, view.y);
    fn.set(l.first);
    fn.get(args).load('i32.load', 8);
    addScaled(fn, l.first, 4);
    fn.set(l.result);
    if (this.#plan.inResult) fn.get(l.result).set(l.sums);
    else this.#scratchAt(this.#memory.tableBytes + this.#memory.pixelBytes).set(l.sums);
  }

  #scratchAt(bytes: number): FunctionBuilder {
    return this.#fn.get(this.#fn.params[3]!).i32(bytes).op('i32.add');
  }

  get #sumsRowBytes(): number {
    return (this.#plan.inResult ? this.#plan.geometry.points : sumsRow(this.#plan)) * 4;
  }

  /** All columns by one block of k. */
  #multiplyBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const { inChannels, outChannels, lhs } = this.#anchor;
    const { geometry, relayout, channels, tile, pitch, rows, packWeights } = this.#plan;
    const { x, y, taps } = geometry;
    emitBlockSize(fn, l.count, l.block, channels, inChannels);
    fn.get(l.count).i32(taps).op('i32.mul').set(l.k);
    if (relayout) {
      this.#scratchAt(this.#memory.tableBytes).set(l.pixels);
      fn.get(l.source);
      addScaled(fn, l.block, lhs.inner * 4);
      fn.get(l.pixels).get(l.count).get(l.row).get(l.depth).call(emitRelayout(this.#module, relayout));
    } else {
      fn.get(l.source);
      addScaled(fn, l.block, lhs.inner * 4);
      fn.set(l.pixels);
    }
    const width = tile.vectors * 4;
    const panel = (columns: number): void => {
      const sweep = emitSweep(this.#module, {
        tile,
        edgeRows: outChannels % tile.rows,
        columns,
        a: packWeights
          ? { kind: 'strided', row: 4, step: tile.rows * 4 }
          : { kind: 'strided', row: this.#anchor.rhs.outer * 4, step: 4 },
        b: { kind: 'gathered' },
        cRow: this.#sumsRowBytes,
      });
      fn.get(l.weights);
      addScaled(fn, l.block, taps * 4 * (packWeights ? tile.rows : 1));
      fn.i32(tile.rows * (packWeights ? inChannels * taps : this.#anchor.rhs.outer) * 4);
      fn.get(l.panel).get(l.c).get(l.k).get(l.channels).get(l.block).get(l.table).call(sweep);
    };
    fn.get(l.rows).i32(1).op('i32.sub').i32(pitch).op('i32.mul').i32(x.outSize).op('i32.add').set(l.left);
    fn.get(l.pixels).set(l.panel).get(l.sums).set(l.c);
    fn.get(l.left).i32(width).op('i32.ge_s').if();
    const again = fn.loop();
    panel(width);
    for (const local of [l.panel, l.c]) advance(fn, local, width * 4);
    fn.get(l.left).i32(width).op('i32.sub').tee(l.left).i32(width).op('i32.ge_s').brIf(again);
    fn.end().end();
    // What is left over differs between the last block of rows and the others.
    const lastRows = y.outSize - (ceilDiv(y.outSize, rows) - 1) * rows;
    const edges = [rows, lastRows]
      .map((r) => columnsOf(r, pitch, x.outSize) % width)
      .filter((edge) => edge > 0);
    for (const edge of new Set(edges)) {
      fn.get(l.left).i32(edge).op('i32.eq').if();
      panel(this.#plan.inResult ? edge : roundUp(edge, 4));
      fn.end();
    }
  }

  /** Sums that padding has spoiled are computed once more, where they lie. */
  #repairBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const { geometry, pitch, view } = this.#plan;
    if (!meetsPadding(geometry)) return;
    const repair = emitRepair(this.#module, {
      of: view.of,
      width: geometry.x.outSize,
      row: pitch * 4,
      channel: this.#sumsRowBytes,
      results: view,
    });
    const [channel, at, sum, seen] = [fn.local('i32'), fn.local('i32'), fn.local('f32'), fn.local('i32')];
    fn.get(l.sums).set(at).i32(0).set(seen);
    fn.loopRange(channel, 0, l.channels, 1, () => {
      fn.get(at).load('f32.load').set(sum);
      emitSee(fn, sum, seen);
      advance(fn, at, this.#sumsRowBytes);
    });
    fn.get(seen).if();
    fn.get(fn.params[2]!).get(l.sums).get(l.first).get(l.channels).get(l.rows).call(repair);
    fn.end();
  }

  /** Gathers the rows of each channel, without the columns in between, and runs the epilogue over them. */
  #finishBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { inResult, geometry, pitch, view } = this.#plan;
    const width = geometry.x.outSize;
    const channel = fn.local('i32');
    fn.get(l.rows).i32(width).op('i32.mul').set(l.length);
    fn.loopRange(channel, 0, l.channels, 1, () => {
      if (inResult) fn.get(l.sums).set(l.target);
      else {
        const there = sumsFitResult(this.#anchor);
        fn.get(there ? l.result : l.sums).set(l.target);
        const to = there ? { row: view.y, step: view.x } : { row: width, step: 1 };
        emitGatherRows(fn, { source: l.sums, target: l.target, rows: l.rows, width, pitch, to });
      }
      if (view.whole) {
        emitFinish(fn, this.#module, this.#anchor, {
          args,
          source: l.target,
          begin: l.first,
          count: l.length,
        });
      }
      advance(fn, l.sums, this.#sumsRowBytes);
      advance(fn, l.result, view.channel * 4);
      advance(fn, l.first, view.channel);
    });
  }
}

/**
 * Moves `rows` rows of `width` floats from `pitch` apart to `to.row` apart, elements `to.step` apart. The target may be
 * the source.
 */
function emitGatherRows(
  fn: FunctionBuilder,
  at: {
    readonly source: Local;
    readonly target: Local;
    readonly rows: Local;
    readonly width: number;
    readonly pitch: number;
    readonly to: { readonly row: number; readonly step: number };
  },
): void {
  const [from, sink, row, stop] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const vector = fn.local('v128');
  const vectors = Math.floor(at.width / 4);
  const rest = at.width % 4;
  const { step } = at.to;
  const move = (offset: number): void => {
    if (step === 1) {
      fn.get(sink).get(from).load('v128.load', offset, 4).store('v128.store', offset, 4);
      return;
    }
    fn.get(from).load('v128.load', offset, 4).set(vector);
    for (let lane = 0; lane < 4; lane++) {
      fn.get(sink).get(vector);
      fn.storeLane('v128.store32_lane', lane, (offset + lane * 4) * step);
    }
  };
  const moveRest = (offset: number): void => {
    if (rest === 0) return;
    fn.get(from).load('v128.load', offset, 4).set(vector);
    if (step === 1) emitStoreLanes(fn, sink, vector, rest, offset);
    else {
      for (let lane = 0; lane < rest; lane++) {
        fn.get(sink).get(vector);
        fn.storeLane('v128.store32_lane', lane, (offset + lane * 4) * step);
      }
    }
  };
  fn.get(at.source).set(from).get(at.target).set(sink);
  fn.loopRange(row, 0, at.rows, 1, () => {
    if (vectors <= 16) {
      for (let i = 0; i < vectors; i++) move(i * 16);
      moveRest(vectors * 16);
      advance(fn, from, at.pitch * 4);
      advance(fn, sink, at.to.row * 4);
      return;
    }
    fn.get(from).set(stop);
    advance(fn, stop, vectors * 16);
    const again = fn.loop();
    move(0);
    advance(fn, sink, 16 * step);
    fn.get(from).i32(16).op('i32.add').tee(from).get(stop).op('i32.lt_u').brIf(again);
    fn.end();
    moveRest(0);
    advance(fn, from, (at.pitch - vectors * 4) * 4);
    advance(fn, sink, (at.to.row - vectors * 4 * step) * 4);
  });
}
