import { type Device, type DType, FormatError, type Tensor } from '@tutti/core';
import { checkOptions, fromHost, type OptionNames } from '@tutti/core/graph';
import { bytesOf, tensorDType } from './dtype.ts';
import { headerLength, type Metadata, parseHeader, prefixBytes, type TensorEntry } from './header.ts';

export interface DecodeOptions {
  /**
   * Loads F64 as float32, I64 as int32 and U64 as uint32 instead of refusing them. An integer that does not fit is still
   * an error. Default false.
   */
  readonly narrow64?: boolean;
  /** Where the tensors go. Default: the default device. */
  readonly device?: Device;
  /** What messages call the bytes. Default "safetensors data". */
  readonly source?: string;
}

export const decodeOptions: OptionNames<DecodeOptions> = { narrow64: true, device: true, source: true };

/**
 * The tensors in the bytes of a safetensors file. The bytes are copied.
 *
 * @throws FormatError when anything in the header is wrong or does not fit the bytes; the message names the tensor.
 * @example model.loadStateDict(decodeSafetensors(new Uint8Array(await response.arrayBuffer())));
 */
export function decodeSafetensors(bytes: Uint8Array, options: DecodeOptions = {}): Record<string, Tensor> {
  checkOptions('decodeSafetensors', options, decodeOptions);
  const source = options.source ?? defaultSource;
  const { header, data } = split(bytes, source);
  return tensorTable(
    header.entries.map((entry) => {
      const own = new Uint8Array(entry.end - entry.begin); // not slice(): that of a Buffer shares its memory
      own.set(data.subarray(entry.begin, entry.end));
      return [entry.name, decodeTensor(entry, own, source, options)];
    }),
  );
}

/** The texts in the header of a safetensors file. @throws FormatError as `decodeSafetensors` does. */
export function safetensorsMetadata(bytes: Uint8Array, source: string = defaultSource): Metadata {
  return split(bytes, source).header.metadata;
}

const defaultSource = 'safetensors data';

function split(
  bytes: Uint8Array,
  source: string,
): { header: ReturnType<typeof parseHeader>; data: Uint8Array } {
  const start = prefixBytes + headerLength(bytes.subarray(0, prefixBytes), bytes.length, source);
  const data = bytes.subarray(start);
  return { header: parseHeader(bytes.subarray(prefixBytes, start), data.length, source), data };
}

/** A record in which every name is a field, `__proto__` too. */
export function tensorTable(entries: readonly (readonly [string, Tensor])[]): Record<string, Tensor> {
  return Object.fromEntries(entries);
}

/** One tensor. `bytes` now belong to it and begin at a multiple of 8 of their buffer. */
export function decodeTensor(
  entry: TensorEntry,
  bytes: Uint8Array,
  source: string,
  options: DecodeOptions,
): Tensor {
  const where = `${source}: tensor ${JSON.stringify(entry.name)}`;
  const dtype = tensorDType(entry.dtype, options.narrow64 ?? false, where);
  const length = bytes.length / bytesOf(entry.dtype, where);
  const { buffer, byteOffset } = bytes as Uint8Array<ArrayBuffer>;
  const arrays: Record<DType, () => Parameters<typeof fromHost>[0]> = {
    float32: () => new Float32Array(buffer, byteOffset, length),
    float16: () => new Uint16Array(buffer, byteOffset, length),
    bfloat16: () => new Uint16Array(buffer, byteOffset, length),
    int32: () => new Int32Array(buffer, byteOffset, length),
    uint32: () => new Uint32Array(buffer, byteOffset, length),
    uint8: () => bytes,
    bool: () => checkBooleans(bytes, where),
  };
  const host = entry.dtype.endsWith('64') ? narrow(bytes, entry.dtype, length, where) : arrays[dtype]();
  return fromHost(host, entry.shape, dtype, options.device);
}

function checkBooleans(bytes: Uint8Array, where: string): Uint8Array {
  const at = bytes.findIndex((byte) => byte > 1);
  if (at < 0) return bytes;
  throw new FormatError(`${where}: element ${at} is ${bytes[at]}, which is no BOOL`, {
    op: 'decodeSafetensors',
    received: bytes[at],
    fix: 'a BOOL is 0 or 1; the file is damaged',
  });
}

function narrow(
  bytes: Uint8Array,
  code: string,
  length: number,
  where: string,
): Float32Array | Int32Array | Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (code === 'F64') return Float32Array.from({ length }, (_, i) => view.getFloat64(i * 8, true));
  const result = code === 'I64' ? new Int32Array(length) : new Uint32Array(length);
  for (let i = 0; i < length; i++) {
    const value = code === 'I64' ? view.getBigInt64(i * 8, true) : view.getBigUint64(i * 8, true);
    result[i] = Number(value);
    if (BigInt(result[i]!) === value) continue;
    throw new FormatError(`${where}: element ${i} is ${value}, which does not fit into 32 bits`, {
      op: 'decodeSafetensors',
      received: value,
      fix: 'convert the tensor where the file is written',
    });
  }
  return result;
}
