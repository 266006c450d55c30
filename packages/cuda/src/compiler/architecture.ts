/** Which real architecture kernels are compiled for. */

/** The least that kernels are written for. */
export const leastCapability = 75;

/** From 9.0 on there are instructions that only the exact architecture has. */
const specific = 90;

/**
 * `sm_90a` for 90. A compiler that does not know a device may know an earlier one of its generation, whose code it runs.
 *
 * @param architectures What the compiler makes code for: 75, 80, 90.
 * @returns undefined where its code would not run.
 */
export function architectureFor(capability: number, architectures: readonly number[]): string | undefined {
  if (architectures.includes(capability)) return `sm_${capability}${capability >= specific ? 'a' : ''}`;
  const generation = Math.floor(capability / 10);
  const earlier = architectures.filter(
    (each) => Math.floor(each / 10) === generation && each < capability && each >= leastCapability,
  );
  return earlier.length > 0 ? `sm_${Math.max(...earlier)}` : undefined;
}

/** "9.0" */
export const formatCapability = (capability: number): string =>
  `${Math.floor(capability / 10)}.${capability % 10}`;
