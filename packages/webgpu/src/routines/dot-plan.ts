/** Which tiles suit a product. */
import { ceilDiv, matrices, type Product, roundUp } from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import { type DirectPlan, directStep } from './dot-direct.ts';
import { type SharedPlan, sharedBytes } from './dot-shared.ts';

/** Workgroups that keep a processor busy. */
const fewWorkgroups = 8;
/** Terms below which another part of k is not worth its stage. */
const leastChunk = 256;

/** Parts that the second stage adds one after the other. */
const mostParts = 32;

/** Products that are computed sooner than a large tile compiles. */
const smallProduct = 2 ** 18;

/** Costs in nanoseconds of four lanes: a load, and a product with its sum. */
const loadCost = 8.5;
const multiplyCost = 1;

/** What an invocation spends on a step of four in k. */
function stepCost(rows: number, columns: number, quads: boolean): number {
  const loads = directStep * (columns + (quads ? rows / 4 : rows));
  return loadCost * loads + multiplyCost * directStep * rows * columns;
}

export function planDirect(product: Product, features: ShaderFeatures): DirectPlan {
  const { m, n, k } = product;
  const columns = n >= 16 ? 4 : 1;
  const lanes = roundUp(ceilDiv(n, columns), 4);
  const candidates: { rows: number; quads: boolean }[] = [1, 2, 4].map((rows) => ({ rows, quads: false }));
  const small = matrices(product) * m * n * k < smallProduct;
  if (features.subgroups)
    candidates.push(...(small ? [4] : [4, 8, 16]).map((rows) => ({ rows, quads: true })));
  let best: (typeof candidates)[number] | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const tiles = ceilDiv(m, candidate.rows);
    const vectors = matrices(product) * tiles * ceilDiv(lanes, 4);
    const cost =
      tiles * stepCost(candidate.rows, columns, candidate.quads) * Math.max(1, fewWorkgroups / vectors);
    if (cost < least) [best, least] = [candidate, cost];
  }
  const { rows, quads } = best!;
  const count = (size: number): number => matrices(product) * ceilDiv(m, rows) * ceilDiv(lanes, size);
  let size = Math.min(32, lanes);
  while (size > 4 && count(size) < fewWorkgroups) size = roundUp(size / 2, 4);
  const wanted = ceilDiv(fewWorkgroups, count(size));
  const parts = Math.max(1, Math.min(wanted, mostParts, Math.floor(k / leastChunk)));
  const chunk = parts > 1 ? roundUp(ceilDiv(k, parts), directStep) : k;
  return { rows, columns, quads, size, chunk, parts: parts > 1 ? ceilDiv(k, chunk) : 1 };
}

const shapes = {
  /** A workgroup of 64 invocations with 8 x 8 each: most products for what is loaded. */
  large: { rows: 8, columns: 8, down: 8, across: 8, depth: 16 },
  small: { rows: 4, columns: 4, down: 8, across: 8, depth: 16 },
  /** For few rows, and for few columns. */
  wide: { rows: 4, columns: 4, down: 2, across: 32, depth: 16 },
  tall: { rows: 4, columns: 4, down: 32, across: 2, depth: 16 },
} as const;

export type SharedShape = keyof typeof shapes;

/** Workgroups of large tiles that keep a large GPU busy; and of small ones, below which k is cut. */
const manyLarge = 256;
const manySmall = 256;

/** The tiles that should suit a product. */
export function shapeOf(product: Product): SharedShape {
  const { m, n } = product;
  if (m <= 8) return 'wide';
  if (n <= 8) return 'tall';
  return matrices(product) * ceilDiv(m, 64) * ceilDiv(n, 64) >= manyLarge ? 'large' : 'small';
}

/** Undefined where a device has less of anything than all must have. */
export function planShared(
  product: Product,
  features: ShaderFeatures,
  name: SharedShape = shapeOf(product),
): SharedPlan | undefined {
  const { m, n, k } = product;
  const shape = shapes[name];
  const { rows, columns, down, across, depth } = shape;
  const count = matrices(product) * ceilDiv(m, rows * down) * ceilDiv(n, columns * across);
  const wanted = Math.floor(manySmall / count);
  const parts = Math.max(1, Math.min(wanted, mostParts, Math.floor(k / leastChunk)));
  const chunk = parts > 1 ? roundUp(ceilDiv(k, parts), depth) : k;
  const plan = { ...shape, chunk, parts: parts > 1 ? ceilDiv(k, chunk) : 1 };
  if (down * across > features.maxInvocations || sharedBytes(plan) > features.maxWorkgroupBytes)
    return undefined;
  return plan;
}
