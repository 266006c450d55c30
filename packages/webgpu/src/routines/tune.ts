/** Which programs for a product are worth timing, and for which products the answer is the same. */
import {
  type DotAnchor,
  matrices,
  type Product,
  type ProductOperand,
  simplifyDot,
} from '@tutti/core/backend';
import type { Candidates, ShaderFeatures, WgslProgram } from '../program.ts';
import { type DotVariant, dotRoutine } from './dot.ts';
import { shapeOf } from './dot-plan.ts';
import { isTaken } from './product.ts';

/** Products below this are over before a timer notices. */
const fewProducts = 2 ** 27;

/** Undefined for software, whose behaviour is known, and for what takes no time. */
export function dotCandidates(anchor: DotAnchor, features: ShaderFeatures): Candidates | undefined {
  if (features.software || !isTaken(anchor)) return undefined;
  const product = simplifyDot(anchor);
  const { m, n, k } = product;
  if (m === 1 || matrices(product) * m * n * k < fewProducts) return undefined;
  const usual = shapeOf(product);
  const others: readonly DotVariant[] =
    usual === 'wide' || usual === 'tall' ? ['small', 'direct'] : ['large', 'small', 'direct'];
  const variants = new Map<string, WgslProgram>();
  for (const variant of new Set([usual, ...others])) {
    const program = dotRoutine(anchor, features, variant);
    if (program) variants.set(variant, program);
  }
  return { key: classOf(product), buffers: anchor.buffers, variants };
}

/** Sizes within a factor of two are of one class; layouts and dtypes are as they are. */
function classOf(product: Product): string {
  const rough = (size: number): number => 2 ** Math.round(Math.log2(size));
  const { m, n, k, type } = product;
  const side = ({ dtype, row, column }: ProductOperand): string =>
    `${dtype} by ${column === 1 ? 'rows' : row === 1 ? 'columns' : 'strides'}`;
  const sizes = `${rough(matrices(product))} of ${rough(m)}x${rough(n)}x${rough(k)}`;
  return `dot ${type}, ${sizes}, ${side(product.lhs)}, ${side(product.rhs)}`;
}
