/**
 * Attention in one pass over the keys: scores and weights never reach memory.
 *
 *     mma <tile>     float16, bfloat16              tensor cores
 *     simt <tile>    float32, and anything else     CUDA cores
 */
import type { AttentionAnchor, AttentionOperands } from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { attentionMmaProgram } from './attention-mma.ts';
import {
  type AttentionMmaName,
  type AttentionName,
  attentionMmaNames,
  attentionNames,
} from './attention-plan.ts';
import { attentionSimtProgram } from './attention-simt.ts';
import { tensorFormat } from './dot.ts';

export type AttentionVariant = `simt ${AttentionName}` | `mma ${AttentionMmaName}`;

/** What tensor cores can take the operands for; never float32, whose weights would have to be rounded. */
export function attentionFormat(
  { query, key, value }: AttentionOperands,
  features: CudaFeatures,
): 'f16' | 'bf16' | undefined {
  const format = tensorFormat({ lhs: query, rhs: key }, { ...features, tf32: false });
  return query.dtype === value.dtype && format !== 'tf32' ? format : undefined;
}

/** All that can compute it on a device, what should be fastest first: candidates for a choice by time. */
export function attentionVariants(
  anchor: AttentionAnchor,
  features: CudaFeatures,
): readonly AttentionVariant[] {
  const format = attentionFormat(anchor, features);
  const simt = attentionNames(anchor, features).map((name) => `simt ${name}` as const);
  // Fewer threads are cheaper to emulate.
  if (features.emulated && !format) return [...simt].reverse();
  const mma = format ? attentionMmaNames(anchor, format, features) : [];
  return [...mma.map((name) => `mma ${name}` as const), ...simt];
}

/**
 * The program, or undefined where attention has to be taken apart.
 *
 * @param variant In place of the choice that is made here.
 */
export function attentionRoutine(
  anchor: AttentionAnchor,
  features: CudaFeatures,
  variant: AttentionVariant | undefined = attentionVariants(anchor, features)[0],
): CudaProgram | undefined {
  if (!variant) return undefined;
  const [cores, name] = variant.split(' ') as [string, string];
  if (cores === 'simt') return attentionSimtProgram(anchor, name as AttentionName);
  const format = attentionFormat(anchor, features);
  return format && attentionMmaProgram(anchor, format, name as AttentionMmaName, features);
}
