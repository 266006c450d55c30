/** Attention that every backend's routines are tested with, against the contract's formula in float64. */
import {
  type AttentionAnchor,
  type BufferParam,
  type DotOperand,
  type DType,
  type Epilogue,
  ExpressionBuilder,
} from '../../backend/index.ts';
import { type BufferContents, bufferContents, readElement, writeElement } from '../interpret.ts';
import type { AnchorCase } from './case.ts';

export type AttentionCase = AnchorCase<AttentionAnchor>;

export interface AttentionOptions {
  readonly batch?: readonly number[];
  readonly queries: number;
  readonly keys: number;
  readonly width: number;
  readonly valueWidth: number;
  readonly causal?: boolean;
  /** Of bool: every third key is hidden, and from the fourth query on every fifth query sees none. */
  readonly mask?: 'bool' | 'float32';
  /** The dtype of the operands. */
  readonly dtype?: DType;
  /** The dtype of the result. */
  readonly out?: DType;
  /** Heads beside each other in a row, as a layer's projection leaves them. */
  readonly interleaved?: boolean;
  /** Rows and columns change places in memory, behind some other elements. */
  readonly transposed?: boolean;
  /** The last element of the values is Inf, and one of the third query is NaN. */
  readonly infinite?: boolean;
  /** `result * scalar + an element's own number`. */
  readonly epilogue?: boolean;
}

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);
/** Numbers with few digits, which every dtype holds. */
const numberAt = (i: number): number => (((i * 2654435761) >>> 16) % 65) / 16 - 2;
/** The value of the anchor's scalar. */
const factor = 0.5;
/** Elements before a transposed operand. */
const before = 3;

/** How far a value of a dtype may be off when it was rounded to it, in parts of itself. */
const rounding: Readonly<Partial<Record<DType, number>>> = { float16: 2 ** -10, bfloat16: 2 ** -7 };

/** Places the operand's elements, and says how many there are. */
function placed(
  { batch = [], interleaved, transposed }: AttentionOptions,
  dtype: DType,
  rows: number,
  columns: number,
): { readonly operand: DotOperand; readonly length: number } {
  const heads = interleaved ? batch.at(-1)! : 1;
  const strides: number[] = [];
  let stride = rows * columns * heads;
  for (let d = batch.length - 1; d >= 0; d--) {
    const inRow = interleaved && d === batch.length - 1;
    strides[d] = inRow ? columns : stride;
    if (!inRow) stride *= batch[d]!;
  }
  const offset = transposed ? before : 0;
  const [row, column] = transposed ? [1, rows] : [columns * heads, 1];
  return {
    operand: { dtype, offset, batch: strides, row, column },
    length: product(batch) * rows * columns + offset,
  };
}

function attentionAnchor(options: AttentionOptions): AttentionAnchor {
  const { batch = [], queries, keys, width, valueWidth, causal = false, mask, dtype = 'float32' } = options;
  const elements = product(batch) * queries * valueWidth;
  const query = placed(options, dtype, queries, width);
  const key = placed(options, dtype, keys, width);
  const value = placed(options, dtype, keys, valueWidth);
  const seen = mask && placed(options, mask, queries, keys);
  const buffers: BufferParam[] = [query, key, value, ...(seen ? [seen] : [])].map(({ operand, length }) => ({
    dtype: operand.dtype,
    length,
    access: 'read',
  }));
  buffers.push({ dtype: options.out ?? 'float32', length: elements, access: 'write' });
  if (options.epilogue) buffers.push({ dtype: 'float32', length: elements, access: 'read' });
  const rows = product(batch) * queries;
  return {
    kind: 'attention',
    name: 'attention',
    ...{ batch, queries, keys, width, valueWidth, scale: 1 / Math.sqrt(width), causal },
    ...{ query: query.operand, key: key.operand, value: value.operand },
    ...(seen ? { mask: seen.operand } : {}),
    ...{ type: 'f32', buffers, scalars: options.epilogue ? ['f32'] : [] },
    ...(options.epilogue ? { epilogue: epilogueOf(rows, valueWidth, buffers.length - 1) } : {}),
  };
}

function epilogueOf(rows: number, columns: number, own: number): Epilogue {
  const b = new ExpressionBuilder();
  const space = [
    { name: 'row', extent: rows },
    { name: 'column', extent: columns },
  ];
  const [row, column] = space.map((variable) => b.index(variable)) as [
    ReturnType<typeof b.index>,
    ReturnType<typeof b.index>,
  ];
  const flat = b.alu('add', 'i32', b.alu('mul', 'i32', row, b.int(columns)), column);
  const scaled = b.alu('mul', 'f32', b.accumulator('f32', 0), b.scalar('f32', 0));
  return { space, value: b.alu('add', 'f32', scaled, b.load('f32', own, flat)) };
}

function contentsOf({ buffers, mask }: AttentionAnchor, options: AttentionOptions): BufferContents[] {
  return buffers.map(({ dtype, length, access }, slot) => {
    const contents = bufferContents(dtype, length);
    if (access === 'write') return contents;
    const hides = mask?.dtype === 'bool' && slot === 3;
    const { queries, keys } = options;
    for (let i = 0; i < length; i++) {
      const query = Math.floor(i / keys) % queries;
      const hidden = i % 3 === 0 || (query >= 4 && query % 5 === 4);
      writeElement(dtype, contents, i, hides ? Number(!hidden) : numberAt(i + slot * 977));
    }
    if (options.infinite && slot === 2) writeElement(dtype, contents, length - 1, Number.POSITIVE_INFINITY);
    if (options.infinite && slot === 0) writeElement(dtype, contents, options.width * 2, Number.NaN);
    return contents;
  });
}

/** All results, before they are rounded. */
function resultsOf(anchor: AttentionAnchor, contents: readonly BufferContents[]): Float64Array {
  const { batch, queries, keys, width, valueWidth, scale, causal, mask } = anchor;
  const want = new Float64Array(product(batch) * queries * valueWidth);
  const at = (buffer: number, operand: DotOperand, entry: number, row: number, column: number): number => {
    let [rest, index] = [entry, operand.offset + row * operand.row + column * operand.column];
    for (let d = batch.length - 1; d >= 0; d--) {
      index += (rest % batch[d]!) * operand.batch[d]!;
      rest = Math.floor(rest / batch[d]!);
    }
    return readElement(operand.dtype, contents[buffer]!, index);
  };
  const scoreOf = (entry: number, i: number, j: number): number => {
    const seen = mask ? at(3, mask, entry, i, j) : 0;
    if ((causal && j > i) || (mask?.dtype === 'bool' && !seen)) return Number.NEGATIVE_INFINITY;
    let score = 0;
    for (let e = 0; e < width; e++)
      score += at(0, anchor.query, entry, i, e) * at(1, anchor.key, entry, j, e);
    return score * scale + (mask?.dtype === 'float32' ? seen : 0);
  };
  for (let entry = 0; entry < product(batch); entry++) {
    for (let i = 0; i < queries; i++) {
      const scores = Array.from({ length: keys }, (_, j) => scoreOf(entry, i, j));
      const top = Math.max(...scores);
      const powers = scores.map((score) => Math.exp(score - top));
      const total = powers.reduce((a, b) => a + b, 0);
      for (let c = 0; c < valueWidth; c++) {
        let sum = 0;
        for (let j = 0; j < keys; j++) sum += (powers[j]! / total) * at(2, anchor.value, entry, j, c);
        want[(entry * queries + i) * valueWidth + c] = sum;
      }
    }
  }
  if (anchor.epilogue) {
    const own = contents.at(-1)!;
    for (const i of want.keys()) want[i] = want[i]! * factor + own[i]!;
  }
  return want;
}

/** Results are within a hundred thousandth, and what their dtype rounds. */
export function attentionCase(name: string, options: AttentionOptions): AttentionCase {
  const anchor = attentionAnchor(options);
  const contents = (): BufferContents[] => contentsOf(anchor, options);
  const out = anchor.mask ? 4 : 3;
  const { dtype } = anchor.buffers[out]!;
  const check = (got: readonly BufferContents[]): string | undefined => {
    for (const [i, want] of resultsOf(anchor, contents()).entries()) {
      const value = readElement(dtype, got[out]!, i);
      if (Object.is(want, value)) continue;
      if (!(Math.abs(value - want) <= 1e-5 + (rounding[dtype] ?? 0) * Math.abs(want)))
        return `${name}: element ${i} is ${value}, not ${want}`;
    }
    return undefined;
  };
  return { name, anchor, scalars: anchor.scalars.map(() => factor), contents, check };
}

export const attentionLayers: Readonly<Record<string, AttentionOptions>> = {
  'one query and one key': { queries: 1, keys: 1, width: 1, valueWidth: 1 },
  'nothing fits a vector': { batch: [3], queries: 5, keys: 7, width: 3, valueWidth: 5 },
  'whole vectors, several batch axes': { batch: [2, 3], queries: 16, keys: 24, width: 8, valueWidth: 12 },
  'many queries': { batch: [2], queries: 150, keys: 33, width: 16, valueWidth: 16 },
  'many keys': { queries: 9, keys: 131, width: 4, valueWidth: 4 },
  'heads beside each other': {
    ...{ batch: [2, 4], queries: 10, keys: 10, width: 8, valueWidth: 8 },
    interleaved: true,
  },
  causal: { batch: [2], queries: 20, keys: 20, width: 8, valueWidth: 8, causal: true },
  'more causal queries than keys': { queries: 20, keys: 6, width: 8, valueWidth: 8, causal: true },
  'many causal queries and keys': { queries: 140, keys: 150, width: 16, valueWidth: 8, causal: true },
  'a mask of bool': { batch: [2], queries: 11, keys: 13, width: 8, valueWidth: 4, mask: 'bool' },
  'a mask to add': { batch: [2], queries: 11, keys: 13, width: 8, valueWidth: 4, mask: 'float32' },
  'a mask and causal': { queries: 12, keys: 12, width: 4, valueWidth: 4, mask: 'bool', causal: true },
  'a mask of many keys': { queries: 70, keys: 99, width: 8, valueWidth: 8, mask: 'bool' },
  'float16 to float32': { batch: [2], queries: 9, keys: 10, width: 6, valueWidth: 8, dtype: 'float16' },
  'bfloat16 to float32': { batch: [2], queries: 9, keys: 10, width: 8, valueWidth: 6, dtype: 'bfloat16' },
  float16: {
    ...{ batch: [2], queries: 70, keys: 75, width: 40, valueWidth: 24 },
    ...{ dtype: 'float16', out: 'float16' },
  },
  bfloat16: {
    ...{ batch: [2], queries: 40, keys: 90, width: 64, valueWidth: 64, causal: true },
    ...{ dtype: 'bfloat16', out: 'bfloat16' },
  },
  'rows and columns change places': {
    ...{ queries: 20, keys: 18, width: 12, valueWidth: 10, mask: 'float32' },
    transposed: true,
  },
  'float16 whose rows and columns change places': {
    ...{ queries: 20, keys: 18, width: 16, valueWidth: 16 },
    ...{ dtype: 'float16', transposed: true },
  },
  'with an epilogue': { batch: [2], queries: 9, keys: 12, width: 8, valueWidth: 8, epilogue: true },
  'float16 with an epilogue': {
    ...{ batch: [2], queries: 9, keys: 12, width: 8, valueWidth: 10, epilogue: true },
    dtype: 'float16',
  },
  'values and queries that are not finite': { queries: 9, keys: 20, width: 8, valueWidth: 8, infinite: true },
  'float16 that is not finite': {
    ...{ queries: 70, keys: 20, width: 8, valueWidth: 8, infinite: true },
    dtype: 'float16',
  },
  'wide queries': { queries: 5, keys: 6, width: 128, valueWidth: 8 },
  'wide values': { queries: 5, keys: 6, width: 8, valueWidth: 128 },
};

/** All of them. */
export const attentionCases = (): AttentionCase[] =>
  Object.entries(attentionLayers).map(([name, options]) => attentionCase(name, options));
