/** Gradients of attention that every backend's routines are tested with, against the contract's formula in float64. */
import {
  type AttentionGradientAnchor,
  type AttentionOperandName,
  type BufferParam,
  type DType,
  product,
} from '../../backend/index.ts';
import { type BufferContents, bufferContents, readElement, writeElement } from '../interpret.ts';
import { attentionLayers } from './attention.ts';
import {
  type AttentionOptions,
  elementOf,
  epilogueOf,
  factor,
  numberAt,
  placed,
  placedOperands,
  read,
  rounding,
  weightsOf,
} from './attention-operands.ts';
import type { AnchorCase } from './case.ts';

export type AttentionGradientCase = AnchorCase<AttentionGradientAnchor>;

export interface AttentionGradientOptions extends AttentionOptions {
  /** Default: all three. */
  readonly of?: readonly AttentionOperandName[];
  /** The dtype of the result's gradient. Default: that of the operands. */
  readonly gradient?: DType;
  /** A mask of bool hides all keys of the third query. */
  readonly blind?: boolean;
  /** An element of the third query is NaN. */
  readonly lost?: boolean;
  /** Gradients of the result, of float32, are from so much times as large on, and from query to query eight times larger. */
  readonly growing?: number;
}

const everything: readonly AttentionOperandName[] = ['query', 'key', 'value'];

/** Rows and columns of a gradient. */
const extentsOf = (
  { queries, keys, width, valueWidth }: AttentionOptions,
  name: AttentionOperandName,
): readonly [rows: number, columns: number] => [
  name === 'query' ? queries : keys,
  name === 'value' ? valueWidth : width,
];

function gradientAnchor(options: AttentionGradientOptions): AttentionGradientAnchor {
  const { operands, buffers: placedBuffers } = placedOperands(options);
  const { of = everything, gradient: dtype = options.dtype ?? 'float32' } = options;
  const entries = product(operands.batch);
  const gradient = placed(options, dtype, options.queries, options.valueWidth);
  const length = of.reduce((n, name) => n + entries * product(extentsOf(options, name)), 0);
  const { query, key, value, mask } = placedBuffers;
  const buffers: BufferParam[] = [
    ...[query, key, value, read(gradient), ...(mask ? [mask] : [])],
    { dtype: options.out ?? 'float32', length, access: 'write' },
    ...(options.epilogue ? [{ dtype: 'float32', length, access: 'read' } as const] : []),
  ];
  const [rows, columns] = extentsOf(options, of[0]!);
  return {
    ...{ kind: 'attentionGradient', name: 'attentionGradient', ...operands, of },
    ...{ gradient: gradient.operand, type: 'f32', buffers, scalars: options.epilogue ? ['f32'] : [] },
    ...(options.epilogue ? { epilogue: epilogueOf(entries * rows, columns, buffers.length - 1) } : {}),
  };
}

function contentsOf(
  { buffers, mask }: AttentionGradientAnchor,
  options: AttentionGradientOptions,
): BufferContents[] {
  const { keys, queries } = options;
  return buffers.map(({ dtype, length, access }, slot) => {
    const contents = bufferContents(dtype, length);
    if (access === 'write') return contents;
    const hides = mask?.dtype === 'bool' && slot === 4;
    for (let i = 0; i < length; i++) {
      const hidden = (i % keys) % 3 === 2 || (options.blind === true && Math.floor(i / keys) % queries === 2);
      const query = Math.floor(i / options.valueWidth) % queries;
      const size = options.growing && slot === 3 ? options.growing * 8 ** query : 1;
      writeElement(dtype, contents, i, hides ? Number(!hidden) : numberAt(i + slot * 977) * size);
    }
    if (options.infinite && slot === 2) writeElement(dtype, contents, length - 1, Number.POSITIVE_INFINITY);
    if ((options.infinite || options.lost) && slot === 0)
      writeElement(dtype, contents, options.width * 2, Number.NaN);
    return contents;
  });
}

interface Gradient {
  readonly want: Float64Array;
  /** The sum of the magnitudes of each element's terms. */
  readonly magnitude: Float64Array;
}

/** All results, before they are rounded. */
function resultsOf(
  anchor: AttentionGradientAnchor,
  options: AttentionGradientOptions,
  contents: readonly BufferContents[],
): Gradient {
  const { batch, queries, keys, scale, of } = anchor;
  const parts = of.map((name) => {
    const [rows, columns] = extentsOf(options, name);
    return { name, rows, columns, ...emptyGradient(product(batch) * rows * columns) };
  });
  for (let entry = 0; entry < product(batch); entry++) {
    for (let i = 0; i < queries; i++) {
      const weights = weightsOf(anchor, contents, 4, entry, i);
      const slopes = slopesOf(anchor, contents, entry, i);
      const mean = slopes.reduce((sum, slope, j) => sum + weights[j]! * slope, 0);
      for (const { name, rows, columns, want, magnitude } of parts) {
        for (let j = 0; j < keys; j++) {
          const isValue = name === 'value';
          const factorOf = weights[j]! * (isValue ? 1 : scale * (slopes[j]! - mean));
          const size = weights[j]! * (isValue ? 1 : scale * (Math.abs(slopes[j]!) + Math.abs(mean)));
          const row = name === 'query' ? i : j;
          for (let c = 0; c < columns; c++) {
            const x = factorAt(anchor, contents, name, entry, [i, j], c);
            const at = (entry * rows + row) * columns + c;
            want[at] = want[at]! + factorOf * x;
            magnitude[at] = magnitude[at]! + size * Math.abs(x);
          }
        }
      }
    }
  }
  return {
    want: Float64Array.from(parts.flatMap(({ want }) => [...want])),
    magnitude: Float64Array.from(parts.flatMap(({ magnitude }) => [...magnitude])),
  };
}

const emptyGradient = (length: number): Gradient => ({
  want: new Float64Array(length),
  magnitude: new Float64Array(length),
});

/** The gradient of a query's weights. */
function slopesOf(
  { batch, keys, valueWidth, value, gradient }: AttentionGradientAnchor,
  contents: readonly BufferContents[],
  entry: number,
  i: number,
): number[] {
  return Array.from({ length: keys }, (_, j) => {
    let slope = 0;
    for (let c = 0; c < valueWidth; c++)
      slope +=
        elementOf(contents[3]!, batch, gradient, entry, [i, c]) *
        elementOf(contents[2]!, batch, value, entry, [j, c]);
    return slope;
  });
}

/** What is weighed for a gradient. */
function factorAt(
  { batch, query, key, gradient }: AttentionGradientAnchor,
  contents: readonly BufferContents[],
  name: AttentionOperandName,
  entry: number,
  [i, j]: readonly [query: number, key: number],
  column: number,
): number {
  if (name === 'query') return elementOf(contents[1]!, batch, key, entry, [j, column]);
  if (name === 'key') return elementOf(contents[0]!, batch, query, entry, [i, column]);
  return elementOf(contents[3]!, batch, gradient, entry, [i, column]);
}

/** Results are within a hundred thousandth of their terms, a millionth of the largest, and what their dtype rounds. */
export function attentionGradientCase(
  name: string,
  options: AttentionGradientOptions,
): AttentionGradientCase {
  const anchor = gradientAnchor(options);
  const contents = (): BufferContents[] => contentsOf(anchor, options);
  const out = anchor.mask ? 5 : 4;
  const { dtype } = anchor.buffers[out]!;
  const check = (got: readonly BufferContents[]): string | undefined => {
    const operands = contents();
    const { want, magnitude } = resultsOf(anchor, options, operands);
    const own = operands.at(-1)!;
    const largest = magnitude.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 0);
    for (const [i, sum] of want.entries()) {
      const wanted = anchor.epilogue ? sum * factor + own[i]! : sum;
      const value = readElement(dtype, got[out]!, i);
      // Which of Inf and NaN is not said.
      if (!Number.isFinite(wanted) && !Number.isFinite(value)) continue;
      const near = 1e-5 * magnitude[i]! + 1e-6 * largest + (rounding[dtype] ?? 0) * Math.abs(wanted);
      if (!(Math.abs(value - wanted) <= near)) return `${name}: element ${i} is ${value}, not ${wanted}`;
    }
    return undefined;
  };
  return { name, anchor, scalars: anchor.scalars.map(() => factor), contents, check };
}

const own: Readonly<Record<string, AttentionGradientOptions>> = {
  'of the keys alone': { batch: [2], queries: 9, keys: 70, width: 8, valueWidth: 8, of: ['key'] },
  'of the values and the queries': { queries: 33, keys: 9, width: 5, valueWidth: 7, of: ['value', 'query'] },
  'of keys that no query sees': { queries: 6, keys: 80, width: 8, valueWidth: 8, causal: true },
  'with an epilogue': { queries: 9, keys: 12, width: 8, valueWidth: 8, of: ['query'], epilogue: true },
  'in 16 bits': {
    ...{ queries: 9, keys: 12, width: 8, valueWidth: 8, of: ['value'] },
    ...{ dtype: 'float16', out: 'float16', epilogue: true },
  },
  'of float16, from float32': {
    queries: 20,
    keys: 12,
    width: 8,
    valueWidth: 8,
    dtype: 'float16',
    gradient: 'float32',
  },
  'of bfloat16, from float32': {
    queries: 70,
    keys: 75,
    width: 40,
    valueWidth: 24,
    dtype: 'bfloat16',
    gradient: 'float32',
  },
  'of float16, from gradients of all sizes': {
    ...{ batch: [2], queries: 30, keys: 12, width: 8, valueWidth: 8, causal: true },
    ...{ dtype: 'float16', gradient: 'float32', growing: 2 ** -60 },
  },
  'a query without keys': {
    batch: [2],
    queries: 11,
    keys: 13,
    width: 8,
    valueWidth: 4,
    mask: 'bool',
    blind: true,
  },
  'a causal query that is not finite': {
    ...{ queries: 80, keys: 80, width: 8, valueWidth: 8, causal: true },
    lost: true,
  },
};

/** Layers of attention, and what only gradients have. */
export const attentionGradientLayers: Readonly<Record<string, AttentionGradientOptions>> = {
  ...Object.fromEntries(
    Object.entries(attentionLayers)
      .filter(([, { epilogue }]) => !epilogue)
      .map(([name, { out: _, ...options }]) => [name, options]),
  ),
  ...own,
};

/** All of them. */
export const attentionGradientCases = (): AttentionGradientCase[] =>
  Object.entries(attentionGradientLayers).map(([name, options]) =>
    attentionGradientCase(`gradient, ${name}`, options),
  );
