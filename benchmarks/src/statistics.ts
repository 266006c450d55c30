/** The value at a fraction of the sorted values, interpolated. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position - Math.floor(position));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The share of one part's time that the other part hides when both are done together, by round. Below 0 they are in each other's way. */
export function hiddenShare(
  together: readonly (readonly number[])[],
  hidden: readonly (readonly number[])[],
  other: readonly (readonly number[])[],
): number {
  const shares = together.map((both, i) => {
    const alone = median(hidden[i]!);
    return (alone + median(other[i]!) - median(both)) / alone;
  });
  return median(shares);
}

/** How much longer the slower library took, by round: the medians of interleaved rounds see the same machine. */
export function pairedRatio(
  slower: readonly (readonly number[])[],
  faster: readonly (readonly number[])[],
): number {
  const rounds = Math.min(slower.length, faster.length);
  const ratios = Array.from({ length: rounds }, (_, i) => median(slower[i]!) / median(faster[i]!));
  return median(ratios);
}
