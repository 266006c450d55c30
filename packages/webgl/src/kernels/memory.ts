/** Elements of buffers as values: of four consecutive elements, or of one for each lane. */
import { bare, type DType, dtypeInfo, InternalError } from '@tutti/core/backend';
import type { Library, Width } from './functions/index.ts';
import type { Source } from './shader.ts';
import { typeName, type Value } from './types.ts';

const units = {
  1: { quad: 'quad_of_bytes', from: 'bytes_from', at: 'byte_at' },
  2: { quad: 'quad_of_halves', from: 'halves_from', at: 'half_at' },
  4: { quad: undefined, from: 'words_from', at: 'word_at' },
} as const;

const unitOf = (dtype: DType): (typeof units)[1 | 2 | 4] => units[dtypeInfo[dtype].bytes as 1 | 2 | 4];

/** The value in the low bits of a word. */
function unpacked(dtype: DType, bits: string, width: Width, library: Library): string {
  switch (dtype) {
    case 'float32':
      return `uintBitsToFloat(${bits})`;
    case 'float16':
      return library.call('f16_to_f32', width, bits);
    case 'bfloat16':
      return library.call('bf16_to_f32', width, bits);
    case 'int32':
      return `${typeName('i32', width)}(${bits})`;
    case 'bool':
      return library.call('is_set', width, bits);
    default:
      return bits;
  }
}

/** The bits of four elements of a buffer: of number `index` of its quads, or from an element on. */
export function quadBits(
  dtype: DType,
  source: Source,
  index: string,
  aligned: boolean,
  library: Library,
): string {
  const unit = unitOf(dtype);
  if (aligned && !unit.quad) return source.texel(bare(index));
  if (source.texture) return library.call(aligned ? unit.quad! : unit.from, 'scalar', source.texture, index);
  if (unit.quad) throw new InternalError('what takes the place of a buffer has elements of 32 bits');
  const texels = ['', ' + 3'].map((more) => source.texel(`(${index}${more}) >> 2`));
  return library.call('window', 'scalar', ...texels, index);
}

/** Four elements as a vector. */
export function quadText(
  dtype: DType,
  source: Source,
  index: string,
  aligned: boolean,
  library: Library,
): string {
  return unpacked(dtype, quadBits(dtype, source, index, aligned, library), 'vector', library);
}

/** An element, or one for each lane. */
export function elementText(dtype: DType, source: Source, index: Value, library: Library): string {
  if (!source.texture) throw new InternalError('what takes the place of a buffer is read by fours');
  const bits = library.call(unitOf(dtype).at, index.width, source.texture, index.text);
  return unpacked(dtype, bits, index.width, library);
}

/** The bits that stand for a value in memory, in the low end of a word. */
export function packed(dtype: DType, { text, width }: Value, library: Library): string {
  switch (dtype) {
    case 'float32':
      return `floatBitsToUint(${bare(text)})`;
    case 'float16':
      return library.call('f16_bits', width, text);
    case 'bfloat16':
      return library.call('bf16_bits', width, text);
    case 'uint32':
      return text;
    case 'uint8':
      return `(${text} & 0xffu)`;
    default:
      return `${typeName('u32', width)}(${bare(text)})`;
  }
}
