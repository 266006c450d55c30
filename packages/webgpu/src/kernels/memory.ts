/**
 * Elements in buffers of 32-bit words: float16 and bfloat16 two to a word, uint8 and bool four.
 *
 * An element of a narrow dtype is stored without disturbing its neighbours in one of two ways. Where one invocation has all
 * elements of a word, it stores the word. Otherwise two atomics clear and set the element's bits; the buffer is then an array of
 * atomics for the whole stage.
 */
import { type DType, dtypeInfo } from '@tutti/core/backend';

/** Elements of a dtype in a word. */
export const lanesOf = (dtype: DType): 1 | 2 | 4 => (4 / dtypeInfo[dtype].bytes) as 1 | 2 | 4;

const wideTypes: Partial<Record<DType, string>> = { float32: 'f32', int32: 'i32', uint32: 'u32' };

/** The WGSL type of what a buffer is an array of. */
export const wordType = (dtype: DType): string => wideTypes[dtype] ?? 'u32';

/** log2 of the elements in a word: the shift from an element's index to its word's. */
export const wordShift = (dtype: DType): number => Math.log2(lanesOf(dtype));

const bitsOf = (dtype: DType): number => 8 * dtypeInfo[dtype].bytes;

/** Element number `lane` of a word. */
export function unpackLane(dtype: DType, word: string, lane: number): string {
  const shift = lane * bitsOf(dtype);
  const moved = shift === 0 ? word : `(${word} >> ${shift}u)`;
  switch (dtype) {
    case 'float16':
      return `f16_to_f32(${moved})`;
    case 'bfloat16':
      return `bitcast<f32>(${lane === 0 ? `${word} * 65536u` : `${word} & 0xffff0000u`})`;
    case 'uint8':
      return lane === 3 ? moved : `(${moved} & 0xffu)`;
    case 'bool':
      return `((${word} & 0x${(255 * 2 ** shift).toString(16)}u) != 0u)`;
    default:
      return word;
  }
}

/** The value in the bits of `word` from `shift` on. */
function unpack(dtype: DType, word: string, shift: string): string {
  const bits = `(${word} >> ${shift})`;
  switch (dtype) {
    case 'float16':
      return `f16_to_f32(${bits})`;
    case 'bfloat16':
      return `bitcast<f32>(${bits} * 65536u)`;
    case 'uint8':
      return `(${bits} & 0xffu)`;
    case 'bool':
      return `((${bits} & 0xffu) != 0u)`;
    default:
      return word;
  }
}

/** The bits that stand for a value in memory, in the low end of a word. */
export function pack(dtype: DType, value: string): string {
  switch (dtype) {
    case 'float16':
      return `(f16_bits(${value}) >> 16u)`;
    case 'bfloat16':
      return `(bf16_bits(${value}) >> 16u)`;
    case 'uint8':
      return `(${value} & 0xffu)`;
    case 'bool':
      return `select(0u, 1u, ${value})`;
    default:
      return value;
  }
}

/** A word of elements, the first lowest. Constant shifts to the left are products, which software does faster. */
export function packWord(dtype: DType, values: readonly string[]): string {
  const element = (value: string, lane: number): string => {
    const shifted = 2 ** (lane * bitsOf(dtype));
    switch (dtype) {
      case 'float16':
        return lane === 0 ? pack(dtype, value) : `f16_bits(${value})`;
      case 'bfloat16':
        return lane === 0 ? pack(dtype, value) : `bf16_bits(${value})`;
      case 'bool':
        return `select(0u, 0x${shifted.toString(16)}u, ${value})`;
      default:
        return lane === 0 ? pack(dtype, value) : `(${pack(dtype, value)} * 0x${shifted.toString(16)}u)`;
    }
  };
  return values.map(element).join(' | ');
}

/** The bits of a word that its first `count` elements have, as a literal. */
export function maskOf(dtype: DType, count: number): string {
  return `0x${(2 ** (bitsOf(dtype) * count) - 1).toString(16)}u`;
}

/** From an element's index to its first bit in its word. */
const laneShift = (dtype: DType, index: string): string =>
  `((u32(${index}) & ${lanesOf(dtype) - 1}u) << ${Math.log2(bitsOf(dtype))}u)`;

/** `fn load_b(i)`: an element of a narrow buffer. */
export function loadFunction(name: string, dtype: DType, atomic: boolean): string {
  const place = `${name}[u32(i) >> ${wordShift(dtype)}u]`;
  const word = atomic ? `atomicLoad(&${place})` : place;
  return `fn load_${name}(i: i32) -> ${dtypeInfo[dtype].scalar} {
  return ${unpack(dtype, word, laneShift(dtype, 'i'))};
}`;
}

/** `fn store_b(i, bits)`: no other invocation stores to the same element. */
export function storeFunction(name: string, dtype: DType): string {
  return `fn store_${name}(i: i32, bits: u32) {
  let shift = ${laneShift(dtype, 'i')};
  let word = u32(i) >> ${wordShift(dtype)}u;
  atomicAnd(&${name}[word], ~(${maskOf(dtype, 1)} << shift));
  atomicOr(&${name}[word], bits << shift);
}`;
}
