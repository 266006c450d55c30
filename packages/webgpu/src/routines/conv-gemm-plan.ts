/** The blocks of a convolution as a matrix product: their shape, and how many workgroups share one. */
import type { ConvAnchor } from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import { ceilDiv, type Part, pointsOf, tapsOf } from './conv-geometry.ts';

export interface GemmTile {
  /** Channels, pixels and terms of a workgroup's block. */
  readonly channels: number;
  readonly pixels: number;
  readonly depth: number;
  /** Channels and pixels of an invocation. */
  readonly rows: number;
  readonly columns: number;
}

export interface GemmPlan {
  readonly tile: GemmTile;
  readonly splits: number;
  /** Relative to other plans. */
  readonly cost: number;
}

const shape = (channels: number, pixels: number, rows: number, columns: number): GemmTile => ({
  channels,
  pixels,
  depth: 16,
  rows,
  columns,
});
const tiles: readonly GemmTile[] = [
  shape(64, 64, 4, 4),
  shape(32, 128, 4, 4),
  shape(16, 128, 4, 4),
  shape(32, 32, 2, 4),
  shape(16, 64, 4, 4),
  shape(16, 32, 4, 4),
];

/** Invocations that keep a large GPU busy. */
const enoughInvocations = 65536;
/** Blocks of k that make a part worth its second stage. */
const leastBlocks = 8;
const mostSplits = 32;

export const invocationsOf = ({ channels, pixels, rows, columns }: GemmTile): number =>
  (channels / rows) * (pixels / columns);
/** A word more in a row of weights, so that neighbouring k lie in different banks. */
export const pitchOf = ({ channels }: GemmTile): number => channels + 1;
const sharedBytes = (tile: GemmTile): number => 4 * tile.depth * (pitchOf(tile) + tile.pixels);

/** Undefined where no tile fits the device. */
export function planGemm(
  anchor: ConvAnchor,
  part: Part,
  split: boolean,
  features: ShaderFeatures,
): GemmPlan | undefined {
  const { groups, outChannels, batch, inChannels } = anchor;
  const pixels = batch * pointsOf(part);
  const depth = inChannels * tapsOf(part);
  const plans = tiles
    .filter(
      (tile) =>
        invocationsOf(tile) <= features.maxInvocations && sharedBytes(tile) <= features.maxWorkgroupBytes,
    )
    .map((tile): GemmPlan => {
      const blocks = groups * ceilDiv(outChannels, tile.channels) * ceilDiv(pixels, tile.pixels);
      const wanted = ceilDiv(enoughInvocations, blocks * invocationsOf(tile));
      const possible = Math.floor(depth / tile.depth / leastBlocks);
      const splits = split ? Math.max(1, Math.min(wanted, possible, mostSplits)) : 1;
      const busy = Math.min(1, (blocks * splits * invocationsOf(tile)) / enoughInvocations);
      // Each term costs a product for each sum, and the copies and loads that a block shares.
      const traffic = 1 + 8 / tile.channels + 8 / tile.pixels + 0.5 / tile.rows + 0.5 / tile.columns;
      const work = blocks * tile.channels * tile.pixels * depth * traffic;
      return { tile, splits, cost: work / busy };
    });
  if (plans.length === 0) return undefined;
  return plans.reduce((best, plan) => (plan.cost < best.cost ? plan : best));
}
