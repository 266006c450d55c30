/**
 * The gradient of attention, without the matrix of its weights: they are formed again, tile by tile, from what is known of each query.
 *
 *     mma <tile>     float16, bfloat16              tensor cores
 *     simt <tile>    float32, and anything else     CUDA cores
 */
import type { AttentionGradientAnchor } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { attentionFormat } from './attention.ts';
import { attentionGradientMmaProgram } from './attention-gradient-mma.ts';
import { hasParts } from './attention-gradient-parts.ts';
import { type GradientMmaName, gradientMmaNames, gradientNames } from './attention-gradient-plan.ts';
import { attentionGradientSimtProgram } from './attention-gradient-simt.ts';
import { partsOf } from './attention-mma.ts';
import type { AttentionName } from './attention-plan.ts';

export type AttentionGradientVariant = `simt ${AttentionName}` | `mma ${GradientMmaName}`;

/** What tensor cores can take the operands for. The gradient of the result may be float32, which has parts. */
function formatOf(
  anchor: AttentionGradientAnchor,
  features: CudaFeatures,
): { readonly format: 'f16' | 'bf16'; readonly parts: number } | undefined {
  const format = attentionFormat(anchor, features);
  if (!format) return undefined;
  const { dtype } = anchor.gradient;
  if (dtype === anchor.query.dtype) return { format, parts: 1 };
  return dtype === 'float32' && hasParts(anchor) ? { format, parts: partsOf(format) } : undefined;
}

/** All that can compute it on a device, what should be fastest first: candidates for a choice by time. */
export function attentionGradientVariants(
  anchor: AttentionGradientAnchor,
  features: CudaFeatures,
): readonly AttentionGradientVariant[] {
  const of = formatOf(anchor, features);
  const simt = gradientNames(anchor, features).map((name) => `simt ${name}` as const);
  // Fewer threads are cheaper to emulate.
  if (features.emulated && !of) return [...simt].reverse();
  // The dtypes of operands may change while a plan is made: what there is a routine for has one of any dtype.
  const mma = of && simt.length > 0 ? gradientMmaNames(anchor, of.format, of.parts, features) : [];
  return [...mma.map((name) => `mma ${name}` as const), ...simt];
}

/**
 * The program, or undefined where the gradient has to be taken apart.
 *
 * @param variant In place of the choice that is made here.
 */
export function attentionGradientRoutine(
  anchor: AttentionGradientAnchor,
  features: CudaFeatures,
  variant: AttentionGradientVariant | undefined = attentionGradientVariants(anchor, features)[0],
): CudaProgram | undefined {
  // An epilogue is for one result.
  if (!variant || (anchor.epilogue && anchor.of.length > 1)) return undefined;
  const [cores, name] = variant.split(' ') as [string, string];
  if (cores === 'simt') return attentionGradientSimtProgram(anchor, name as AttentionName);
  const of = formatOf(anchor, features);
  return of && attentionGradientMmaProgram(anchor, of.format, name as GradientMmaName, features);
}
