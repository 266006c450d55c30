/** A grid of workgroups, folded where it has more than a dimension may have. */
import type { ShaderFeatures } from '../program.ts';

export interface Grid {
  readonly workgroups: readonly [number, number, number];
  /** The number of the workgroup, as a u32. */
  readonly block: string;
  /** There are exactly as many workgroups as were asked for. */
  readonly exact: boolean;
}

export function gridOf(count: number, { maxWorkgroups }: ShaderFeatures): Grid {
  if (count <= maxWorkgroups) return { workgroups: [count, 1, 1], block: 'group.x', exact: true };
  const rows = Math.ceil(count / maxWorkgroups);
  const columns = Math.ceil(count / rows);
  return {
    workgroups: [columns, rows, 1],
    block: `(group.y * ${columns}u + group.x)`,
    exact: columns * rows === count,
  };
}
