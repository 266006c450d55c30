import { type DType, FormatError } from '@tutti/core';

/** Bytes of an element of every type that the format knows, whether a tensor can have it or not. */
const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

export const fileDTypes: Readonly<Record<DType, string>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int32: 'I32',
  uint32: 'U32',
  uint8: 'U8',
  bool: 'BOOL',
};

const direct: ReadonlyMap<string, DType> = new Map(
  Object.entries(fileDTypes).map(([dtype, code]) => [code, dtype as DType]),
);
/** What a 64-bit type is narrowed to on request. */
const narrowed: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['F64', 'float32'],
  ['I64', 'int32'],
  ['U64', 'uint32'],
]);

/** @throws FormatError for a type that the format does not know. */
export function bytesOf(code: string, where: string): number {
  if (Object.hasOwn(elementBytes, code)) return elementBytes[code]!;
  throw new FormatError(`${where} has the unknown dtype ${JSON.stringify(code)}`, {
    op: 'decodeSafetensors',
    received: code,
    fix: `the format knows ${Object.keys(elementBytes).join(', ')}`,
  });
}

/**
 * The dtype of a tensor that is loaded from elements of this type.
 *
 * @throws FormatError for a type that tensors do not have.
 */
export function tensorDType(code: string, narrow64: boolean, where: string): DType {
  const dtype = direct.get(code) ?? (narrow64 ? narrowed.get(code) : undefined);
  if (dtype) return dtype;
  const narrow = narrowed.get(code);
  throw new FormatError(`${where} has dtype ${code}, which tensors do not have`, {
    op: 'decodeSafetensors',
    received: code,
    fix: narrow
      ? `pass { narrow64: true } to load it as ${narrow}, or convert it where the file is written`
      : 'convert it to F32 or I32 where the file is written',
  });
}
