/**
 * Convolutions: chooses the routine by the machine and the shape's class.
 *
 *     software, and few channels    tiles of registers (conv-tile.ts)
 *     hardware                      a matrix product through workgroup memory (conv-gemm.ts)
 *
 * Forward and both gradients are one anchor: an input gradient has a dilated input, which is taken apart (conv-geometry.ts); a kernel
 * gradient has few results and long sums, which are made in parts.
 */
import type { ConvAnchor } from '@tutti/core/backend';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { gemmStage } from './conv-gemm.ts';
import { planGemm } from './conv-gemm-plan.ts';
import { type Part, partsOf, product, tapsOf } from './conv-geometry.ts';
import { type Memory, memoryOf, sinkOf, widenStages } from './conv-operands.ts';
import { tileStage } from './conv-tile.ts';
import { planTile } from './conv-tile-plan.ts';
import { assemble, finishStages, zeroProgram } from './finish.ts';

export type ConvMethod = 'tile' | 'gemm';

/** @param method In place of the choice that is made here. */
export function convRoutine(
  anchor: ConvAnchor,
  features: ShaderFeatures,
  method?: ConvMethod,
): WgslProgram | undefined {
  const dtypes = [anchor.lhs.dtype, anchor.rhs.dtype];
  if (anchor.type !== 'f32' || !dtypes.every((dtype) => floats.has(dtype))) return undefined;
  const parts = partsOf(anchor);
  if (!parts) return undefined;
  const elements = anchor.batch * anchor.groups * anchor.outChannels * product(anchor.outSize);
  const terms = anchor.inChannels * product(anchor.kernelSize) * product(anchor.inSize);
  if (elements === 0 || terms === 0) return zeroProgram(anchor, features);
  const planned =
    (method ?? methodOf(anchor, parts, features)) === 'gemm' && planGemms(anchor, parts, features);
  return assembled(anchor, parts, planned || planTiles(anchor, parts, features), features);
}

const floats = new Set(['float32', 'float16', 'bfloat16']);
/** Sums of an invocation: many where loads are what costs, few where many invocations hide them. */
const mostSums = { software: 112, hardware: 16 };
/** Fewer channels, or terms, leave most of a block of a matrix product empty. */
const leastChannels = 8;
const leastTerms = 8;

function methodOf(
  { outChannels, inChannels }: ConvAnchor,
  parts: readonly Part[],
  { software }: ShaderFeatures,
): ConvMethod {
  const terms = inChannels * Math.max(...parts.map(tapsOf));
  return software || outChannels < leastChannels || terms < leastTerms ? 'tile' : 'gemm';
}

/** The stages of each part, and in how many parts sums are made. */
interface Planned {
  readonly variant: string;
  readonly splits: number;
  readonly stage: (part: number, memory: Memory) => WgslStage;
}

function planTiles(anchor: ConvAnchor, parts: readonly Part[], features: ShaderFeatures): Planned {
  const sums = mostSums[features.software ? 'software' : 'hardware'];
  const plans = parts.map((part) => planTile({ ...anchor, part }, { sums, split: parts.length === 1 }));
  return {
    variant: `tiles ${plans.map(({ tile }) => Object.values(tile).join('x')).join(', ')}`,
    splits: plans[0]!.splits,
    stage: (part, memory) => tileStage(anchor, parts[part]!, plans[part]!, memory, features),
  };
}

/** Parts that no kernel position meets are zero, which is no matrix product. */
function planGemms(
  anchor: ConvAnchor,
  parts: readonly Part[],
  features: ShaderFeatures,
): Planned | undefined {
  const plans = parts.map((part) =>
    tapsOf(part) > 0 ? planGemm(anchor, part, parts.length === 1, features) : 'empty',
  );
  if (plans.includes(undefined)) return undefined;
  const tiles = planTiles(anchor, parts, features);
  const named = plans.map((plan) => (typeof plan === 'object' ? Object.values(plan.tile).join('x') : plan));
  const [first] = plans;
  return {
    variant: `blocks ${named.join(', ')}`,
    splits: typeof first === 'object' ? first.splits : 1,
    stage: (part, memory) => {
      const plan = plans[part];
      if (typeof plan !== 'object') return tiles.stage(part, memory);
      return gemmStage(anchor, parts[part]!, plan, memory, features);
    },
  };
}

function assembled(
  anchor: ConvAnchor,
  parts: readonly Part[],
  { variant, splits, stage }: Planned,
  features: ShaderFeatures,
): WgslProgram | undefined {
  const sink = sinkOf(anchor, parts, splits);
  const memory = memoryOf(anchor, sink, splits, features);
  if (!memory) return undefined;
  const stages = [
    ...widenStages(anchor, memory, features),
    ...parts.map((_, i) => stage(i, memory)),
    ...(sink === 'workspace' ? finishStages(anchor, features, splits) : []),
  ];
  const suffix = splits > 1 ? `, sums in ${splits} parts` : '';
  return assemble(anchor, stages, memory.workspace * 4, `convolution: ${variant}${suffix}`);
}
