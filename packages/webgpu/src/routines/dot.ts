/** Matrix products: brings an anchor to its simplest form and chooses how to compute it. */
import { type DotAnchor, resultElements, simplifyDot } from '@tutti/core/backend';
import type { ShaderFeatures, WgslProgram } from '../program.ts';
import { directProgram } from './dot-direct.ts';
import { planDirect, planShared, type SharedShape } from './dot-plan.ts';
import { rowProgram } from './dot-rows.ts';
import { sharedProgram } from './dot-shared.ts';
import { zeroProgram } from './finish.ts';
import { isTaken } from './product.ts';

/** Without workgroup memory, or with tiles of some shape in it. */
export type DotVariant = 'direct' | SharedShape;

/** @param variant Instead of the one that suits the product and the adapter. */
export function dotRoutine(
  anchor: DotAnchor,
  features: ShaderFeatures,
  variant?: DotVariant,
): WgslProgram | undefined {
  if (!isTaken(anchor)) return undefined;
  if (resultElements(anchor) === 0 || anchor.k === 0) return zeroProgram(anchor, features);
  const product = simplifyDot(anchor);
  if (!variant && !features.software && product.m === 1) return rowProgram(product, features);
  const direct = variant === 'direct' || (!variant && features.software);
  const plan = direct ? undefined : planShared(product, features, variant);
  if (plan) return sharedProgram(product, plan, features);
  return directProgram(product, planDirect(product, features), features);
}
