/**
 * Matrix products: brings an anchor to its simplest form, and chooses how to compute it.
 *
 *     library                much work in float32, float16, bfloat16          cuBLASLt, where there is one
 *     direct                 few products                                    an element for each thread
 *     row warp|block|columns one row or column                               memory is what takes the time
 *     simt <tile>            float32, mixed 16-bit floats, and integers      CUDA cores
 *     mma <tile>             float16, bfloat16; float32 where TF32 may be    tensor cores
 */
import {
  type DotAnchor,
  type DType,
  dtypeInfo,
  matrices,
  type Product,
  resultElements,
  simplifyDot,
} from '@tutti/core/backend';
import type { CudaFeatures, CudaProgram } from '../program.ts';
import { directProgram } from './dot-direct.ts';
import { libraryProgram, paysForLibrary } from './dot-library.ts';
import { extentsOf, type MmaName, mmaRanked, type SimtName, simtRanked } from './dot-plan.ts';
import { type RowForm, rowForm, rowProgram } from './dot-rows.ts';
import { tiledProgram } from './dot-tiles.ts';
import { zeroProgram } from './finish.ts';
import { mmaTiling, simtTiling } from './tiling.ts';

export type DotVariant = 'direct' | 'library' | `row ${RowForm}` | `simt ${SimtName}` | `mma ${MmaName}`;

/** Products that are done before a larger kernel has begun; and those that are cheaper to emulate without barriers. */
const fewProducts = { device: 2 ** 14, emulated: 2 ** 22 };

/** @param variant In place of the choice that is made here. */
export function dotRoutine(
  anchor: DotAnchor,
  features: CudaFeatures,
  variant?: DotVariant,
): CudaProgram | undefined {
  if (!isTaken(anchor)) return undefined;
  if (resultElements(anchor) === 0 || anchor.k === 0) return zeroProgram(anchor, features);
  const product = simplifyDot(anchor);
  return dotProgram(product, variant ?? dotVariants(product, features)[0]!, features);
}

/** Whether operands hold the type of the sums. */
const isTaken = ({ type, lhs, rhs }: DotAnchor): boolean =>
  type !== 'bool' && [lhs, rhs].every(({ dtype }) => dtypeInfo[dtype].scalar === type);

/** All that can compute a product on a device, what should be fastest first: candidates for a choice by time. */
export function dotVariants(product: Product, features: CudaFeatures): readonly DotVariant[] {
  const { m, n, k } = product;
  const variants: DotVariant[] = [];
  const format = tensorFormat(product, features);
  const extents = extentsOf(product);
  if (format)
    variants.push(
      ...mmaRanked(extents, format === 'tf32' ? 4 : 2, features).map((name) => `mma ${name}` as const),
    );
  variants.push(...simtRanked(extents, features).map((name) => `simt ${name}` as const));
  if (m === 1) variants.unshift(`row ${rowForm(product, features)}`);
  const few = fewProducts[features.emulated ? 'emulated' : 'device'];
  const own: readonly DotVariant[] =
    matrices(product) * m * n * k <= few ? ['direct', ...variants] : [...variants, 'direct'];
  return paysForLibrary(product, features) ? ['library', ...own] : own;
}

/** What tensor cores can take the operands for. */
export function tensorFormat(
  { lhs, rhs }: { readonly lhs: { readonly dtype: DType }; readonly rhs: { readonly dtype: DType } },
  { computeCapability, tf32 }: CudaFeatures,
): 'f16' | 'bf16' | 'tf32' | undefined {
  if (lhs.dtype !== rhs.dtype) return undefined;
  if (lhs.dtype === 'float16') return 'f16';
  if (computeCapability < 80) return undefined;
  if (lhs.dtype === 'bfloat16') return 'bf16';
  return lhs.dtype === 'float32' && tf32 ? 'tf32' : undefined;
}

function dotProgram(product: Product, variant: DotVariant, features: CudaFeatures): CudaProgram | undefined {
  const [method, name] = variant.split(' ') as [string, string];
  switch (method) {
    case 'library': {
      const own = dotVariants(product, { ...features, blas: false })[0]!;
      return libraryProgram(product, features, dotProgram(product, own, features));
    }
    case 'row':
      return product.m === 1 ? rowProgram(product, name as RowForm, features) : undefined;
    case 'simt':
      return tiledProgram(
        product,
        simtTiling(name as SimtName, product.type === 'f32' ? 'f32' : 'u32', features),
        features,
      );
    case 'mma': {
      const format = tensorFormat(product, features);
      return format && tiledProgram(product, mmaTiling(name as MmaName, format, features), features);
    }
    default:
      return directProgram(product);
  }
}
