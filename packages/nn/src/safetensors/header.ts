/**
 * The header of the safetensors format (https://huggingface.co/docs/safetensors): 8 bytes with the length N of the header,
 * N bytes of JSON `{ name: { dtype, shape, data_offsets: [begin, end] }, .., "__metadata__": { text: text } }`, then the
 * data. Offsets count from the start of the data, without overlaps or gaps.
 */
import { FormatError } from '@tutti/core';
import { bytesOf } from './dtype.ts';
import { duplicateKey } from './duplicate-key.ts';

/** Bytes before the JSON text. */
export const prefixBytes = 8;
/** The limit of the format's own reader, against files that claim absurd lengths. */
const maxHeaderBytes = 100_000_000;
const metadataKey = '__metadata__';

export interface TensorEntry {
  readonly name: string;
  /** The format's word for the element type. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Offsets in bytes from the start of the data. */
  readonly begin: number;
  readonly end: number;
}

export type Metadata = Readonly<Record<string, string>>;

export interface Header {
  /** In the order of their data. */
  readonly entries: readonly TensorEntry[];
  readonly metadata: Metadata;
}

function fail(source: string, what: string, received?: unknown, fix = damaged, cause?: unknown): never {
  throw new FormatError(`${source}: ${what}`, { op: 'decodeSafetensors', received, fix, cause });
}
const damaged = 'the file is cut off, damaged, or not in the safetensors format: get or write it again';

/**
 * The length of the JSON text, from the first bytes of a file of `total` bytes.
 *
 * @throws FormatError when that many bytes do not follow.
 */
export function headerLength(prefix: Uint8Array, total: number, source: string): number {
  if (total < prefixBytes || prefix.length < prefixBytes) {
    fail(source, `${total} bytes are too few for a safetensors file`, total);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefixBytes);
  const length = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (length > maxHeaderBytes)
    fail(source, `a header of ${length} bytes is above the limit of ${maxHeaderBytes}`, length);
  if (prefixBytes + length > total) {
    fail(source, `a header of ${length} bytes does not fit into ${total} bytes`, length);
  }
  return length;
}

/**
 * Reads and checks the JSON text of a header that `dataBytes` bytes of data follow.
 *
 * @throws FormatError; the message names `source` and the tensor.
 */
export function parseHeader(json: Uint8Array, dataBytes: number, source: string): Header {
  const table = parseTable(json, source);
  const metadata = Object.hasOwn(table, metadataKey) ? parseMetadata(table[metadataKey], source) : {};
  const entries = Object.keys(table)
    .filter((name) => name !== metadataKey)
    .map((name) => parseEntry(name, table[name], source))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkLayout(entries, dataBytes, source);
  return { entries, metadata };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parseTable(json: Uint8Array, source: string): Record<string, unknown> {
  let text: string;
  let table: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    table = JSON.parse(text);
  } catch (cause) {
    return fail(source, 'the header is not JSON', json.slice(0, 64), damaged, cause);
  }
  if (!isRecord(table) || !text.startsWith('{'))
    fail(source, 'the header is not a JSON object', text.slice(0, 64));
  const twice = duplicateKey(text);
  if (twice !== undefined) fail(source, `the header has the key ${JSON.stringify(twice)} twice`, twice);
  return table as Record<string, unknown>;
}

function parseMetadata(value: unknown, source: string): Metadata {
  if (!isRecord(value) || !Object.values(value).every((each) => typeof each === 'string')) {
    fail(source, 'the metadata is not a table of texts', value);
  }
  return value as Metadata;
}

function parseEntry(name: string, value: unknown, source: string): TensorEntry {
  const where = `tensor ${JSON.stringify(name)}`;
  if (!isRecord(value)) fail(source, `${where} has no description`, value);
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string') fail(source, `${where} has no dtype`, dtype);
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    fail(source, `${where}: the shape ${JSON.stringify(shape)} is not a list of counts`, shape);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    fail(source, `${where}: data_offsets ${JSON.stringify(offsets)} are not a begin and an end`, offsets);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = (shape as number[]).reduce(
    (product, extent) => product * extent,
    bytesOf(dtype, `${source}: ${where}`),
  );
  if (end - begin !== bytes) {
    fail(
      source,
      `${where}: ${dtype} [${shape}] takes ${bytes} bytes, data_offsets ${begin} to ${end} are ${end - begin}`,
      offsets,
    );
  }
  return { name, dtype, shape: shape as number[], begin, end };
}

function checkLayout(entries: readonly TensorEntry[], dataBytes: number, source: string): void {
  let position = 0;
  for (const { name, begin, end } of entries) {
    const where = `tensor ${JSON.stringify(name)}`;
    if (end > dataBytes) {
      fail(source, `${where} ends at byte ${end} of the data, of which there are ${dataBytes}`, [begin, end]);
    }
    if (begin < position)
      fail(source, `${where} begins at byte ${begin}, inside of the tensor before it`, [begin, end]);
    if (begin > position)
      fail(source, `${where} begins at byte ${begin}; bytes ${position} to ${begin} are of no tensor`, [
        begin,
        end,
      ]);
    position = end;
  }
  if (position !== dataBytes)
    fail(source, `${dataBytes - position} bytes after the last tensor are of no tensor`, dataBytes);
}

/** The first bytes of a file: length and JSON text, padded with spaces so that the data begins at a multiple of 8. */
export function encodeHeader({ entries, metadata }: Header): Uint8Array {
  const table = entries.map(({ name, dtype, shape, begin, end }): [string, unknown] => [
    name,
    { dtype, shape, data_offsets: [begin, end] },
  ]);
  if (Object.keys(metadata).length > 0) table.unshift([metadataKey, metadata]);
  const members = table.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(prefixBytes + length).fill(0x20, prefixBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  bytes.set(json, prefixBytes);
  return bytes;
}
