/**
 * Which tiles suit a product. Candidates are rows of a table, so that a choice by time can take the place of the one made here.
 *
 * The choice weighs the work of the tiles that are laid over the result, in waves over the multiprocessors, against what a shape
 * reaches of the peak once a multiprocessor is full (large tiles read shared memory less often for a product). Where tiles are too few
 * for the machine, the contraction is cut into parts that a second stage adds in order.
 */
import { ceilDiv, matrices, type Product, roundUp } from '@tutti/core/backend';
import type { CudaFeatures } from '../program.ts';
import type { Cut } from './contraction.ts';
import { mostWorkspaceBytes } from './finish.ts';
import { type MmaShape, mmaThreads } from './mma.ts';
import { type SimtShape, simtThreads } from './simt.ts';

export type SimtName = '128x128' | '128x64' | '64x64' | '32x32' | '16x256' | '256x16';
export type MmaName = '128x256' | '128x128' | '64x64' | '32x64' | '16x128' | '128x16';

/** CUDA cores. Shared memory of two stages is 37 KiB for 128 x 128. */
export const simtShapes: Readonly<Record<SimtName, SimtShape>> = {
  '128x128': { rows: 128, columns: 128, depth: 16, threadRows: 8, threadColumns: 8, stages: 2, resident: 2 },
  '128x64': { rows: 128, columns: 64, depth: 16, threadRows: 8, threadColumns: 4, stages: 2, resident: 2 },
  '64x64': { rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4, stages: 3, resident: 3 },
  '32x32': { rows: 32, columns: 32, depth: 32, threadRows: 4, threadColumns: 4, stages: 3, resident: 8 },
  /** For few rows, and for few columns. */
  '16x256': { rows: 16, columns: 256, depth: 16, threadRows: 4, threadColumns: 4, stages: 3, resident: 3 },
  '256x16': { rows: 256, columns: 16, depth: 16, threadRows: 4, threadColumns: 4, stages: 3, resident: 3 },
};

/** Tensor cores. 128 x 256 takes 144 KiB of shared memory, 128 x 128 64 KiB. */
export const mmaShapes: Readonly<Record<MmaName, MmaShape>> = {
  '128x256': {
    rows: 128,
    columns: 256,
    depthBytes: 128,
    warpsDown: 2,
    warpsAcross: 4,
    stages: 3,
    resident: 1,
  },
  '128x128': {
    rows: 128,
    columns: 128,
    depthBytes: 64,
    warpsDown: 2,
    warpsAcross: 4,
    stages: 4,
    resident: 2,
  },
  '64x64': { rows: 64, columns: 64, depthBytes: 128, warpsDown: 2, warpsAcross: 2, stages: 4, resident: 3 },
  '32x64': { rows: 32, columns: 64, depthBytes: 128, warpsDown: 2, warpsAcross: 2, stages: 4, resident: 4 },
  '16x128': { rows: 16, columns: 128, depthBytes: 128, warpsDown: 1, warpsAcross: 4, stages: 4, resident: 3 },
  '128x16': { rows: 128, columns: 16, depthBytes: 128, warpsDown: 4, warpsAcross: 1, stages: 4, resident: 3 },
};

/** What a shape reaches of the peak, roughly: by its reads of shared memory for a product. */
const reached: Readonly<Record<SimtName | MmaName, number>> = {
  '128x256': 1,
  '128x128': 0.85,
  '128x64': 0.75,
  '64x64': 0.55,
  '32x64': 0.4,
  '32x32': 0.3,
  '16x256': 0.3,
  '256x16': 0.3,
  '16x128': 0.35,
  '128x16': 0.35,
};

/** Steps below which another part is not worth its sums, and the most parts that the second stage adds. */
const leastChunk = 256;
const mostParts = 32;

/** What a tile costs beside its products, in steps of the contraction: the first loads and the stores. */
const overhead = 64;

interface Extents {
  readonly rows: number;
  readonly columns: number;
  readonly matrices: number;
  readonly k: number;
}

export interface Candidate<Name extends string> {
  readonly name: Name;
  readonly rows: number;
  readonly columns: number;
  readonly resident: number;
}

/** How the result and the contraction are cut for tiles of some shape. */
export function cutFor(
  { rows, columns, matrices: count, k }: Extents,
  shape: Omit<Candidate<string>, 'name'>,
  depth: number,
  { multiprocessors }: CudaFeatures,
): Cut {
  const tiles = ceilDiv(rows, shape.rows) * ceilDiv(columns, shape.columns) * count;
  const wanted = Math.floor((multiprocessors * shape.resident) / tiles);
  const memory = Math.floor(mostWorkspaceBytes / Math.max(1, 4 * count * rows * columns));
  const parts = Math.max(1, Math.min(wanted, mostParts, memory, Math.floor(k / leastChunk)));
  const chunk = parts > 1 ? roundUp(ceilDiv(k, parts), depth) : roundUp(k, depth);
  return { rows, columns, matrices: count, k, depth, chunk, parts: parts > 1 ? ceilDiv(k, chunk) : 1 };
}

/** The cost of a cut, in products of a multiprocessor at its peak. */
function costOf<Name extends SimtName | MmaName>(
  extents: Extents,
  candidate: Candidate<Name>,
  depth: number,
  features: CudaFeatures,
): number {
  const cut = cutFor(extents, candidate, depth, features);
  const blocks =
    ceilDiv(extents.rows, candidate.rows) *
    ceilDiv(extents.columns, candidate.columns) *
    extents.matrices *
    cut.parts;
  const full = features.multiprocessors * candidate.resident;
  // Within a wave, blocks of a multiprocessor share it.
  const turns = Math.floor(blocks / full) * candidate.resident;
  const rest = Math.ceil((blocks % full) / features.multiprocessors);
  const work = (Math.min(cut.k, cut.chunk) + overhead) * candidate.rows * candidate.columns;
  const finish = cut.parts > 1 ? (extents.rows * extents.columns * extents.matrices * cut.parts) / 8 : 0;
  return ((turns + rest) * work) / reached[candidate.name] + finish / features.multiprocessors;
}

/** The candidates that a device can run, the cheapest first. */
export function ranked<Name extends SimtName | MmaName>(
  extents: Extents,
  candidates: readonly (Candidate<Name> & { readonly depth: number })[],
  features: CudaFeatures,
): readonly Name[] {
  return candidates
    .map((candidate) => ({
      name: candidate.name,
      cost: costOf(extents, candidate, candidate.depth, features),
    }))
    .sort((a, b) => a.cost - b.cost)
    .map(({ name }) => name);
}

export const extentsOf = (product: Product): Extents => ({
  rows: product.m,
  columns: product.n,
  matrices: matrices(product),
  k: product.k,
});

const names = <Name extends string>(shapes: Record<Name, unknown>): readonly Name[] =>
  Object.keys(shapes) as Name[];

/** What a shape needs at most: the longest lines of all orders of operands, and the tables of a convolution. */
const simtBytes = ({ rows, columns, depth, stages }: SimtShape): number =>
  stages * (rows + columns) * (depth + 4) * 4 + tableBytes(columns, depth);

const mmaBytes = ({ rows, columns, depthBytes, stages }: MmaShape): number =>
  stages * (rows + columns) * depthBytes +
  (stages * 2 * 32 * depthBytes) / 4 +
  tableBytes(columns, depthBytes / 2);

const tableBytes = (columns: number, depth: number): number => 40 * depth + 16 * columns;

export const simtRanked = (extents: Extents, features: CudaFeatures): readonly SimtName[] =>
  ranked(
    extents,
    names(simtShapes)
      .map((name) => ({ name, ...simtShape(name, features) }))
      .filter((shape) => simtBytes(shape) <= features.maxSharedBytes)
      .filter((shape) => simtThreads(shape) <= features.maxThreadsPerBlock),
    features,
  );

/**
 * The blocks that should share a multiprocessor. Before sm_80 copies pass through registers, which half as many blocks have enough of.
 */
const residentOn = ({ computeCapability }: CudaFeatures, resident: number): number =>
  computeCapability < 80 ? Math.max(1, Math.floor(resident / 2)) : resident;

/** The shape of a name on a device. */
export function simtShape(name: SimtName, features: CudaFeatures): SimtShape {
  const shape = simtShapes[name];
  return { ...shape, resident: residentOn(features, shape.resident) };
}

/** The shape of a name on a device, with as many stages as it has shared memory for; where copies do not overlap, two are enough. */
export function mmaShape(name: MmaName, features: CudaFeatures): MmaShape {
  const shape = mmaShapes[name];
  let stages = features.computeCapability < 80 ? 2 : shape.stages;
  while (stages > 2 && mmaBytes({ ...shape, stages }) > features.maxSharedBytes) stages--;
  return { ...shape, stages, resident: residentOn(features, shape.resident) };
}

export const mmaRanked = (extents: Extents, bytes: 2 | 4, features: CudaFeatures): readonly MmaName[] =>
  ranked(
    extents,
    names(mmaShapes)
      .map((name) => ({ name, ...mmaShape(name, features), depth: mmaShapes[name].depthBytes / bytes }))
      .filter((shape) => mmaBytes(shape) <= features.maxSharedBytes)
      .filter((shape) => mmaThreads(shape) <= features.maxThreadsPerBlock),
    features,
  );
