/** Which tiles suit attention. */
import { type AttentionAnchor, type AttentionOperands, product, roundUp } from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import type { MmaShape } from './mma.ts';
import type { SimtShape } from './simt.ts';
import { type TileMemory, tileMemory } from './tile-memory.ts';

/** Queries and keys of a tile; threads have 4 x 4 of its scores. */
export interface AttentionShape {
  readonly queries: number;
  readonly keys: number;
}

export type AttentionName = '64x64' | '64x32' | '32x32';
export type AttentionMmaName = '128x64' | '64x64';

/** The largest first: keys and values are read once for all queries of a tile. */
export const attentionShapes: Readonly<Record<AttentionName, AttentionShape>> = {
  '64x64': { queries: 64, keys: 64 },
  '64x32': { queries: 64, keys: 32 },
  '32x32': { queries: 32, keys: 32 },
};

/** Wider queries and values do not fit into registers and shared memory. */
const mostWidth = 256;
/** Blocks that a multiprocessor should have room for, so that one computes while another waits. */
const together = 2;

/** The products of a tile, scores and results, and where their operands lie in shared memory. */
export interface AttentionTiles {
  readonly scores: SimtShape;
  readonly output: SimtShape;
  readonly query: TileMemory;
  readonly key: TileMemory;
  readonly weights: TileMemory;
  readonly value: TileMemory;
  readonly bytes: number;
}

export function attentionTiles(
  { width, valueWidth }: AttentionAnchor,
  { queries, keys }: AttentionShape,
): AttentionTiles {
  const across = keys / 4;
  const depth = roundUp(width, 16);
  const threadColumns = roundUp(Math.ceil(valueWidth / across), 4);
  const columns = across * threadColumns;
  const common = { rows: queries, threadRows: 4, lanesAcross: across, stages: 1, resident: 1 };
  const query = tileMemory('f32', 'k', queries, depth);
  const key = tileMemory('f32', 'k', keys, depth);
  const weights = tileMemory('f32', 'k', queries, keys);
  const value = tileMemory('f32', 'outer', columns, keys);
  return {
    scores: { ...common, columns: keys, depth, threadColumns: 4 },
    output: { ...common, columns, depth: keys, threadColumns },
    ...{ query, key, weights, value },
    bytes: query.bytes + key.bytes + weights.bytes + value.bytes,
  };
}

/** The shapes that a device can run, what should be fastest first. */
export const attentionNames = (anchor: AttentionAnchor, features: CudaFeatures): readonly AttentionName[] =>
  rankedByRoom(anchor, features, (name) => attentionTiles(anchor, attentionShapes[name]).bytes);

/** Those whose blocks have room beside each other before the others, the largest first. */
export function rankedByRoom(
  { width, valueWidth }: AttentionOperands,
  { maxSharedBytes }: CudaFeatures,
  bytesOf: (name: AttentionName) => number,
): readonly AttentionName[] {
  if (Math.max(width, valueWidth) > mostWidth) return [];
  const names = (Object.keys(attentionShapes) as AttentionName[])
    .map((name) => ({ name, bytes: bytesOf(name) }))
    .filter(({ bytes }) => bytes <= maxSharedBytes);
  const roomy = names.filter(({ bytes }) => bytes * together <= maxSharedBytes);
  return [...roomy, ...names.filter((each) => !roomy.includes(each))].map(({ name }) => name);
}

/** Queries and keys of a tile on tensor cores; a warp has 16 queries. */
export const attentionMmaShapes: Readonly<Record<AttentionMmaName, AttentionShape>> = {
  '128x64': { queries: 128, keys: 64 },
  '64x64': { queries: 64, keys: 64 },
};

/** The products of a tile on tensor cores. Weights stay in registers. */
export interface AttentionMmaTiles {
  readonly scores: MmaShape;
  readonly output: MmaShape;
  readonly query: TileMemory;
  readonly key: TileMemory;
  readonly value: TileMemory;
  readonly bytes: number;
}

/** Lines of 32, 64 or a multiple of 128 bytes, which is what their permutation takes. */
export const paddedWidth = (width: number): number =>
  width <= 16 ? 16 : width <= 32 ? 32 : roundUp(width, 64);

export function attentionMmaTiles(
  { width, valueWidth }: AttentionAnchor,
  format: 'f16' | 'bf16',
  { queries, keys }: AttentionShape,
): AttentionMmaTiles {
  const [depth, columns] = [paddedWidth(width), paddedWidth(valueWidth)];
  const common = { rows: queries, warpsDown: queries / 16, warpsAcross: 1, stages: 1, resident: 1 };
  const query = tileMemory(format, 'k', queries, depth);
  const key = tileMemory(format, 'k', keys, depth);
  const value = tileMemory(format, 'outer', columns, keys);
  const strips = queries * (columns + 4) * 4;
  return {
    scores: { ...common, columns: keys, depthBytes: 128 },
    output: { ...common, columns, depthBytes: 128 },
    ...{ query, key, value },
    bytes: Math.max(query.bytes + key.bytes + value.bytes, strips),
  };
}

/** The shapes that a device can run, what should be fastest first: large tiles where there are blocks enough for the machine. */
export function attentionMmaNames(
  anchor: AttentionAnchor,
  format: 'f16' | 'bf16',
  { maxSharedBytes, multiprocessors }: CudaFeatures,
): readonly AttentionMmaName[] {
  if (Math.max(anchor.width, anchor.valueWidth) > mostWidth) return [];
  const fitting = (Object.keys(attentionMmaShapes) as AttentionMmaName[]).filter(
    (name) => attentionMmaTiles(anchor, format, attentionMmaShapes[name]).bytes <= maxSharedBytes,
  );
  // Sums of wide values take most registers.
  const entries = product(anchor.batch) * Math.ceil(anchor.queries / attentionMmaShapes['128x64'].queries);
  const isLarge = entries >= multiprocessors && anchor.valueWidth <= 128;
  return isLarge ? fitting : fitting.reverse();
}
