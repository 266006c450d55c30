/** The value at a fraction of the sorted values, interpolated. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position - Math.floor(position));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** How much longer the slower library took, by round: the medians of interleaved rounds see the same machine. */
export function pairedRatio(
  slower: readonly (readonly number[])[],
  faster: readonly (readonly number[])[],
): number {
  const rounds = Math.min(slower.length, faster.length);
  const ratios = Array.from({ length: rounds }, (_, i) => median(slower[i]!) / median(faster[i]!));
  return median(ratios);
}
