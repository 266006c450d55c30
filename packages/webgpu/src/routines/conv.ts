/**
 * Convolutions: chooses the routine by the machine and the shape's class.
 *
 *     software, and few channels    tiles of registers (conv-tile.ts)
 *     hardware                      a matrix product through workgroup memory (conv-gemm.ts)
 *     inputs dilated very far       term by term (conv-sparse.ts)
 *
 * Forward and both gradients are one anchor: an input gradient has a dilated input, which is taken apart (conv-geometry.ts); a kernel
 * gradient has few results and long sums, which are made in parts.
 */
import { type ConvAnchor, type ConvPart, convParts, product, tapsOf } from '@tutti/core/backend';
import type { ShaderFeatures, WgslProgram, WgslStage } from '../program.ts';
import { gemmStage } from './conv-gemm.ts';
import { type GemmShape, planGemm } from './conv-gemm-plan.ts';
import { type Memory, memoryOf, sinkOf, widenStages } from './conv-operands.ts';
import { sparseStage } from './conv-sparse.ts';
import { tileStage } from './conv-tile.ts';
import { planTile } from './conv-tile-plan.ts';
import { assemble, finishStages, zeroProgram } from './finish.ts';

/** Tiles of registers, a matrix product (in blocks of some shape), or term by term. */
export type ConvMethod = 'tile' | 'gemm' | GemmShape | 'sparse';

/** @param method In place of the choice that is made here. */
export function convRoutine(
  anchor: ConvAnchor,
  features: ShaderFeatures,
  method?: ConvMethod,
): WgslProgram | undefined {
  const dtypes = [anchor.lhs.dtype, anchor.rhs.dtype];
  if (anchor.type !== 'f32' || !dtypes.every((dtype) => floats.has(dtype))) return undefined;
  const elements = anchor.batch * anchor.groups * anchor.outChannels * product(anchor.outSize);
  const terms = anchor.inChannels * product(anchor.kernelSize) * product(anchor.inSize);
  if (elements === 0 || terms === 0) return zeroProgram(anchor, features);
  const parts = convParts(anchor);
  if (!parts || method === 'sparse') return assembled(anchor, [], planSparse(anchor, features), features);
  const chosen = method ?? methodOf(anchor, parts, features);
  const gemm =
    chosen === 'tile'
      ? undefined
      : planGemms(anchor, parts, features, chosen === 'gemm' ? undefined : chosen);
  return assembled(anchor, parts, gemm ?? planTiles(anchor, parts, features), features);
}

const floats = new Set(['float32', 'float16', 'bfloat16']);
/** Sums of an invocation: many where loads are what costs, few where many invocations hide them. */
const mostSums = { software: 112, hardware: 16 };
/** Fewer channels, or terms, leave most of a block of a matrix product empty. */
const leastChannels = 8;
const leastTerms = 8;

export function methodOf(
  { outChannels, inChannels }: ConvAnchor,
  parts: readonly ConvPart[],
  { software }: ShaderFeatures,
): 'tile' | 'gemm' {
  const terms = inChannels * Math.max(...parts.map(tapsOf));
  return software || outChannels < leastChannels || terms < leastTerms ? 'tile' : 'gemm';
}

/** The stages of each part, and in how many parts sums are made. */
interface Planned {
  readonly variant: string;
  readonly splits: number;
  readonly stages: (memory: Memory) => readonly WgslStage[];
}

const planSparse = (anchor: ConvAnchor, features: ShaderFeatures): Planned => ({
  variant: 'term by term',
  splits: 1,
  stages: (memory) => [sparseStage(anchor, memory, features)],
});

function planTiles(anchor: ConvAnchor, parts: readonly ConvPart[], features: ShaderFeatures): Planned {
  const sums = mostSums[features.software ? 'software' : 'hardware'];
  const plans = parts.map((part) => planTile({ ...anchor, part }, { sums, split: parts.length === 1 }));
  return {
    variant: `tiles ${plans.map(({ tile }) => Object.values(tile).join('x')).join(', ')}`,
    splits: plans[0]!.splits,
    stages: (memory) => parts.map((part, i) => tileStage(anchor, part, plans[i]!, memory, features)),
  };
}

/** Parts that no kernel position meets are zero, which is no matrix product. */
function planGemms(
  anchor: ConvAnchor,
  parts: readonly ConvPart[],
  features: ShaderFeatures,
  shape?: GemmShape,
): Planned | undefined {
  const plans = parts.map((part) =>
    tapsOf(part) > 0 ? planGemm(anchor, part, parts.length === 1, features, shape) : 'empty',
  );
  if (plans.includes(undefined)) return undefined;
  const tiles = planTiles(anchor, parts, features);
  const named = plans.map((plan) => (typeof plan === 'object' ? plan.shape : plan));
  const [first] = plans;
  return {
    variant: `blocks ${named.join(', ')}`,
    splits: typeof first === 'object' ? first.splits : 1,
    stages: (memory) => {
      const empty = tiles.stages(memory);
      return parts.map((part, i) => {
        const plan = plans[i];
        return typeof plan === 'object' ? gemmStage(anchor, part, plan, memory, features) : empty[i]!;
      });
    },
  };
}

function assembled(
  anchor: ConvAnchor,
  parts: readonly ConvPart[],
  { variant, splits, stages: main }: Planned,
  features: ShaderFeatures,
): WgslProgram | undefined {
  const sink = sinkOf(anchor, parts, splits);
  const memory = memoryOf(anchor, sink, splits, features);
  if (!memory) return undefined;
  const stages = [
    ...widenStages(anchor, memory, features),
    ...main(memory),
    ...(sink === 'workspace' ? finishStages(anchor, features, splits) : []),
  ];
  const suffix = splits > 1 ? `, sums in ${splits} parts` : '';
  return assemble(anchor, stages, memory.workspace * 4, `convolution: ${variant}${suffix}`);
}
