/** A matrix product of small integers, and its result by the reference. */
import type { DotAnchor } from '../../backend/index.ts';
import { type DotOptions, dotAnchor, dotBuffers, dotReference, dotScalar } from '../dot-anchor.ts';
import type { BufferContents } from '../interpret.ts';
import { difference } from '../kernel-cases/compare.ts';
import { generator } from '../random-kernel.ts';
import type { AnchorCase } from './case.ts';

export type DotSizes = readonly [m: number, n: number, k: number];
export type DotCase = AnchorCase<DotAnchor>;

/** Small integers, whose sums are exact in any order. */
export function dotCase(sizes: DotSizes, options: DotOptions = {}, seed = 1, prefix = ''): DotCase {
  const anchor = dotAnchor(...sizes, options);
  const name = prefix + nameOf(sizes, options);
  const contents = (): BufferContents[] => {
    const random = generator(seed);
    return dotBuffers(anchor, () => Math.floor(random() * 9) - (anchor.type === 'u32' ? 0 : 4));
  };
  const check = (got: readonly BufferContents[]): string | undefined => {
    const want = contents();
    want[2] = dotReference(anchor, want, options);
    const wrong = difference(anchor, got, want);
    return wrong && `${name}: ${wrong}`;
  };
  return { name, anchor, scalars: anchor.scalars.map(() => dotScalar), contents, check };
}

function nameOf(
  sizes: DotSizes,
  { batch = [], layouts, shared, dtypes, type, epilogue }: DotOptions,
): string {
  const parts = [sizes.join(' x ')];
  if (batch.length > 0) parts.push(`${batch.join(' x ')} of them`);
  if (layouts) parts.push(`lhs by ${layouts[0]}, rhs by ${layouts[1]}`);
  if (shared?.some(Boolean)) parts.push(`shared ${['lhs', 'rhs'].filter((_, i) => shared[i]).join(' and ')}`);
  if (dtypes) parts.push(`${dtypes[0]} by ${dtypes[1]} to ${dtypes[2]}`);
  if (type) parts.push(`in ${type}`);
  if (epilogue) {
    const { space, bias, dtype = 'float32' } = epilogue;
    parts.push(`finished over ${space.join(' x ')} with a bias along ${bias} and ${dtype}`);
  }
  return parts.join(', ');
}
