/** Attention that every backend's routines are tested with, against the contract's formula in float64. */
import { type AttentionAnchor, type BufferParam, product } from '../../backend/index.ts';
import { type BufferContents, bufferContents, readElement, writeElement } from '../interpret.ts';
import {
  type AttentionOptions,
  elementOf,
  epilogueOf,
  factor,
  numberAt,
  placedOperands,
  rounding,
  weightsOf,
} from './attention-operands.ts';
import type { AnchorCase } from './case.ts';

export type { AttentionOptions } from './attention-operands.ts';
export type AttentionCase = AnchorCase<AttentionAnchor>;

function attentionAnchor(options: AttentionOptions): AttentionAnchor {
  const { operands, buffers: placed } = placedOperands(options);
  const { batch, queries, valueWidth } = operands;
  const rows = product(batch) * queries;
  const elements = rows * valueWidth;
  const { query, key, value, mask } = placed;
  const buffers: BufferParam[] = [
    ...[query, key, value, ...(mask ? [mask] : [])],
    { dtype: options.out ?? 'float32', length: elements, access: 'write' },
    ...(options.epilogue ? [{ dtype: 'float32', length: elements, access: 'read' } as const] : []),
  ];
  return {
    ...{ kind: 'attention', name: 'attention', ...operands },
    ...{ type: 'f32', buffers, scalars: options.epilogue ? ['f32'] : [] },
    ...(options.epilogue ? { epilogue: epilogueOf(rows, valueWidth, buffers.length - 1) } : {}),
  };
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
  const { batch, queries, keys, valueWidth } = anchor;
  const want = new Float64Array(product(batch) * queries * valueWidth);
  for (let entry = 0; entry < product(batch); entry++) {
    for (let i = 0; i < queries; i++) {
      const weights = weightsOf(anchor, contents, 3, entry, i);
      for (let c = 0; c < valueWidth; c++) {
        let sum = 0;
        for (let j = 0; j < keys; j++)
          sum += weights[j]! * elementOf(contents[2]!, batch, anchor.value, entry, [j, c]);
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
