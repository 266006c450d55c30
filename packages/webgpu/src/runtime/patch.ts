/**
 * Bytes that do not fill 32-bit words. WebGPU writes and copies whole words, so the first and last word of an odd range
 * are merged by a kernel.
 */
import type { WgslProgram } from '../program.ts';

/** `target[targetWord] = (target[targetWord] & ~mask) | (source[sourceWord] & mask)`; scalars: sourceWord, targetWord, mask. */
export const mergeWord: WgslProgram = {
  name: 'mergeWord',
  scalarTypes: ['u32', 'u32', 'u32'],
  workspaceBytes: 0,
  source: () => code,
  stages: [
    {
      get code() {
        return code;
      },
      workgroups: [1, 1, 1],
      bindings: [
        { source: { kind: 'buffer', index: 0 }, access: 'read' },
        { source: { kind: 'buffer', index: 1 }, access: 'readWrite' },
        { source: { kind: 'scalars' }, access: 'uniform' },
      ],
    },
  ],
};

const code = `@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_: array<u32>;
@group(0) @binding(2) var<uniform> scalars: array<vec4<u32>, 1>;

@compute @workgroup_size(1)
fn main() {
  let s = scalars[0];
  target_[s.y] = (target_[s.y] & ~s.z) | (source[s.x] & s.z);
}
`;

/** The bits of a little-endian word that hold its bytes `from` to `to` (exclusive). */
export function byteMask(from: number, to: number): number {
  const upTo = (byte: number): number => (byte >= 4 ? 0xffffffff : 2 ** (8 * byte) - 1);
  return (upTo(to) - upTo(from)) >>> 0;
}

/** A range of bytes as whole words between two words that are written in part. */
export interface WordRange {
  /** First byte of the whole words and the byte after the last; equal where there is none. */
  readonly from: number;
  readonly to: number;
  /** Words, and the bits of them, that are written in part. */
  readonly partial: readonly { readonly word: number; readonly mask: number }[];
}

/**
 * Splits the bytes `from` to `to` of a buffer of `size` bytes. What lies behind the end of the buffer is nobody's, so a
 * last word that reaches beyond it counts as whole.
 */
export function splitWords(from: number, to: number, size: number): WordRange {
  const end = to === size ? Math.ceil(to / 4) * 4 : to;
  const wholeFrom = Math.ceil(from / 4) * 4;
  const wholeTo = Math.floor(end / 4) * 4;
  const firstWord = Math.floor(from / 4);
  const lastWord = Math.floor(end / 4);
  if (wholeTo < wholeFrom) {
    const mask = byteMask(from % 4, end % 4);
    return { from: wholeFrom, to: wholeFrom, partial: [{ word: firstWord, mask }] };
  }
  const partial = [];
  if (from % 4 !== 0) partial.push({ word: firstWord, mask: byteMask(from % 4, 4) });
  if (end % 4 !== 0) partial.push({ word: lastWord, mask: byteMask(0, end % 4) });
  return { from: wholeFrom, to: wholeTo, partial };
}
