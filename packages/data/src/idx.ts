/** The idx format of the MNIST files: http://yann.lecun.com/exdb/mnist, "the IDX file format". Big-endian. */
import { FormatError } from '@tutti/core';
import type { NdArray, TypedArray } from './ndarray.ts';

export type IdxDType = 'uint8' | 'int8' | 'int16' | 'int32' | 'float32' | 'float64';

export interface IdxArray extends NdArray {
  readonly dtype: IdxDType;
}

interface IdxType {
  readonly dtype: IdxDType;
  readonly bytes: number;
  readonly decode: (view: DataView, length: number) => TypedArray;
}

type Read = (view: DataView, byteOffset: number) => number;

const decoder =
  <T extends TypedArray>(array: new (length: number) => T, bytes: number, read: Read) =>
  (view: DataView, length: number): T => {
    const data = new array(length);
    for (let i = 0; i < length; i++) data[i] = read(view, i * bytes);
    return data;
  };

const copyBytes = (view: DataView): Uint8Array =>
  new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).slice();

const types: ReadonlyMap<number, IdxType> = new Map<number, IdxType>([
  [0x08, { dtype: 'uint8', bytes: 1, decode: copyBytes }],
  [0x09, { dtype: 'int8', bytes: 1, decode: (view) => new Int8Array(copyBytes(view).buffer) }],
  [0x0b, { dtype: 'int16', bytes: 2, decode: decoder(Int16Array, 2, (view, at) => view.getInt16(at)) }],
  [0x0c, { dtype: 'int32', bytes: 4, decode: decoder(Int32Array, 4, (view, at) => view.getInt32(at)) }],
  [0x0d, { dtype: 'float32', bytes: 4, decode: decoder(Float32Array, 4, (view, at) => view.getFloat32(at)) }],
  [0x0e, { dtype: 'float64', bytes: 8, decode: decoder(Float64Array, 8, (view, at) => view.getFloat64(at)) }],
]);

/**
 * The array in an idx file: two zero bytes, a byte for the type, a byte for the number of axes, a 32-bit extent for each
 * axis, the elements in row-major order.
 *
 * @param name is what messages call the bytes.
 * @throws FormatError when the header is not one of an idx file, or does not fit the number of bytes.
 */
export function readIdx(bytes: Uint8Array, name = 'idx data'): IdxArray {
  const fail = (what: string, received: unknown, fix: string): never => {
    throw new FormatError(`${name}: ${what}`, { op: 'readIdx', received, fix });
  };
  if (isGzip(bytes)) fail('compressed with gzip', bytes.subarray(0, 4), 'pass `await gunzip(bytes)`');
  const type = bytes[0] === 0 && bytes[1] === 0 ? types.get(bytes[2] ?? 0) : undefined;
  if (bytes.length < 4 || !type) {
    return fail(
      'not an idx file',
      bytes.slice(0, 4),
      'an idx file starts with 0, 0, a type (8, 9, 11 to 14), a rank',
    );
  }
  const rank = bytes[3]!;
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    fail(
      `${bytes.length} bytes are too few for a header with ${rank} axes`,
      bytes.length,
      'the file is cut off',
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const length = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length - header !== length * type.bytes) {
    const promised = `${type.dtype} [${shape.join(', ')}] (${length * type.bytes} bytes)`;
    const there = bytes.length - header;
    fail(
      `the header says ${promised}, but ${there} bytes follow`,
      shape,
      'the file is cut off or damaged: get it again',
    );
  }
  const body = new DataView(bytes.buffer, bytes.byteOffset + header, length * type.bytes);
  return { dtype: type.dtype, shape, data: type.decode(body, length) };
}

export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/**
 * Unpacks gzip data.
 *
 * @throws FormatError when it is cut off or damaged.
 */
export async function gunzip(bytes: Uint8Array, name = 'gzip data'): Promise<Uint8Array> {
  try {
    const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
      .stream()
      .pipeThrough(new DecompressionStream('gzip'));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (cause) {
    throw new FormatError(`${name}: damaged gzip data`, {
      op: 'gunzip',
      received: bytes.length,
      fix: 'the file is cut off or damaged: get it again',
      cause,
    });
  }
}
