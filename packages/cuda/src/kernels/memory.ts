/** Elements in memory, and as values. */
import { bare, type DType, dtypeInfo } from '@tutti/core/backend';

/** The C++ type of an element. The 16-bit floats are their bits. */
export const elementType: Readonly<Record<DType, string>> = {
  float32: 'float',
  float16: 'unsigned short',
  bfloat16: 'unsigned short',
  int32: 'int',
  uint32: 'unsigned',
  uint8: 'unsigned char',
  bool: 'unsigned char',
};

/** An element as a value of its scalar type. */
export function widened(dtype: DType, element: string): string {
  switch (dtype) {
    case 'float16':
      return `tutti_f16_to_f32(${element})`;
    case 'bfloat16':
      return `tutti_bf16_to_f32(${element})`;
    case 'uint8':
      return `(unsigned)${element}`;
    case 'bool':
      return `(${element} != 0)`;
    default:
      return element;
  }
}

/** A value of the dtype's scalar type as an element. */
export function narrowed(dtype: DType, value: string): string {
  switch (dtype) {
    case 'float16':
      return `tutti_f32_to_f16(${bare(value)})`;
    case 'bfloat16':
      return `tutti_f32_to_bf16(${bare(value)})`;
    case 'uint8':
    case 'bool':
      return `(unsigned char)${/^\w+$/.test(value) ? value : `(${bare(value)})`}`;
    default:
      return bare(value);
  }
}

/** Whether an element is its value, without conversion. */
export const isPlain = (dtype: DType): boolean => dtypeInfo[dtype].bytes === 4;
