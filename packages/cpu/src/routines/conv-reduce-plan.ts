/** Blocking of a convolution with few output positions: the tile, steps and chunks of the sum, blocks of rows and channels. */
import { type ConvAnchor, ceilDiv, roundUp } from '@tutti/core/backend';
import { type Axis, type Geometry, geometryOf, layoutAxis } from './geometry.ts';
import { planRelayout, type Relayout } from './relayout.ts';
import { chooseTile, sweepCycles, type Tile } from './tile.ts';
import { cyclesPerNanosecond, unitsFor } from './units.ts';

/** Length of k in a step that amortises loading and storing the sums. */
const stepLength = 320;
/** Bytes of pixels and of sums in a block, each. */
const blockBytes = 256 * 1024;
const workspaceLimit = 64 * 1024 * 1024;

export interface ReducePlan {
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

/** Along x and y the kernel's positions are the runners here; along z they take the place of the output's. */
const turned = (axis: Axis): Axis => ({ ...axis, stride: axis.kernelDilation, kernelDilation: axis.stride });

export function planReduce(anchor: ConvAnchor): ReducePlan {
  const geometry = geometryOf(anchor);
  const { z, y, x, points } = geometry;
  const { batch, groups, inChannels, outChannels } = anchor;
  const tile = chooseTile(batch * points, outChannels);
  const inside = [z, y, x].every(
    (a) => a.padLow === 0 && a.inputDilation === 1 && reach(a, a.kernelSize) <= a.inSize,
  );
  const rowPixels = reach(x, x.kernelSize) * 4;
  let kernelRows = Math.min(y.kernelSize, Math.max(1, Math.round(stepLength / x.kernelSize)));
  if (!inside)
    while (kernelRows > 1 && reach(y, kernelRows) * rowPixels * z.outSize > blockBytes / 4) kernelRows--;
  kernelRows = ceilDiv(y.kernelSize, ceilDiv(y.kernelSize, kernelRows));
  const steps = inChannels * z.kernelSize * ceilDiv(y.kernelSize, kernelRows);

  const entryPixels = inside ? 4 : reach(y, kernelRows) * rowPixels * z.outSize;
  const width = tile.vectors * 4;
  const oBlock = Math.min(roundUp(outChannels, width), roundUp(128, width));
  const mostBatch = Math.max(
    1,
    Math.min(Math.floor(blockBytes / entryPixels), Math.floor(blockBytes / (points * oBlock * 4))),
  );
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
  const wanted = unitsFor(time);
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
    geometry,
    tile,
    relayout,
    kernelRows,
    steps,
    chunk,
    chunks: ceilDiv(steps, chunk),
    batch: bBlock,
    outChannels: oBlock,
    time,
  };
}

/** Padded input positions that `taps` neighbouring kernel positions and all output positions reach. */
const reach = (axis: Axis, taps: number): number =>
  (axis.outSize - 1) * axis.stride + (taps - 1) * axis.kernelDilation + 1;
