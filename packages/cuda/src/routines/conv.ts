/**
 * Convolutions: forward and both gradients are one anchor. An input gradient has a dilated input, which is taken apart into lattices
 * (core's convParts), each a plain convolution and a stage of its own; a kernel gradient has few results and long sums, which are made in
 * parts.
 *
 *     simt <tile>    float32, and mixed 16-bit floats                        CUDA cores
 *     mma <tile>     float16, bfloat16; float32 where TF32 may be            tensor cores
 *     reduce         few channels, few results, long sums                    a block for each result
 *     direct         few channels, or few products, or any other geometry    a thread for each result
 */
import { type ConvAnchor, type ConvPart, convParts, product, resultElements } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { convDirectStage } from './conv-direct.ts';
import { geometryOf } from './conv-geometry.ts';
import { convReduceStage } from './conv-reduce.ts';
import { convCut, convTileStage } from './conv-tiles.ts';
import { tensorFormat } from './dot.ts';
import { type MmaName, mmaRanked, type SimtName, simtRanked } from './dot-plan.ts';
import { assemble, withParts, zeroProgram } from './finish.ts';
import { mmaTiling, simtTiling, type Tiling } from './tiling.ts';

export type ConvVariant = 'direct' | 'reduce' | `simt ${SimtName}` | `mma ${MmaName}`;

/** Fewer channels leave most of a tile empty; fewer terms, most of its steps. */
const leastChannels = 8;
const leastTerms = 8;
/** Products that are done before a larger kernel has begun; and those that are cheaper to emulate without barriers. */
const fewProducts = { device: 2 ** 14, emulated: 2 ** 22 };
/** Results for which there are threads enough, and terms above which a thread has too many. */
const manyResults = 2 ** 16;
const manyTerms = 512;
/** Tiles find elements by int. */
const mostElements = 2 ** 31 - 1;

/** @param variant In place of the choice that is made here. */
export function convRoutine(
  anchor: ConvAnchor,
  features: CudaFeatures,
  variant?: ConvVariant,
): CudaProgram | undefined {
  if (anchor.type !== 'f32') return undefined;
  const terms = anchor.inChannels * product(anchor.kernelSize) * product(anchor.inSize);
  if (resultElements(anchor) === 0 || terms === 0) return zeroProgram(anchor, features);
  const parts = partsOf(anchor);
  return convProgram(anchor, parts, variant ?? convVariants(anchor, parts, features)[0]!, features);
}

/** Plain convolutions; none where tiles cannot take them. */
function partsOf(anchor: ConvAnchor): readonly ConvPart[] {
  if (anchor.buffers.some(({ length }) => length > mostElements)) return [];
  return convParts(anchor) ?? [];
}

/** All that can compute a convolution on a device, what should be fastest first: candidates for a choice by time. */
export function convVariants(
  anchor: ConvAnchor,
  parts: readonly ConvPart[],
  features: CudaFeatures,
): readonly ConvVariant[] {
  if (parts.length === 0) return ['direct'];
  const { pixels, terms } = parts
    .map((part) => geometryOf(anchor, part))
    .reduce((most, other) => (other.terms > most.terms ? other : most));
  const results = resultElements(anchor);
  const extents = { rows: anchor.outChannels, columns: pixels, matrices: anchor.groups, k: terms };
  const format = tensorFormat(anchor, features);
  const tensor = format ? mmaRanked(extents, format === 'tf32' ? 4 : 2, features).filter(isGathered) : [];
  const tiles: ConvVariant[] = [
    ...tensor.map((name) => `mma ${name}` as const),
    ...simtRanked(extents, features).map((name) => `simt ${name}` as const),
  ];
  const few = fewProducts[features.emulated ? 'emulated' : 'device'];
  if (results * terms <= few) return ['direct', ...tiles];
  if (anchor.outChannels >= leastChannels && terms >= leastTerms) return [...tiles, 'direct'];
  const isLong = parts.length === 1 && results < manyResults && terms > manyTerms;
  return isLong ? ['reduce', 'direct', ...tiles] : ['direct', ...tiles];
}

/** Patches of the largest tile do not fit into registers on their way. */
const isGathered = (name: MmaName): boolean => name !== '128x256';

function tilingOf(anchor: ConvAnchor, variant: ConvVariant, features: CudaFeatures): Tiling | undefined {
  const [cores, name] = variant.split(' ') as [string, string];
  if (cores === 'simt') return simtTiling(name as SimtName, 'f32', features);
  const format = tensorFormat(anchor, features);
  return cores === 'mma' && format ? mmaTiling(name as MmaName, format, features) : undefined;
}

function convProgram(
  anchor: ConvAnchor,
  parts: readonly ConvPart[],
  variant: ConvVariant,
  features: CudaFeatures,
): CudaProgram {
  const [first] = parts;
  if (variant === 'reduce' && parts.length === 1 && first?.dense)
    return assemble(anchor, [convReduceStage(anchor, first)], 0, 'convolution, a result for each block');
  const tiling = first && tilingOf(anchor, variant, features);
  if (!tiling) return assemble(anchor, [convDirectStage(anchor)], 0, 'convolution, a result for each thread');
  const cuts = parts.map((part) => convCut(anchor, part, tiling, features));
  // Lattices share the result, and with it the number of parts that sums are made in.
  const single = cuts.map((cut) =>
    parts.length > 1 ? { ...cut, parts: 1, chunk: Math.ceil(cut.k / cut.depth) * cut.depth } : cut,
  );
  const stages = parts.map((part, i) => convTileStage(anchor, part, tiling, single[i]!));
  return withParts(anchor, features, stages, single[0]!.parts, `convolution by tiles, ${variant}`);
}
