/**
 * Convolution as a matrix product that is never written out.
 *
 *     sums (outChannels, columns) = weights (outChannels, k) x pixels (k, columns)      k = (channel, tap z, y, x)
 *
 * Columns run through the rows of the output at the pitch of the input's rows, so that for every k the pixels of
 * neighbouring columns are neighbours in memory: the micro-kernel reads them in place, at an offset from a table with one
 * entry for each k. The few columns between the end of one row and the start of the next are computed for nothing and
 * dropped when rows are gathered into the result. Compared with packing patches this reads 48 KiB of pixels where the
 * patches of a 3x3 kernel would be 9 times as much, and writes nothing.
 *
 * A unit is (batch, z, group, block of output rows, block of output channels). Pixels come
 * - directly from the input where it needs no padding, has stride one, and its channels do not fall on the same sets of
 *   the cache;
 * - else from `relayout`: a block of channels at a time is copied to scratch with its padding, split into phases for
 *   strides above one, with zeros in between for input dilation.
 *
 * Weights are read in place where each output channel's k are neighbours (the forward pass), else packed in a first stage.
 * Sums go straight into the result where the pitch is the output's width (1x1 kernels, mostly).
 */
import type { ConvAnchor } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, ceilDiv, emitBlockSize, emitOffsets, emitStoreLanes, roundUp } from './emit.ts';
import { assemble, emitFinish, finishCost, sumsFitResult, workspaceSlot } from './finish.ts';
import { type Geometry, geometryOf, layoutAxis, range } from './geometry.ts';
import { emitRelayout, planRelayout, type Relayout, shiftBytes } from './relayout.ts';
import { chooseTile, emitSweep, sweepCycles, type Tile } from './tile.ts';
import { emitPackWeights } from './weights.ts';

/** Bytes of pixels under one panel, for all channels of a block, that leave the first-level cache room for weights. */
const panelBytes = 28 * 1024;
/** Bytes of weights, of sums and of pixels in a block, each: together they stay in the second-level cache. */
const blockBytes = 320 * 1024;
const unitTime = 20_000;
const cyclesPerNanosecond = 3.5;

interface Plan {
  readonly geometry: Geometry;
  readonly tile: Tile;
  /** Undefined: pixels are read from the input. */
  readonly relayout: Relayout | undefined;
  /** Elements between rows of pixels. */
  readonly pitch: number;
  /** Input channels in a block of k. */
  readonly channels: number;
  /** Output rows, output channels of a unit. */
  readonly rows: number;
  readonly outChannels: number;
  readonly packWeights: boolean;
  /** Sums are computed where the result is. */
  readonly inResult: boolean;
  readonly time: number;
}

/** Columns that cover `rows` rows of the output. */
const columnsOf = (rows: number, pitch: number, width: number): number => (rows - 1) * pitch + width;

function planForward(anchor: ConvAnchor): Plan {
  const geometry = geometryOf(anchor);
  const { z, y, x, taps } = geometry;
  const { inChannels, outChannels, batch, groups } = anchor;
  const xLayout = layoutAxis(x.stride, x.outSize, range(x.kernelSize).map((t) => t * x.kernelDilation));
  const yLayout = layoutAxis(y.stride, y.outSize, range(y.kernelSize).map((t) => t * y.kernelDilation));
  const direct = readsInPlace(anchor, geometry);
  const relayout = planRelayout(geometry, yLayout, xLayout, yLayout.length, anchor.lhs.inner, z.kernelSize);
  const pitch = direct ? (y.outSize === 1 ? x.outSize : y.lhs) : relayout.pitch;

  // Lines of the cache under a panel of 12 columns: for each row of taps, what the taps of the row span.
  const span = 48 + (x.kernelSize - 1) * 4 * x.kernelDilation;
  const linesPerChannel = z.kernelSize * y.kernelSize * Math.min(x.kernelSize, Math.ceil(span / 64) + 1);
  const mostChannels = Math.max(1, Math.floor(panelBytes / (linesPerChannel * 64)));
  const channels = ceilDiv(inChannels, ceilDiv(inChannels, mostChannels));

  const k = inChannels * taps;
  const images = batch * z.outSize * groups;
  let best: { rows: number; tile: Tile; cycles: number } | undefined;
  const totalTime = (images * k * outChannels * x.outSize * y.outSize) / 8 / cyclesPerNanosecond;
  const wanted = Math.min(32, Math.ceil(totalTime / unitTime));
  for (let blocks = 1; blocks <= y.outSize; blocks++) {
    const rows = ceilDiv(y.outSize, blocks);
    if (ceilDiv(y.outSize, rows) !== blocks) continue;
    const columns = columnsOf(rows, pitch, x.outSize);
    const halo = rows + yLayout.length - y.outSize;
    const pixels = direct ? 0 : channels * z.kernelSize * yLayout.phases.length * xLayout.phases.length * halo * pitch * 4;
    const sums = columns * Math.min(outChannels, 64) * 4;
    if (blocks < y.outSize && (pixels > blockBytes || sums > blockBytes)) continue;
    const tile = chooseTile(outChannels, columns);
    const last = columnsOf(y.outSize - (blocks - 1) * rows, pitch, x.outSize);
    const sweep = (blocks - 1) * sweepCycles(tile, outChannels, columns) + sweepCycles(tile, outChannels, last);
    const copy = direct ? 0 : blocks * halo * (inChannels * z.kernelSize) * (x.inSize * 0.4 + 20);
    // Too few units cost more than any of this: whole threads.
    const idle = Math.max(1, wanted / (images * blocks * ceilDiv(outChannels, 48)));
    const cycles = (sweep * k + copy + blocks * 300) * idle;
    if (!best || cycles < best.cycles * 0.99) best = { rows, tile, cycles };
  }
  const { rows, tile } = best!;
  const columns = columnsOf(rows, pitch, x.outSize);
  const weightRow = channels * taps * 4;
  let blocks = Math.max(
    ceilDiv(outChannels * weightRow, blockBytes),
    ceilDiv(outChannels * columns * 4, blockBytes),
  );
  const unitsOf = (): number => images * ceilDiv(y.outSize, rows) * blocks;
  while (unitsOf() < wanted && outChannels / blocks >= 32) blocks++;
  const { inner, outer } = anchor.rhs;
  const inPlace =
    (inChannels === 1 || inner === taps) &&
    (x.kernelSize === 1 || x.rhs === 1) &&
    (y.kernelSize === 1 || y.rhs === x.kernelSize) &&
    (z.kernelSize === 1 || z.rhs === x.kernelSize * y.kernelSize) &&
    outer >= 0;
  const rowsPerRelayout = rows + yLayout.length - y.outSize;
  return {
    geometry,
    tile,
    relayout: direct ? undefined : planRelayout(geometry, yLayout, xLayout, rowsPerRelayout, anchor.lhs.inner, z.kernelSize),
    pitch,
    channels,
    rows,
    outChannels: Math.min(roundUp(ceilDiv(outChannels, blocks), tile.rows), roundUp(outChannels, tile.rows)),
    packWeights: !inPlace,
    inResult: pitch === x.outSize && sumsFitResult(anchor),
    time:
      (images *
        (k * sweepCycles(tile, outChannels, columns) * ceilDiv(y.outSize, rows) +
          (direct ? 0 : ceilDiv(y.outSize, rows) * rowsPerRelayout * inChannels * z.kernelSize * (x.inSize * 0.4 + 20)) +
          outChannels * y.outSize * (x.outSize * 0.3 + 6))) /
      cyclesPerNanosecond,
  };
}

/** True where every pixel that a sum needs is in the input, and columns that are neighbours there are neighbours here. */
function readsInPlace(anchor: ConvAnchor, { z, y, x }: Geometry): boolean {
  for (const axis of [z, y, x]) {
    const reach = (axis.outSize - 1) * axis.stride + (axis.kernelSize - 1) * axis.kernelDilation + 1;
    if (axis.padLow !== 0 || axis.inputDilation !== 1 || reach > axis.inSize) return false;
  }
  if (x.stride !== 1 || y.stride !== 1 || (x.lhs !== 1 && x.inSize > 1)) return false;
  if (y.outSize > 1 && (y.lhs < x.outSize || y.lhs > x.outSize * 1.15 + 2)) return false;
  // Channels a multiple of 4 KiB apart all fall into the same few sets.
  const apart = (anchor.lhs.inner * 4) % 4096;
  return anchor.inChannels <= 8 || (apart >= 192 && apart <= 4096 - 192);
}

/** Most kernel positions whose offsets are written in line. */
const mostTaps = 2048;

/** Cycles of this routine, to compare it with others. */
export function forwardCycles(anchor: ConvAnchor): number {
  if (geometryOf(anchor).taps > mostTaps) return Number.POSITIVE_INFINITY;
  const plan = planForward(anchor);
  const packing = plan.packWeights ? anchor.groups * anchor.outChannels * anchor.inChannels * plan.geometry.taps * 0.5 : 0;
  return (plan.time + packing) * cyclesPerNanosecond;
}

export function forwardProgram(anchor: ConvAnchor): WasmProgram {
  const plan = planForward(anchor);
  const { geometry } = plan;
  const { batch, groups, outChannels, inChannels } = anchor;
  const blocks = ceilDiv(outChannels, plan.outChannels);
  const units = batch * geometry.z.outSize * groups * ceilDiv(geometry.y.outSize, plan.rows) * blocks;
  const elements = batch * groups * outChannels * geometry.points;
  const tableBytes = roundUp(plan.channels * geometry.taps * 4, 64);
  const pixelBytes = plan.relayout ? roundUp(plan.channels * geometry.z.kernelSize * plan.relayout.planeBytes + 256, 64) : 0;
  const sumsBytes = plan.inResult ? 0 : plan.outChannels * sumsRow(plan) * 4 + 64;
  const cost = (plan.time + elements * finishCost(anchor)) / units;
  const block: Stage = {
    units,
    // Small units go out several at a time.
    grain: Math.max(1, Math.min(Math.floor(10_000 / cost), ceilDiv(units, 32))),
    cost,
    emit: (fn, module) => new ForwardStage(fn, module, anchor, plan, { tableBytes, pixelBytes }).emit(),
  };
  const stages: Stage[] = [];
  let workspace = 0;
  if (plan.packWeights) {
    const rows = roundUp(outChannels, plan.tile.rows);
    workspace = groups * rows * inChannels * geometry.taps * 4 + 64;
    stages.push({
      units: groups * ceilDiv(outChannels, plan.tile.rows),
      grain: 1,
      cost: plan.tile.rows * inChannels * geometry.taps * 0.5,
      emit: (fn, module) => emitPackWeights(fn, module, anchor, geometry, plan.tile.rows),
    });
  }
  stages.push(block);
  const { tile, channels } = plan;
  const variant =
    `tile ${tile.rows}x${tile.vectors * 4}, rows ${plan.rows} at ${plan.pitch}, channels ${channels} to ${plan.outChannels}` +
    `${plan.relayout ? ', pixels copied' : ''}${plan.packWeights ? ', weights packed' : ''}`;
  return assemble(anchor, stages, { scratch: tableBytes + pixelBytes + sumsBytes, workspace }, variant);
}

/** Elements between rows of sums in scratch. */
const sumsRow = (plan: Plan): number => roundUp(columnsOf(plan.rows, plan.pitch, plan.geometry.x.outSize), 4) + 4;

const names = [
  'flat', 'image', 'depth', 'group', 'row', 'channel', 'rows', 'channels', 'source', 'pixels', 'weights', 'sums', 'first',
  'block', 'count', 'k', 'columns', 'left', 'panel', 'c', 'result', 'target', 'length', 'table',
] as const;
type Names = (typeof names)[number];

class ForwardStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: ConvAnchor;
  readonly #plan: Plan;
  readonly #memory: { readonly tableBytes: number; readonly pixelBytes: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: ConvAnchor,
    plan: Plan,
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
            fn.get(at).get(plane).i32(offset).op('i32.add').store('i32.store', (ty * x.kernelSize + tx) * 4);
          }
        }
        fn.get(at).i32(y.kernelSize * x.kernelSize * 4).op('i32.add').set(at);
      });
    });
  }

  #locate(unit: Local): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { batch, groups, outChannels, inChannels, lhs, rhs } = this.#anchor;
    const { geometry, rows, relayout, packWeights } = this.#plan;
    const { z, y, x, points, taps } = geometry;
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
    fn.get(l.image).i32(groups * outChannels * points).op('i32.mul');
    addScaled(fn, l.group, outChannels * points);
    addScaled(fn, l.channel, points);
    addScaled(fn, l.depth, y.outSize * x.outSize);
    addScaled(fn, l.row, x.outSize);
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
          ? { kind: 'strided', row: 4, step: tile.rows * 4, splat: false }
          : { kind: 'strided', row: this.#anchor.rhs.outer * 4, step: 4, splat: false },
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
    for (const local of [l.panel, l.c]) fn.get(local).i32(width * 4).op('i32.add').set(local);
    fn.get(l.left).i32(width).op('i32.sub').tee(l.left).i32(width).op('i32.ge_s').brIf(again);
    fn.end().end();
    // What is left over differs between the last block of rows and the others.
    const lastRows = y.outSize - (ceilDiv(y.outSize, rows) - 1) * rows;
    const edges = [rows, lastRows].map((r) => columnsOf(r, pitch, x.outSize) % width).filter((edge) => edge > 0);
    for (const edge of new Set(edges)) {
      fn.get(l.left).i32(edge).op('i32.eq').if();
      panel(this.#plan.inResult ? edge : roundUp(edge, 4));
      fn.end();
    }
  }

  /** Gathers the rows of each channel, without the columns in between, and runs the epilogue over them. */
  #finishBlock(): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { inResult, geometry, pitch } = this.#plan;
    const width = geometry.x.outSize;
    const channel = fn.local('i32');
    fn.get(l.rows).i32(width).op('i32.mul').set(l.length);
    fn.loopRange(channel, 0, l.channels, 1, () => {
      if (inResult) fn.get(l.sums).set(l.target);
      else {
        fn.get(sumsFitResult(this.#anchor) ? l.result : l.sums).set(l.target);
        emitGatherRows(fn, { source: l.sums, target: l.target, rows: l.rows, width, pitch });
      }
      emitFinish(fn, this.#module, this.#anchor, { args, source: l.target, begin: l.first, count: l.length });
      fn.get(l.sums).i32(this.#sumsRowBytes).op('i32.add').set(l.sums);
      for (const [local, step] of [[l.result, geometry.points * 4], [l.first, geometry.points]] as const) {
        fn.get(local).i32(step).op('i32.add').set(local);
      }
    });
  }
}

/** Moves `rows` rows of `width` floats from `pitch` apart to next to each other. The target may be the source. */
function emitGatherRows(
  fn: FunctionBuilder,
  at: { source: Local; target: Local; rows: Local; width: number; pitch: number },
): void {
  const [from, to, row, stop] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const vector = fn.local('v128');
  const vectors = Math.floor(at.width / 4);
  const rest = at.width % 4;
  fn.get(at.source).set(from).get(at.target).set(to);
  fn.loopRange(row, 0, at.rows, 1, () => {
    if (vectors <= 16) {
      for (let i = 0; i < vectors; i++) {
        fn.get(to).get(from).load('v128.load', i * 16, 4).store('v128.store', i * 16, 4);
      }
      if (rest > 0) {
        fn.get(from).load('v128.load', vectors * 16, 4).set(vector);
        emitStoreLanes(fn, to, vector, rest, vectors * 16);
      }
      fn.get(from).i32(at.pitch * 4).op('i32.add').set(from);
      fn.get(to).i32(at.width * 4).op('i32.add').set(to);
      return;
    }
    fn.get(to).i32(vectors * 16).op('i32.add').set(stop);
    const again = fn.loop();
    fn.get(to).get(from).load('v128.load', 0, 4).store('v128.store', 0, 4);
    fn.get(from).i32(16).op('i32.add').set(from);
    fn.get(to).i32(16).op('i32.add').tee(to).get(stop).op('i32.lt_u').brIf(again);
    fn.end();
    if (rest > 0) {
      fn.get(from).load('v128.load', 0, 4).set(vector);
      emitStoreLanes(fn, to, vector, rest, 0);
    }
    fn.get(from).i32((at.pitch - vectors * 4) * 4).op('i32.add').set(from);
    fn.get(to).i32(rest * 4).op('i32.add').set(to);
  });
}
