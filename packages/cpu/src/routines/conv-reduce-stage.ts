/** The stage that sums up a convolution with few output positions, step by step, into the workspace. */
import { type ConvAnchor, ceilDiv, range, roundUp } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import type { ReducePlan } from './conv-reduce-plan.ts';
import { addConstant, addScaled, emitBlockSize, emitOffsets } from './emit.ts';
import { workspaceSlot } from './finish.ts';
import { emitPackColumns } from './pack.ts';
import { emitRelayout } from './relayout.ts';
import { emitSweep } from './tile.ts';

const names = [
  'flat',
  'chunk',
  'group',
  'image',
  'channel',
  'images',
  'channels',
  'rowCount',
  'source',
  'weights',
  'sums',
  'step',
  'stepEnd',
  'first',
  'kernelRow',
  'kernelRows',
  'tz',
  'input',
  'k',
  'pixels',
  'taps',
  'left',
  'panelWeights',
  'c',
  'panel',
  'kTable',
  'rowTable',
] as const;
type Names = (typeof names)[number];

export class ReduceStage {
  readonly #fn: FunctionBuilder;
  readonly #module: ModuleBuilder;
  readonly #anchor: ConvAnchor;
  readonly #plan: ReducePlan;
  readonly #memory: { readonly rowTable: number; readonly kTable: number; readonly panel: number };
  readonly #local: Readonly<Record<Names, Local>>;

  constructor(
    fn: FunctionBuilder,
    module: ModuleBuilder,
    anchor: ConvAnchor,
    plan: ReducePlan,
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
    if (!relayout)
      return { image: this.#anchor.lhs.outer * 4, z: z.stride * z.lhs * 4, y: y.lhs * 4, x: x.lhs * 4 };
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
    emitOffsets(
      fn,
      l.flat,
      [1 << 28, z.kernelSize, ceilDiv(y.kernelSize, kernelRows)],
      [
        { target: l.input, strides: [1, 0, 0] },
        { target: l.tz, strides: [0, 1, 0] },
        { target: l.kernelRow, strides: [0, 0, kernelRows] },
      ],
    );
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
      fn.get(l.kernelRow)
        .i32(y.kernelDilation)
        .op('i32.mul')
        .get(l.tz)
        .call(emitRelayout(this.#module, relayout));
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
    fn.get(l.panelWeights)
      .i32(width * rhs.outer * 4)
      .op('i32.add')
      .set(l.panelWeights);
    fn.get(l.c)
      .i32(width * 4)
      .op('i32.add')
      .set(l.c);
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
        fn.get(from)
          .i32(y.rhs * 4)
          .op('i32.add')
          .set(from);
        fn.get(to)
          .i32(x.kernelSize * step)
          .op('i32.add')
          .set(to);
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
function emitTable(
  fn: FunctionBuilder,
  table: Local,
  axes: readonly { size: number; stride: number }[],
): void {
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
