/** Ranges of bytes as texels, and ranges of texels as rectangles. */
import type { Rectangle } from '../gpu/draw.ts';
import { texelBytes } from './pool.ts';

/** Bytes `from` to `to` (exclusive) of a texel. */
export interface PartialTexel {
  readonly texel: number;
  readonly from: number;
  readonly to: number;
}

/** A range of bytes as whole texels between two that are written in part. */
export interface TexelRange {
  /** The first whole texel and the one after the last; equal where there is none. */
  readonly from: number;
  readonly to: number;
  readonly partial: readonly PartialTexel[];
}

/**
 * Splits the bytes `from` to `to` of a buffer of `size` bytes. What lies behind the end of the buffer is nobody's, so a last texel
 * that reaches beyond it counts as whole.
 */
export function splitTexels(from: number, to: number, size: number): TexelRange {
  const end = to === size ? Math.ceil(to / texelBytes) * texelBytes : to;
  const wholeFrom = Math.ceil(from / texelBytes);
  const wholeTo = Math.floor(end / texelBytes);
  const [fromIn, endIn] = [from % texelBytes, end % texelBytes];
  if (wholeTo < wholeFrom) {
    return { from: wholeFrom, to: wholeFrom, partial: [{ texel: wholeTo, from: fromIn, to: endIn }] };
  }
  const partial: PartialTexel[] = [];
  if (fromIn > 0) partial.push({ texel: wholeFrom - 1, from: fromIn, to: texelBytes });
  if (endIn > 0) partial.push({ texel: wholeTo, from: 0, to: endIn });
  return { from: wholeFrom, to: wholeTo, partial };
}

/** The bits of the four words of a texel that hold its bytes `from` to `to`. */
export function wordMasks({ from, to }: PartialTexel): number[] {
  const bytes = new Uint8Array(texelBytes).fill(0xff, from, to);
  return [...new Int32Array(bytes.buffer)];
}

/** The texels `from` to `to` (exclusive) of a texture: the rest of a row, whole rows, the beginning of a row. */
export function rectanglesOf(from: number, to: number, width: number): Rectangle[] {
  const rectangles: Rectangle[] = [];
  let at = from;
  while (at < to) {
    const x = at % width;
    const y = Math.floor(at / width);
    const rows = Math.floor((to - at) / width);
    const whole = x === 0 && rows > 0;
    const rectangle = whole
      ? { x, y, width, height: rows }
      : { x, y, width: Math.min(to - at, width - x), height: 1 };
    rectangles.push(rectangle);
    at += rectangle.width * rectangle.height;
  }
  return rectangles;
}

/** Cuts rectangles so that none has more than `most` texels. */
export function bandsOf(rectangles: readonly Rectangle[], most: number): Rectangle[] {
  return rectangles.flatMap((rectangle) => {
    const { x, y, width, height } = rectangle;
    if (width * height <= most) return [rectangle];
    const bands: Rectangle[] = [];
    const columns = Math.max(1, Math.min(width, most));
    const rows = Math.max(1, Math.floor(most / columns));
    for (let row = 0; row < height; row += rows) {
      for (let column = 0; column < width; column += columns) {
        bands.push({
          x: x + column,
          y: y + row,
          width: Math.min(columns, width - column),
          height: Math.min(rows, height - row),
        });
      }
    }
    return bands;
  });
}
