/** Blocking of a matrix product: the tile, the blocks of m, n and k, what is packed, and how many units there are. */
import { ceilDiv, type DotAnchor, type DotOperand, product, roundUp } from '@tutti/core/backend';
import { chooseTile, sweepCycles, type Tile } from './tile.ts';
import { cyclesPerNanosecond, unitsFor } from './units.ts';

/** Longest block of k: a panel of 12 columns (18 KiB) and three rows stay in 48 KiB of first-level cache. */
const longestK = 384;
/** Most bytes of lhs that a block may hold in the second-level cache of 1 MiB. */
const blockBytes = 384 * 1024;
/** Matrices of this size or less stay in the first-level cache as they are. */
const residentBytes = 24 * 1024;
/** A larger rhs does not stay in the second-level cache. */
const streamedBytes = 512 * 1024;
/** A larger operand comes from memory: 0.07 ns a byte on one thread, else 0.025 at most. */
export const memoryBytes: number = 16 * 1024 * 1024;

/** A matrix product whose operands may have changed places: `slot` is the buffer they are bound to. */
export interface Product extends DotAnchor {
  readonly lhs: DotOperand & { readonly slot: number };
  readonly rhs: DotOperand & { readonly slot: number };
}

export interface GemmPlan {
  readonly tile: Tile;
  /** Sizes of a unit's block and of a block of k. */
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
  readonly chunks: number;
  /** Length of k in a chunk; a multiple of `k` unless there is one chunk. */
  readonly chunk: number;
  readonly packRows: boolean;
  readonly packColumns: boolean;
  /** Nanoseconds of all multiplication. */
  readonly time: number;
}

/** Cuts `total` into equal blocks of at most `most`, multiples of `step`. */
function evenBlock(total: number, most: number, step: number): number {
  const blocks = ceilDiv(total, Math.max(step, most));
  return Math.min(roundUp(ceilDiv(total, blocks), step), roundUp(total, step));
}

export function planGemm(anchor: Product): GemmPlan {
  const { m, n, k, lhs, rhs } = anchor;
  const batch = product(anchor.batch);
  const tile = chooseTile(m, n);
  const width = tile.vectors * 4;
  const rowsInPlace =
    lhs.column === 1 || (lhs.row === 1 && lhs.column * k * 4 <= residentBytes) || n <= width;
  const columnsInPlace =
    rhs.column === 1 && (rhs.row * k * 4 <= residentBytes || m <= 2 * tile.rows || k <= 4 || rhs.row === 0);
  // A large rhs that is hardly reused comes from memory: few rows of it at a time, as long as they are.
  const streamed = columnsInPlace && m <= 4 && k * n * 4 > streamedBytes;
  const kBlock = streamed ? Math.min(k, 8) : evenBlock(k, longestK, 4);
  const multiply = (batch * k * sweepCycles(tile, m, n)) / cyclesPerNanosecond;
  const time = Math.max(multiply, batch * k * n * 4 * (k * n * 4 > memoryBytes ? 0.07 : 0.025));

  let rows = evenBlock(m, Math.floor(blockBytes / (kBlock * 4)), tile.rows);
  let columns = evenBlock(n, streamed ? 4096 : 1536, width);
  let chunks = 1;
  const units = (): number => chunks * batch * ceilDiv(m, rows) * ceilDiv(n, columns);
  const wanted = unitsFor(time);
  // Halves blocks down to `least`. Narrower ones cost packing lhs again; shorter ones cost packing rhs again.
  const cut = (least: number): void => {
    while (units() < wanted) {
      const narrower = columns >= 2 * Math.max(least, width) && (columns > rows / 2 || rows < 2 * least);
      if (narrower && !(rowsInPlace === false && rows > columns)) columns = evenBlock(n, columns / 2, width);
      else if (rows >= 2 * least) rows = evenBlock(m, rows / 2, tile.rows);
      else if (narrower) columns = evenBlock(n, columns / 2, width);
      else return;
    }
  };
  if (!streamed) cut(128);
  // Two blocks of k at least, or loading and storing partial sums shows.
  if (units() < Math.min(streamed ? 16 : 8, wanted)) {
    chunks = Math.max(1, Math.min(16, ceilDiv(wanted, units()), Math.floor(k / (2 * kBlock))));
  }
  if (units() < Math.min(8, wanted)) cut(40);
  const chunk = chunks > 1 ? roundUp(ceilDiv(k, chunks), kBlock) : k;
  return {
    tile,
    rows,
    columns,
    k: kBlock,
    chunk,
    chunks: ceilDiv(k, chunk),
    packRows: !rowsInPlace,
    packColumns: !columnsInPlace,
    time,
  };
}
