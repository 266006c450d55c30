/** Says whether a result is right: some of its elements are computed again in float64. */
import { roundToBfloat16, roundToFloat16 } from '@tutti/core/backend';
import type { Operands } from './operands.ts';
import { attentionReferences, convReferences } from './reference-gradients.ts';
import { hasGradients, precisionOf, type Work } from './work.ts';

/** Elements that are checked of each large result. They spread over all of it, the last one included. */
const spots = 64;
/** The same where one of them is the work of a second. */
const fewSpots = 8;

/**
 * Relative to the largest magnitude of the compared elements. Sums of up to 8192 terms in float32 stay well below the
 * first; one running float32 sum of millions of terms does not. Results of 16 bits are rounded once at the end, and attention may round
 * its weights; TF32 rounds operands.
 */
function toleranceOf(work: Work): number {
  if (work.kind === 'sum') return 1e-3;
  // Losses, which follow the parameters through the first steps of Adam.
  if (work.kind === 'languageModel') return precisionOf(work) === 'bfloat16' ? 1e-2 : 3e-3;
  return { float32: 1e-4, tf32: 3e-3, float16: 3e-3, bfloat16: 1.5e-2 }[precisionOf(work)];
}

/** The element at a flat index, in float64. */
export type Expected = (index: number) => number;
/** The elements of an operand as the work gets them: rounded to the dtype that it is computed in. */
export type Read = (name: string) => (index: number) => number;

/** The reason why `result` is wrong, or undefined. `operands` may be empty where there is no reference. */
export function checkResult(work: Work, operands: Operands, result: Float32Array): string | undefined {
  const length = resultLength(work);
  if (result.length !== length) return `${result.length} elements where ${length} were expected`;
  const bad = result.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) return `element ${bad} is ${result[bad]}`;
  if (work.kind === 'languageModel' && !(result.at(-1)! < result[0]!)) {
    return `the loss does not fall: ${result.join(', ')}`;
  }
  if (!hasReference(work)) return undefined;
  const references = referencesOf(work, operands);
  for (const [part, { start, size }] of partsOf(work).entries()) {
    const expected = references[part]!;
    const picked = spotsOf(work, size);
    const reason = compare(
      toleranceOf(work),
      picked.map((i) => start + i),
      picked.map((i) => result[start + i]!),
      picked.map(expected),
    );
    if (reason) return reason;
  }
  return undefined;
}

function spotsOf(work: Work, size: number): number[] {
  const count = Math.min(size, hasGradients(work) || work.kind === 'upload' ? fewSpots : spots);
  return Array.from({ length: count }, (_, i) =>
    size <= count ? i : Math.floor((i * (size - 1)) / (count - 1)),
  );
}

/** The reason why two results of the same work differ, or undefined. */
export function compareResults(work: Work, a: Float32Array, b: Float32Array): string | undefined {
  if (a.length !== b.length) return `${a.length} elements, and ${b.length}`;
  const tolerance = toleranceOf(work);
  for (const { start, size } of partsOf(work)) {
    let largest = 0;
    for (let i = start; i < start + size; i++) largest = Math.max(largest, Math.abs(b[i]!));
    for (let i = start; i < start + size; i++) {
      if (!(Math.abs(a[i]! - b[i]!) <= tolerance * largest)) return `element ${i} is ${a[i]}, and ${b[i]}`;
    }
  }
  return undefined;
}

function compare(
  tolerance: number,
  indices: readonly number[],
  values: readonly number[],
  expected: readonly number[],
): string | undefined {
  const largest = Math.max(...expected.map(Math.abs));
  for (const [i, index] of indices.entries()) {
    if (!(Math.abs(values[i]! - expected[i]!) <= tolerance * largest)) {
      return `element ${index} is ${values[i]}, expected ${expected[i]}`;
    }
  }
  return undefined;
}

export const resultLength = (work: Work): number =>
  partLengths(work).reduce((total, length) => total + length, 0);

/** The tensors of a result, which lie one after the other. */
function partsOf(work: Work): { readonly start: number; readonly size: number }[] {
  let start = 0;
  return partLengths(work).map((size) => {
    const part = { start, size };
    start += size;
    return part;
  });
}

function partLengths(work: Work): number[] {
  switch (work.kind) {
    case 'matmul':
    case 'upload':
      return [work.n ** 2];
    case 'scaleAdd':
    case 'chain':
      return [work.length];
    case 'sum':
      return [1];
    case 'softmax':
    case 'layerNorm':
      return [work.rows * work.columns];
    case 'conv': {
      const result = work.batch * work.outputs * work.size ** 2;
      if (!hasGradients(work)) return [result];
      return [result, work.batch * work.inputs * work.size ** 2, work.outputs * work.inputs * 9];
    }
    case 'attention': {
      const result = work.heads * work.length * work.size;
      return hasGradients(work) ? [result, result, result, result] : [result];
    }
    case 'trainStep':
    case 'languageModel':
      return [3];
    case 'replay':
      return [16];
    case 'firstResult':
      return [4];
  }
}

/** Work without one is checked by what another library computes. */
type Unknown = Extract<Work, { kind: 'trainStep' | 'languageModel' | 'replay' }>;

export const hasReference = (work: Work): work is Exclude<Work, Unknown> =>
  work.kind !== 'trainStep' && work.kind !== 'languageModel' && work.kind !== 'replay';

/** A reference for each part of the result. */
export function referencesOf(work: Exclude<Work, Unknown>, operands: Operands): readonly Expected[] {
  const read = readerOf(work, operands);
  switch (work.kind) {
    case 'matmul':
      return [productOf(read, work.n)];
    case 'firstResult':
      return [productOf(read, 2)];
    case 'scaleAdd':
      return [(index) => operands['x']![index]! * 2 + 1];
    case 'chain':
      return [(index) => chainReference(operands['x']![index]!)];
    case 'sum':
      return [() => operands['x']!.reduce((sum, value) => sum + value, 0)];
    case 'softmax':
      return [(index) => softmaxAt(operands, work.columns, index)];
    case 'layerNorm':
      return [(index) => layerNormAt(operands, work.columns, index)];
    case 'conv':
      return convReferences(read, work);
    case 'attention':
      return attentionReferences(read, work);
    case 'upload':
      return [(index) => uploadAt(operands, work, index)];
  }
}

function readerOf(work: Work, operands: Operands): Read {
  const precision = precisionOf(work);
  const round = { float16: roundToFloat16, bfloat16: roundToBfloat16, float32: undefined, tf32: undefined }[
    precision
  ];
  return (name) => {
    const values = operands[name]!;
    return round ? (i) => round(values[i]!) : (i) => values[i]!;
  };
}

function productOf(read: Read, n: number): Expected {
  const [a, b] = [read('a'), read('b')];
  return (index) => {
    const [row, column] = [Math.floor(index / n), index % n];
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a(row * n + k) * b(k * n + column);
    return sum;
  };
}

/** The ten operations of `chain`, in order. Each adapter spells them with its own functions. */
export function chainReference(x: number): number {
  let y = x * 1.5; // 1
  y = y + 0.5; // 2
  y = Math.tanh(y); // 3
  y = y * y; // 4
  y = y + 1; // 5
  y = Math.sqrt(y); // 6
  y = y - 0.25; // 7
  y = Math.exp(y); // 8
  y = y * 0.125; // 9
  return Math.max(y, 0.25); // 10
}

function rowOf({ x }: Operands, columns: number, index: number): number[] {
  const start = index - (index % columns);
  return [...x!.subarray(start, start + columns)];
}

function softmaxAt(operands: Operands, columns: number, index: number): number {
  const row = rowOf(operands, columns, index);
  const largest = Math.max(...row);
  const total = row.reduce((sum, value) => sum + Math.exp(value - largest), 0);
  return Math.exp(operands['x']![index]! - largest) / total;
}

function layerNormAt(operands: Operands, columns: number, index: number): number {
  const row = rowOf(operands, columns, index);
  const mean = row.reduce((sum, value) => sum + value, 0) / columns;
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / columns;
  const column = index % columns;
  const scaled = (operands['x']![index]! - mean) / Math.sqrt(variance + 1e-5);
  return scaled * operands['weight']![column]! + operands['bias']![column]!;
}

function uploadAt(
  operands: Operands,
  { n, products }: Extract<Work, { kind: 'upload' }>,
  index: number,
): number {
  const weight = operands['weight']!;
  let row = Float64Array.from(rowOf(operands, n, index));
  for (let i = 0; i < products; i++) {
    const next = new Float64Array(n);
    for (let k = 0; k < n; k++) {
      for (let column = 0; column < n; column++) next[column]! += row[k]! * weight[k * n + column]!;
    }
    row = next.map(Math.tanh);
  }
  return row[index % n]!;
}
