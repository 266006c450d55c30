/**
 * Convolutions with few output positions and a long sum: the gradients of weights, above all. There the batch has become
 * the channels and the output the kernel, so that thousands of kernel positions meet a handful of output positions.
 *
 *     sums (rows, outChannels) = pixels (rows, k) x weights (k, outChannels)
 *     rows = (batch, output position)       k = (channel, kernel position)
 *
 * A step is one channel and a few rows of kernel positions. Its pixels stay where they are, or are copied with padding;
 * the micro-kernel finds them through two tables of offsets, one for rows and one for k. Its weights are packed into
 * panels of output channels as they are used. Sums lie transposed, (rows, outChannels), in the workspace.
 *
 * The steps are cut into a fixed number of chunks, each with its own sums, so that there are enough units; a second stage
 * adds the chunks in order, turns the sums into (batch, outChannels, position), and runs the epilogue.
 */
import type { ConvAnchor } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, ceilDiv, emitBlockSize, emitOffsets, roundUp } from './emit.ts';
import { assemble, emitFinish, finishCost, sumsFitResult, workspaceSlot } from './finish.ts';
import { type Axis, type Geometry, geometryOf, layoutAxis, range } from './geometry.ts';
import { emitPackColumns, packSlack } from './pack.ts';
import { emitRelayout, planRelayout, type Relayout } from './relayout.ts';
import { chooseTile, emitSweep, sweepCycles, type Tile } from './tile.ts';

/** Length of k in a step that amortises loading and storing the sums. */
const stepLength = 320;
/** Bytes of pixels and of sums in a block, each. */
const blockBytes = 256 * 1024;
const workspaceLimit = 64 * 1024 * 1024;
const unitTime = 20_000;
const cyclesPerNanosecond = 3.5;
/** Output channels that one unit of the second stage finishes. */
const finishChannels = 32;

interface Plan {
  readonly geometry: Geometry;
  readonly tile: Tile;
  readonly relayout: Relayout | undefined;
  /** Kernel rows in a step. */
  readonly kernelRows: number;
  readonly steps: number;
  /** Steps in a chunk. */
  readonly chunk: number;
  readonly chunks: number;
  /** Batch entries and output channels of a unit. */
  readonly batch: number;
  readonly outChannels: number;
  readonly time: number;
}

/** Cycles of this routine, to compare it with others. */
export function reduceCycles(anchor: ConvAnchor): number {
  const plan = planReduce(anchor);
  const elements = anchor.batch * anchor.groups * anchor.outChannels * plan.geometry.points;
  return (plan.time + elements * finishTime(plan)) * cyclesPerNanosecond;
}

/** Nanoseconds to add up and turn one element. */
const finishTime = (plan: Plan): number => plan.chunks * 0.6 + 1;

/** Along x and y the kernel's positions are the runners here; along z they take the place of the output's. */
const turned = (axis: Axis): Axis => ({ ...axis, stride: axis.kernelDilation, kernelDilation: axis.stride });

function planReduce(anchor: ConvAnchor): Plan {
  const geometry = geometryOf(anchor);
  const { z, y, x, points } = geometry;
  const { batch, groups, inChannels, outChannels } = anchor;
  const tile = chooseTile(batch * points, outChannels);
  const inside = [z, y, x].every(
    (a) => a.padLow === 0 && a.inputDilation === 1 && reach(a, a.kernelSize) <= a.inSize,
  );
  const rowPixels = reach(x, x.kernelSize) * 4;
  let kernelRows = Math.min(y.kernelSize, Math.max(1, Math.round(stepLength / x.kernelSize)));
  if (!inside) while (kernelRows > 1 && reach(y, kernelRows) * rowPixels * z.outSize > blockBytes / 4) kernelRows--;
  kernelRows = ceilDiv(y.kernelSize, ceilDiv(y.kernelSize, kernelRows));
  const steps = inChannels * z.kernelSize * ceilDiv(y.kernelSize, kernelRows);

  const entryPixels = inside ? 4 : reach(y, kernelRows) * rowPixels * z.outSize;
  const width = tile.vectors * 4;
  const oBlock = Math.min(roundUp(outChannels, width), roundUp(128, width));
  const mostBatch = Math.max(1, Math.min(Math.floor(blockBytes / entryPixels), Math.floor(blockBytes / (points * oBlock * 4))));
  let bBlock = ceilDiv(batch, ceilDiv(batch, mostBatch));
  // Blocks but the last must fill their tiles.
  if (bBlock < batch) bBlock = Math.min(batch, roundUp(bBlock, tile.rows));
  // A step loads and stores all sums once, which a short k does not hide.
  const tiles = groups * ceilDiv(batch * points, tile.rows) * ceilDiv(outChannels, width);
  const sweeps = sweepCycles(tile, batch * points, outChannels) + outChannels;
  const time =
    (steps * (groups * kernelRows * x.kernelSize * sweeps + tiles * (12 + tile.rows * tile.vectors))) /
    cyclesPerNanosecond;
  const blocks = groups * ceilDiv(batch, bBlock) * ceilDiv(outChannels, oBlock);
  const wanted = Math.min(32, ceilDiv(time, unitTime));
  const sumsBytes = groups * batch * points * roundUp(outChannels, 4) * 4;
  const affordable = Math.max(1, Math.floor(workspaceLimit / sumsBytes));
  const chunk = ceilDiv(steps, Math.max(1, Math.min(16, steps, affordable, ceilDiv(wanted, blocks))));
  const relayout = inside
    ? undefined
    : planRelayout(
        { z: turned(z), y, x },
        layoutAxis(1, reach(y, kernelRows), [0]),
        layoutAxis(1, reach(x, x.kernelSize), [0]),
        reach(y, kernelRows),
        anchor.lhs.outer,
        z.outSize,
      );
  return {
    geometry, tile, relayout, kernelRows, steps, chunk, chunks: ceilDiv(steps, chunk), batch: bBlock, outChannels: oBlock, time,
  };
}

/** Padded input positions that `taps` neighbouring kernel positions and all output positions reach. */
const reach = (axis: Axis, taps: number): number =>
  (axis.outSize - 1) * axis.stride + (taps - 1) * axis.kernelDilation + 1;

export function reduceProgram(anchor: ConvAnchor): WasmProgram {
  const plan = planReduce(anchor);
  const { geometry, tile, relayout, chunks } = plan;
  const { batch, groups, outChannels } = anchor;
  const { points, x } = geometry;
  const blocks = ceilDiv(batch, plan.batch) * ceilDiv(outChannels, plan.outChannels);
  const units = chunks * groups * blocks;
  const width = tile.vectors * 4;
  const rowTable = roundUp(plan.batch * points * 4, 64);
  const kTable = roundUp(plan.kernelRows * x.kernelSize * 4, 64);
  const panel = roundUp((plan.kernelRows * x.kernelSize + 8) * width * 4 + packSlack, 64);
  const pixels = relayout ? plan.batch * geometry.z.outSize * relayout.planeBytes + packSlack : 0;
  const multiply: Stage = {
    units,
    grain: 1,
    cost: plan.time / units,
    emit: (fn, module) => new ReduceStage(fn, module, anchor, plan, { rowTable, kTable, panel }).emit(),
  };
  const channels = Math.min(outChannels, finishChannels);
  const finish: Stage = {
    units: batch * groups * ceilDiv(outChannels, channels),
    grain: 1,
    cost: channels * points * (finishTime(plan) + finishCost(anchor)),
    emit: (fn, module) => emitFinishStage(fn, module, anchor, plan, channels),
  };
  const variant =
    `few positions; tile ${tile.rows}x${width}, ${plan.kernelRows} kernel rows, ${chunks} chunks, ` +
    `blocks ${plan.batch}x${plan.outChannels}${relayout ? ', pixels copied' : ''}`;
  return assemble(
    anchor,
    [multiply, finish],
    {
      scratch: Math.max(rowTable + kTable + panel + pixels, channels * points * 4 + 64),
      workspace: chunks * groups * batch * points * roundUp(outChannels, 4) * 4 + 64,
    },
    variant,
  );
}

const names = [
  'flat', 'chunk', 'group', 'image', 'channel', 'images', 'channels', 'rowCount', 'source', 'weights', 'sums', 'step',
  'stepEnd', 'first', 'kernelRow', 'kernelRows', 'tz', 'input', 'k', 'pixels', 'taps', 'left', 'panelWeights', 'c', 'panel',
  'kTable', 'rowTable',
] as const;
type Names = (typeof names)[number];

class ReduceStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: ConvAnchor;
  readonly #plan: Plan;
  readonly #memory: { readonly rowTable: number; readonly kTable: number; readonly panel: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: ConvAnchor,
    plan: Plan,
    memory: { readonly rowTable: number; readonly kTable: number; readonly panel: number },
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
    const { rowTable, kTable } = this.#memory;
    fn.get(scratch).set(l.rowTable);
    fn.get(scratch).i32(rowTable).op('i32.add').set(l.kTable);
    fn.get(l.kTable).i32(kTable).op('i32.add').set(l.panel);
    this.#fillTables();
    fn.loopRange(begin, begin, end, 1, () => {
      this.#locate(begin);
      fn.get(l.first).set(l.step);
      fn.loopRange(l.step, l.first, l.stepEnd, 1, () => this.#multiplyStep());
    });
  }

  /** Bytes between neighbours, of pixels as the micro-kernel sees them. */
  #pixelStrides(): { image: number; z: number; y: number; x: number } {
    const { relayout, geometry } = this.#plan;
    const { z, y, x } = geometry;
    if (!relayout) return { image: this.#anchor.lhs.outer * 4, z: z.stride * z.lhs * 4, y: y.lhs * 4, x: x.lhs * 4 };
    return { image: relayout.planeBytes * z.outSize, z: relayout.planeBytes, y: relayout.pitch * 4, x: 4 };
  }

  #fillTables(): void {
    const { geometry, batch, kernelRows } = this.#plan;
    const { z, y, x } = geometry;
    const strides = this.#pixelStrides();
    emitTable(this.#fn, this.#local.rowTable, [
      { size: batch, stride: strides.image },
      { size: z.outSize, stride: strides.z },
      { size: y.outSize, stride: y.stride * strides.y },
      { size: x.outSize, stride: x.stride * strides.x },
    ]);
    emitTable(this.#fn, this.#local.kTable, [
      { size: kernelRows, stride: y.kernelDilation * strides.y },
      { size: x.kernelSize, stride: x.kernelDilation * strides.x },
    ]);
  }

  #locate(unit: Local): void {
    const fn = this.#fn;
    const l = this.#local;
    const args = fn.params[2]!;
    const { groups, batch, outChannels, inChannels, lhs, rhs } = this.#anchor;
    const plan = this.#plan;
    const { points } = plan.geometry;
    const only = (index: number, scale: number): number[] => range(4).map((i) => (i === index ? scale : 0));
    fn.get(unit).set(l.flat);
    for (const local of [l.chunk, l.group, l.image, l.channel]) fn.i32(0).set(local);
    emitOffsets(
      fn,
      l.flat,
      [plan.chunks, groups, ceilDiv(batch, plan.batch), ceilDiv(outChannels, plan.outChannels)],
      [
        { target: l.chunk, strides: only(0, 1) },
        { target: l.group, strides: only(1, 1) },
        { target: l.image, strides: only(2, plan.batch) },
        { target: l.channel, strides: only(3, plan.outChannels) },
      ],
    );
    emitBlockSize(fn, l.images, l.image, plan.batch, batch);
    emitBlockSize(fn, l.channels, l.channel, plan.outChannels, outChannels);
    fn.get(l.images).i32(points).op('i32.mul').set(l.rowCount);
    fn.get(l.chunk).i32(plan.chunk).op('i32.mul').set(l.first);
    emitBlockSize(fn, l.stepEnd, l.first, plan.chunk, plan.steps);
    fn.get(l.stepEnd).get(l.first).op('i32.add').set(l.stepEnd);

    fn.get(args).load('i32.load', 0);
    addConstant(fn, lhs.offset * 4);
    addScaled(fn, l.group, inChannels * lhs.inner * 4);
    addScaled(fn, l.image, lhs.outer * 4);
    fn.set(l.source);
    fn.get(args).load('i32.load', 4);
    addConstant(fn, rhs.offset * 4);
    addScaled(fn, l.group, outChannels * rhs.outer * 4);
    addScaled(fn, l.channel, rhs.outer * 4);
    fn.set(l.weights);
    fn.get(args).load('i32.load', workspaceSlot(this.#anchor));
    addScaled(fn, l.chunk, groups * batch * points * this.#sumsRow * 4);
    addScaled(fn, l.group, batch * points * this.#sumsRow * 4);
    addScaled(fn, l.image, points * this.#sumsRow * 4);
    addScaled(fn, l.channel, 4);
    fn.set(l.sums);
  }

  get #sumsRow(): number {
    return roundUp(this.#anchor.outChannels, 4);
  }

  #multiplyStep(): void {
    const fn = this.#fn;
    const l = this.#local;
    const { lhs, rhs, outChannels } = this.#anchor;
    const { geometry, kernelRows, relayout, tile } = this.#plan;
    const { z, y, x } = geometry;
    // step = (channel, kernel position in z, block of kernel rows)
    fn.get(l.step).set(l.flat);
    for (const local of [l.input, l.tz, l.kernelRow]) fn.i32(0).set(local);
    emitOffsets(fn, l.flat, [1 << 28, z.kernelSize, ceilDiv(y.kernelSize, kernelRows)], [
      { target: l.input, strides: [1, 0, 0] },
      { target: l.tz, strides: [0, 1, 0] },
      { target: l.kernelRow, strides: [0, 0, kernelRows] },
    ]);
    emitBlockSize(fn, l.kernelRows, l.kernelRow, kernelRows, y.kernelSize);
    fn.get(l.kernelRows).i32(x.kernelSize).op('i32.mul').set(l.k);

    fn.get(l.source);
    addScaled(fn, l.input, lhs.inner * 4);
    if (!relayout) {
      addScaled(fn, l.tz, z.kernelDilation * z.lhs * 4);
      addScaled(fn, l.kernelRow, y.kernelDilation * y.lhs * 4);
    }
    fn.set(l.pixels);
    if (relayout) {
      const copied = this.#memory.panel;
      fn.get(l.pixels).get(l.panel).i32(copied).op('i32.add').get(l.images);
      fn.get(l.kernelRow).i32(y.kernelDilation).op('i32.mul').get(l.tz).call(emitRelayout(this.#module, relayout));
      fn.get(l.panel).i32(copied).op('i32.add').set(l.pixels);
    }
    fn.get(l.weights);
    addScaled(fn, l.input, rhs.inner * 4);
    addScaled(fn, l.tz, z.rhs * 4);
    addScaled(fn, l.kernelRow, y.rhs * 4);
    fn.set(l.panelWeights);

    const width = tile.vectors * 4;
    fn.get(l.channels).set(l.left).get(l.sums).set(l.c);
    fn.get(l.left).i32(width).op('i32.ge_s').if();
    const again = fn.loop();
    this.#multiplyPanel(width);
    fn.get(l.panelWeights).i32(width * rhs.outer * 4).op('i32.add').set(l.panelWeights);
    fn.get(l.c).i32(width * 4).op('i32.add').set(l.c);
    fn.get(l.left).i32(width).op('i32.sub').tee(l.left).i32(width).op('i32.ge_s').brIf(again);
    fn.end().end();
    if (outChannels % width > 0) {
      fn.get(l.left).if();
      this.#multiplyPanel(outChannels % width);
      fn.end();
    }
  }

  #multiplyPanel(columns: number): void {
    const fn = this.#fn;
    const l = this.#local;
    const { rhs, batch } = this.#anchor;
    const { geometry, tile } = this.#plan;
    const { y, x, points } = geometry;
    const step = Math.ceil(columns / 4) * 16;
    const pack = emitPackColumns(this.#module, { row: x.rhs * 4, column: rhs.outer * 4, columns });
    if (y.rhs === x.rhs * x.kernelSize || y.kernelSize === 1) {
      fn.get(l.panelWeights).get(l.panel).get(l.k).call(pack);
    } else {
      const [row, from, to] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
      fn.get(l.panelWeights).set(from).get(l.panel).set(to);
      fn.loopRange(row, 0, l.kernelRows, 1, () => {
        fn.get(from).get(to).i32(x.kernelSize).call(pack);
        fn.get(from).i32(y.rhs * 4).op('i32.add').set(from);
        fn.get(to).i32(x.kernelSize * step).op('i32.add').set(to);
      });
    }
    const sweep = emitSweep(this.#module, {
      tile,
      edgeRows: (batch * points) % tile.rows,
      // Surplus lanes fall on sums of the next block, which its unit would race for: only whole rows may be rounded up.
      columns,
      a: { kind: 'gathered' },
      b: { kind: 'strided', step },
      cRow: this.#sumsRow * 4,
    });
    fn.get(l.pixels).get(l.rowTable).get(l.panel).get(l.c).get(l.k).get(l.rowCount);
    fn.get(l.step).get(l.first).op('i32.ne').get(l.kTable).call(sweep);
  }
}

/** Writes the byte offsets of all positions of `axes`, outermost first. */
function emitTable(fn: FunctionBuilder, table: Local, axes: readonly { size: number; stride: number }[]): void {
  const at = fn.local('i32');
  fn.get(table).set(at);
  const level = (depth: number, base: Local): void => {
    const axis = axes[depth];
    if (!axis) {
      fn.get(at).get(base).store('i32.store');
      fn.get(at).i32(4).op('i32.add').set(at);
      return;
    }
    const [offset, i] = [fn.local('i32'), fn.local('i32')];
    fn.get(base).set(offset);
    fn.loopRange(i, 0, axis.size, 1, () => {
      level(depth + 1, offset);
      fn.get(offset).i32(axis.stride).op('i32.add').set(offset);
    });
  };
  const zero = fn.local('i32');
  fn.i32(0).set(zero);
  level(0, zero);
}

/** result[b, g, o, point] = epilogue(sum over chunks of sums[chunk, g, b, point, o]); a unit is a run of channels. */
function emitFinishStage(
  fn: FunctionBuilder,
  module: ModuleBuilder,
  anchor: ConvAnchor,
  plan: Plan,
  channels: number,
): void {
  const { batch, groups, outChannels } = anchor;
  const { points } = plan.geometry;
  const [begin, end, args, scratch] = fn.params as readonly [Local, Local, Local, Local];
  const [flat, image, group, channel, count] = range(5).map(() => fn.local('i32')) as [Local, Local, Local, Local, Local];
  const [source, at, from, to, target] = range(5).map(() => fn.local('i32')) as [Local, Local, Local, Local, Local];
  const [first, length, o, point, chunk] = range(5).map(() => fn.local('i32')) as [Local, Local, Local, Local, Local];
  const sum = fn.local('f32');
  const row = roundUp(outChannels, 4);
  fn.loopRange(begin, begin, end, 1, () => {
    fn.get(begin).set(flat);
    for (const local of [image, group, channel]) fn.i32(0).set(local);
    emitOffsets(fn, flat, [batch, groups, ceilDiv(outChannels, channels)], [
      { target: image, strides: [1, 0, 0] },
      { target: group, strides: [0, 1, 0] },
      { target: channel, strides: [0, 0, channels] },
    ]);
    emitBlockSize(fn, count, channel, channels, outChannels);
    fn.get(count).i32(points).op('i32.mul').set(length);
    fn.get(image).i32(groups * outChannels * points).op('i32.mul');
    addScaled(fn, group, outChannels * points);
    addScaled(fn, channel, points);
    fn.set(first);
    if (sumsFitResult(anchor)) fn.get(args).load('i32.load', 8).get(first).i32(4).op('i32.mul').op('i32.add').set(target);
    else fn.get(scratch).set(target);
    fn.get(args).load('i32.load', workspaceSlot(anchor));
    addScaled(fn, group, batch * points * row * 4);
    addScaled(fn, image, points * row * 4);
    addScaled(fn, channel, 4);
    fn.set(source).get(target).set(to);
    fn.loopRange(o, 0, count, 1, () => {
      fn.get(source).set(at);
      fn.loopRange(point, 0, points, 1, () => {
        fn.get(at).tee(from).load('f32.load').set(sum);
        fn.loopRange(chunk, 1, plan.chunks, 1, () => {
          fn.get(from).i32(groups * batch * points * row * 4).op('i32.add').tee(from).load('f32.load');
          fn.get(sum).op('f32.add').set(sum);
        });
        fn.get(to).get(sum).store('f32.store');
        fn.get(to).i32(4).op('i32.add').set(to);
        fn.get(at).i32(row * 4).op('i32.add').set(at);
      });
      fn.get(source).i32(4).op('i32.add').set(source);
    });
    emitFinish(fn, module, anchor, { args, source: target, begin: first, count: length });
  });
}
