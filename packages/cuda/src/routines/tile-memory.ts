/**
 * How a tile of an operand lies in shared memory: in lines of pieces of 16 bytes.
 *
 *     major 'k'        a line is a row of lhs or a column of rhs, and runs along the contraction
 *     major 'outer'    a line is one step of the contraction, and runs along rows of lhs or columns of rhs
 *
 * An operand keeps the order that it has in memory, so that it is copied by 16 bytes at once. Pieces are permuted within a line, or
 * lines padded, so that the eight lanes of a warp that are served together always meet eight different groups of four banks:
 *
 * - CUDA cores read the same piece of lines that are 1 or 4 apart ('k'), or neighbouring pieces of one line ('outer').
 * - `ldmatrix` reads the same piece of eight neighbouring lines.
 * - TF32 operands of 'outer' are read by words, four lines and eight neighbouring elements at a time: lines are padded by 8 words.
 */
import { sum } from './text.ts';

export type Major = 'k' | 'outer';

/** What products are formed of: in registers of CUDA cores (f32, u32), or of tensor cores. */
export type Format = 'f32' | 'u32' | 'tf32' | 'f16' | 'bf16';

/** The C++ type of an element in shared memory. */
export const formatType: Readonly<Record<Format, string>> = {
  f32: 'float',
  u32: 'unsigned',
  tf32: 'float',
  f16: 'unsigned short',
  bf16: 'unsigned short',
};

export const formatBytes = (format: Format): 2 | 4 => (format === 'f16' || format === 'bf16' ? 2 : 4);

/** The piece that changes places with another: `piece ^ ((line >> shift) & mask)`. */
export interface Permutation {
  readonly shift: number;
  readonly mask: number;
}

export interface TileMemory {
  readonly format: Format;
  readonly major: Major;
  /** Rows of lhs, or columns of rhs. */
  readonly outer: number;
  /** Steps of the contraction. */
  readonly depth: number;
  /** Elements of a piece. */
  readonly lanes: number;
  readonly lines: number;
  /** Elements of a line. */
  readonly length: number;
  /** Bytes of a tile, and from one line to the next. */
  readonly bytes: number;
  readonly pitch: number;
  readonly permutation: Permutation | undefined;
  /** The place of a piece in bytes, from texts. */
  readonly at: (line: string, piece: string) => string;
}

export function tileMemory(format: Format, major: Major, outer: number, depth: number): TileMemory {
  const bytes = formatBytes(format);
  const lanes = 16 / bytes;
  const [lines, length] = major === 'k' ? [outer, depth] : [depth, outer];
  const { pad, permutation } = arrangement(format, major, length * bytes);
  const pitch = length * bytes + pad;
  return {
    format,
    major,
    outer,
    depth,
    lanes,
    lines,
    length,
    bytes: lines * pitch,
    pitch,
    permutation,
    at: (line, piece) => `(${sum(`(${line}) * ${pitch}`, `(${permuted(line, piece, permutation)}) * 16`)})`,
  };
}

/** A tile whose lines run along the contraction, seen as one whose lines are steps of another: the same bytes. */
export const asSteps = (memory: TileMemory): TileMemory => ({
  ...memory,
  major: 'outer',
  outer: memory.length,
  depth: memory.lines,
});

function permuted(line: string, piece: string, permutation: Permutation | undefined): string {
  if (!permutation) return piece;
  const { shift, mask } = permutation;
  return `(${piece}) ^ (((${line}) >> ${shift}) & ${mask})`;
}

/** Padding of a line in bytes, and the permutation within it. */
function arrangement(
  format: Format,
  major: Major,
  lineBytes: number,
): { readonly pad: number; readonly permutation?: Permutation } {
  if (format === 'f32' || format === 'u32')
    return major === 'k' ? { pad: 16, permutation: { shift: 3, mask: 3 } } : { pad: 0 };
  if (format === 'tf32' && major === 'outer') return { pad: 32 };
  // Eight lines of 32 or 64 bytes fill two or four rows of banks.
  const shift = lineBytes >= 128 ? 0 : lineBytes === 64 ? 1 : 2;
  return { pad: 0, permutation: { shift, mask: 7 >> shift } };
}
