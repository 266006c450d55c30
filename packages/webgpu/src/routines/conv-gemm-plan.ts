/** The blocks of a convolution as a matrix product: their shape, and how many workgroups share one. */
import { type ConvAnchor, type ConvPart, ceilDiv, pointsOf, tapsOf } from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';

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
  readonly shape: GemmShape;
  readonly tile: GemmTile;
  readonly splits: number;
  /** Relative to other plans. */
  readonly cost: number;
}

const shape = (
  [channels, pixels]: readonly [number, number],
  [rows, columns]: readonly [number, number],
  depth = 16,
): GemmTile => ({ channels, pixels, depth, rows, columns });

export type GemmShape = '128x128' | '128x64' | '64x64' | '32x128' | '16x128' | '32x32' | '16x64' | '16x32';

/** Blocks by their channels and pixels. */
export const gemmShapes: Readonly<Record<GemmShape, GemmTile>> = {
  '128x128': shape([128, 128], [8, 8], 8),
  '128x64': shape([128, 64], [8, 4]),
  '64x64': shape([64, 64], [4, 4]),
  '32x128': shape([32, 128], [4, 4]),
  '16x128': shape([16, 128], [4, 4]),
  '32x32': shape([32, 32], [2, 4]),
  '16x64': shape([16, 64], [4, 4]),
  '16x32': shape([16, 32], [4, 4]),
};

/** Shapes that suit most devices; larger ones are for those that turn out to like them. */
const usualShapes: readonly GemmShape[] = ['64x64', '32x128', '16x128', '32x32', '16x64', '16x32'];

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

/**
 * Undefined where no block fits the device.
 *
 * @param only The shape to take, instead of a choice.
 */
export function planGemm(
  anchor: ConvAnchor,
  part: ConvPart,
  split: boolean,
  features: ShaderFeatures,
  only?: GemmShape,
): GemmPlan | undefined {
  const { groups, outChannels, batch, inChannels } = anchor;
  const pixels = batch * pointsOf(part);
  const depth = inChannels * tapsOf(part);
  const plans = (only ? [only] : usualShapes)
    .map((name) => ({ name, tile: gemmShapes[name] }))
    .filter(
      ({ tile }) =>
        invocationsOf(tile) <= features.maxInvocations && sharedBytes(tile) <= features.maxWorkgroupBytes,
    )
    .map(({ name, tile }): GemmPlan => {
      const blocks = groups * ceilDiv(outChannels, tile.channels) * ceilDiv(pixels, tile.pixels);
      const wanted = ceilDiv(enoughInvocations, blocks * invocationsOf(tile));
      const possible = Math.floor(depth / tile.depth / leastBlocks);
      const splits = split ? Math.max(1, Math.min(wanted, possible, mostSplits)) : 1;
      const busy = Math.min(1, (blocks * splits * invocationsOf(tile)) / enoughInvocations);
      // Each term costs a product for each sum, and the copies and loads that a block shares.
      const traffic = 1 + 8 / tile.channels + 8 / tile.pixels + 0.5 / tile.rows + 0.5 / tile.columns;
      const work = blocks * tile.channels * tile.pixels * depth * traffic;
      return { shape: name, tile, splits, cost: work / busy };
    });
  if (plans.length === 0) return undefined;
  return plans.reduce((best, plan) => (plan.cost < best.cost ? plan : best));
}
