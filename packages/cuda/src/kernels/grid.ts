/** Grids of blocks in one dimension, and what a kernel does where a grid may not have as many blocks as there is work for. */
import type { Code } from './code.ts';

/** What launches can be. Tests choose less, to see what happens at the limits. */
export interface LaunchLimits {
  /** Blocks of a grid. */
  readonly blocks: number;
  /** Units of work that fit an unsigned number, with room for the last block. */
  readonly narrow: number;
}

export const launchLimits: LaunchLimits = { blocks: 2 ** 31 - 1, narrow: 2 ** 32 - 2 ** 16 };

export interface Grid {
  readonly blocks: number;
  /** Blocks go on to further work, a grid further on. */
  readonly strides: boolean;
  /** Numbers of units need 64 bits. */
  readonly wide: boolean;
  /** Blocks of work. */
  readonly count: number;
}

export function gridOf(units: number, perBlock: number, limits: LaunchLimits): Grid {
  const count = Math.max(1, Math.ceil(units / perBlock));
  const blocks = Math.min(count, limits.blocks);
  return { blocks, strides: blocks < count, wide: units > limits.narrow, count };
}

export const unitType = ({ wide }: Grid): string => (wide ? 'unsigned long long' : 'unsigned');

/** The body for every block of work that this block has; `block` is the text of its number, that of this block to begin with. */
export function forEachBlock(code: Code, grid: Grid, own: string, body: (block: string) => void): void {
  if (!grid.strides) {
    body(grid.wide ? `(unsigned long long)${own}` : own);
    return;
  }
  const name = code.name('block');
  const head = `for (${unitType(grid)} ${name} = ${own}; ${name} < ${grid.count}u; ${name} += gridDim.x)`;
  code.block(head, () => body(name));
}
