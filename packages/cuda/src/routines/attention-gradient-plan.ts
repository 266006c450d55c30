/** Which tiles suit the gradient of attention. */
import { type AttentionGradientAnchor, type AttentionOperandName, roundUp } from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import {
  type AttentionName,
  type AttentionShape,
  attentionShapes,
  paddedWidth,
  rankedByRoom,
} from './attention-plan.ts';
import type { MmaShape } from './mma.ts';
import type { SimtShape } from './simt.ts';
import { type TileMemory, tileMemory } from './tile-memory.ts';

/** What a stage computes: what is known of each query, or one of the gradients. */
export type GradientPass = 'sums' | AttentionOperandName;

/** A stage's products: where they run along, and what they are of. Rows stay, columns are walked over. */
export interface PassPlan {
  /** What rows are, and what is walked over. */
  readonly rows: 'query' | 'key';
  /** Whether it takes the gradient of the weights. */
  readonly slopes: boolean;
  /** What is walked over and weighed: what scores are formed of, or the values (or the gradient of the result). */
  readonly weighed: 'far' | 'farValue' | undefined;
}

export const passPlans: Readonly<Record<GradientPass, PassPlan>> = {
  sums: { rows: 'query', slopes: true, weighed: undefined },
  query: { rows: 'query', slopes: true, weighed: 'far' },
  key: { rows: 'key', slopes: true, weighed: 'far' },
  value: { rows: 'key', slopes: false, weighed: 'farValue' },
};

/** Tiles in shared memory: rows, what they are multiplied by, and the weights. */
export interface GradientMemory {
  readonly near: TileMemory;
  readonly nearValue: TileMemory | undefined;
  readonly far: TileMemory;
  readonly farValue: TileMemory;
  readonly weights: TileMemory | undefined;
  readonly bytes: number;
}

export interface GradientTiles {
  readonly scores: SimtShape;
  readonly slopes: SimtShape;
  readonly output: SimtShape;
  readonly memory: GradientMemory;
}

export function gradientTiles(
  { width, valueWidth }: AttentionGradientAnchor,
  pass: GradientPass,
  { queries: rows, keys: step }: AttentionShape,
): GradientTiles {
  const { slopes, weighed } = passPlans[pass];
  const across = step / 4;
  const threadColumns = roundUp(Math.ceil((weighed === 'farValue' ? valueWidth : width) / across), 4);
  const columns = across * threadColumns;
  const [depth, valueDepth] = [roundUp(width, 16), roundUp(valueWidth, 16)];
  const common = { rows, threadRows: 4, lanesAcross: across, stages: 1, resident: 1 };
  // A tile that is weighed has elements for all columns.
  const walked = (own: number, isWeighed: boolean): TileMemory =>
    tileMemory('f32', 'k', step, isWeighed ? Math.max(own, roundUp(columns, 16)) : own);
  const memory = {
    near: tileMemory('f32', 'k', rows, depth),
    nearValue: slopes ? tileMemory('f32', 'k', rows, valueDepth) : undefined,
    far: walked(depth, weighed === 'far'),
    farValue: walked(valueDepth, weighed === 'farValue'),
    weights: weighed ? tileMemory('f32', 'k', rows, step) : undefined,
  };
  return {
    scores: { ...common, columns: step, depth, threadColumns: 4 },
    slopes: { ...common, columns: step, depth: valueDepth, threadColumns: 4 },
    output: { ...common, columns, depth: step, threadColumns },
    memory: { ...memory, bytes: bytesOf(Object.values(memory)) },
  };
}

const bytesOf = (tiles: readonly (TileMemory | undefined)[]): number =>
  tiles.reduce((bytes, tile) => bytes + (tile?.bytes ?? 0), 0);

/** The shapes that a device can run, what should be fastest first. */
export const gradientNames = (
  anchor: AttentionGradientAnchor,
  features: CudaFeatures,
): readonly AttentionName[] => {
  const passes = ['sums', ...anchor.of] as const;
  return rankedByRoom(anchor, features, (name) =>
    Math.max(...passes.map((pass) => gradientTiles(anchor, pass, attentionShapes[name]).memory.bytes)),
  );
};

/** Rows and columns of a tile on tensor cores; a warp has 16 rows. */
export type GradientMmaName = '64x64' | '64x32';

export const gradientMmaShapes: Readonly<Record<GradientMmaName, AttentionShape>> = {
  '64x64': { queries: 64, keys: 64 },
  '64x32': { queries: 64, keys: 32 },
};

/** The products of a tile on tensor cores. Weights stay in registers. */
export interface GradientMmaTiles {
  readonly scores: MmaShape;
  readonly output: MmaShape;
  readonly memory: GradientMemory;
}

/** @param parts Numbers of 16 bits that make one of the gradient of the result. */
export function gradientMmaTiles(
  { width, valueWidth }: AttentionGradientAnchor,
  pass: GradientPass,
  format: 'f16' | 'bf16',
  parts: number,
  { queries: rows, keys: step }: AttentionShape,
): GradientMmaTiles {
  const { slopes, weighed } = passPlans[pass];
  const [depth, valueDepth] = [paddedWidth(width), paddedWidth(valueWidth)];
  const columns = weighed === 'farValue' ? valueDepth : depth;
  const common = { rows, warpsDown: rows / 16, warpsAcross: 1, stages: 1, resident: 1 };
  const tile = (lines: number, length: number): TileMemory => tileMemory(format, 'k', lines, length);
  const memory = {
    near: tile(rows, depth),
    nearValue: slopes ? tile(rows, valueDepth) : undefined,
    far: tile(step, depth),
    farValue: tile(step, valueDepth),
  };
  const counts = partsAt(passPlans[pass], parts);
  const tiles =
    memory.near.bytes +
    (memory.nearValue?.bytes ?? 0) * counts.near +
    memory.far.bytes +
    memory.farValue.bytes * counts.far;
  const strips = weighed ? rows * (columns + 4) * 4 : 0;
  return {
    scores: { ...common, columns: step, depthBytes: 128 },
    output: { ...common, columns, depthBytes: 128 },
    memory: { ...memory, weights: undefined, bytes: Math.max(tiles, strips) },
  };
}

/** How many tiles the values (or the gradient of the result) of rows and of columns take. */
export const partsAt = (
  { rows }: PassPlan,
  parts: number,
): { readonly near: number; readonly far: number } =>
  rows === 'query' ? { near: parts, far: 1 } : { near: 1, far: parts };

/** The shapes that a device can run, what should be fastest first. Sums of wide rows leave registers for fewer columns. */
export function gradientMmaNames(
  anchor: AttentionGradientAnchor,
  format: 'f16' | 'bf16',
  parts: number,
  { maxSharedBytes }: CudaFeatures,
): readonly GradientMmaName[] {
  const fits = (name: GradientMmaName): boolean =>
    (['sums', ...anchor.of] as const).every((pass) => {
      const { memory } = gradientMmaTiles(anchor, pass, format, parts, gradientMmaShapes[name]);
      return memory.bytes <= maxSharedBytes;
    });
  const fitting = (Object.keys(gradientMmaShapes) as GradientMmaName[]).filter(fits);
  return Math.max(anchor.width, anchor.valueWidth) > 128 ? fitting.reverse() : fitting;
}
