/** Blocking of a forward convolution: the tile, the rows and channels of a unit, where pixels and sums lie. */
import { type ConvAnchor, ceilDiv, range, roundUp } from '@tutti/core/backend';
import { sumsFitResult } from './finish.ts';
import { type Geometry, geometryOf, layoutAxis } from './geometry.ts';
import { planRelayout, type Relayout } from './relayout.ts';
import { chooseTile, sweepCycles, type Tile } from './tile.ts';
import { cyclesPerNanosecond, unitsFor } from './units.ts';

/** Bytes of pixels under one panel, for all channels of a block, that leave the first-level cache room for weights. */
const panelBytes = 28 * 1024;
/** Bytes of weights, of sums and of pixels in a block, each: together they stay in the second-level cache. */
const blockBytes = 320 * 1024;

/** Where results lie, in elements: every output position, or a lattice of them that a larger convolution consists of. */
export interface ResultView {
  /** The convolution whose result it is. */
  readonly of: ConvAnchor;
  /** All positions of the result: rows are neighbours, and the epilogue can follow. */
  readonly whole: boolean;
  readonly first: number;
  readonly channel: number;
  readonly z: number;
  readonly y: number;
  readonly x: number;
}

export interface ForwardPlan {
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
  readonly view: ResultView;
  /** Sums are computed where the result is. */
  readonly inResult: boolean;
  readonly time: number;
}

/** Columns that cover `rows` rows of the output. */
export const columnsOf = (rows: number, pitch: number, width: number): number => (rows - 1) * pitch + width;

export function planForward(anchor: ConvAnchor, lattice?: ResultView): ForwardPlan {
  const geometry = geometryOf(anchor);
  const { z, y, x, taps } = geometry;
  const { inChannels, outChannels, batch, groups } = anchor;
  const xLayout = layoutAxis(
    x.stride,
    x.outSize,
    range(x.kernelSize).map((t) => t * x.kernelDilation),
  );
  const yLayout = layoutAxis(
    y.stride,
    y.outSize,
    range(y.kernelSize).map((t) => t * y.kernelDilation),
  );
  const { points } = geometry;
  const view = lattice ?? {
    of: anchor,
    whole: true,
    first: 0,
    channel: points,
    z: y.outSize * x.outSize,
    y: x.outSize,
    x: 1,
  };
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
  const wanted = unitsFor(totalTime);
  for (let blocks = 1; blocks <= y.outSize; blocks++) {
    const rows = ceilDiv(y.outSize, blocks);
    if (ceilDiv(y.outSize, rows) !== blocks) continue;
    const columns = columnsOf(rows, pitch, x.outSize);
    const halo = rows + yLayout.length - y.outSize;
    const pixels = direct
      ? 0
      : channels * z.kernelSize * yLayout.phases.length * xLayout.phases.length * halo * pitch * 4;
    const sums = columns * Math.min(outChannels, 64) * 4;
    if (blocks < y.outSize && (pixels > blockBytes || sums > blockBytes)) continue;
    const tile = chooseTile(outChannels, columns);
    const last = columnsOf(y.outSize - (blocks - 1) * rows, pitch, x.outSize);
    const sweep =
      (blocks - 1) * sweepCycles(tile, outChannels, columns) + sweepCycles(tile, outChannels, last);
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
    relayout: direct
      ? undefined
      : planRelayout(geometry, yLayout, xLayout, rowsPerRelayout, anchor.lhs.inner, z.kernelSize),
    pitch,
    channels,
    rows,
    outChannels: Math.min(roundUp(ceilDiv(outChannels, blocks), tile.rows), roundUp(outChannels, tile.rows)),
    packWeights: !inPlace,
    view,
    inResult: view.whole && pitch === x.outSize && sumsFitResult(anchor),
    time:
      (images *
        (k * sweepCycles(tile, outChannels, columns) * ceilDiv(y.outSize, rows) +
          (direct
            ? 0
            : ceilDiv(y.outSize, rows) *
              rowsPerRelayout *
              inChannels *
              z.kernelSize *
              (x.inSize * 0.4 + 20)) +
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

/** Elements between rows of sums in scratch. */
export const sumsRow = (plan: ForwardPlan): number =>
  roundUp(columnsOf(plan.rows, plan.pitch, plan.geometry.x.outSize), 4) + 4;
