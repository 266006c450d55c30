/** Says whether a result is right: some of its elements are computed again in float64. */
import type { Operands, Work } from './work.ts';

/** Elements that are checked of each large result. They spread over all of it, the last one included. */
const spots = 64;

/**
 * Relative to the largest magnitude of the compared elements. Sums of up to 2048 terms in float32 stay well below the
 * first; one running float32 sum of millions of terms does not.
 */
const toleranceOf = (work: Work): number => (work.kind === 'sum' ? 1e-3 : 1e-4);

/** The reason why `result` is wrong, or undefined. */
export function checkResult(work: Work, operands: Operands, result: Float32Array): string | undefined {
  const length = resultLength(work);
  if (result.length !== length) return `${result.length} elements where ${length} were expected`;
  const bad = result.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) return `element ${bad} is ${result[bad]}`;
  const expected = referenceOf(work, operands);
  if (expected === undefined) return undefined;
  const picked = Array.from({ length: Math.min(spots, length) }, (_, i) =>
    length <= spots ? i : Math.floor((i * (length - 1)) / (spots - 1)),
  );
  return compare(
    toleranceOf(work),
    picked,
    picked.map((i) => result[i]!),
    picked.map(expected),
  );
}

/** The reason why two results of the same work differ, or undefined. */
export function compareResults(work: Work, a: Float32Array, b: Float32Array): string | undefined {
  if (a.length !== b.length) return `${a.length} elements, and ${b.length}`;
  const tolerance = toleranceOf(work);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(b[i]!));
  for (let i = 0; i < a.length; i++) {
    if (!(Math.abs(a[i]! - b[i]!) <= tolerance * largest)) return `element ${i} is ${a[i]}, and ${b[i]}`;
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

export function resultLength(work: Work): number {
  switch (work.kind) {
    case 'matmul':
      return work.n ** 2;
    case 'scaleAdd':
    case 'chain':
      return work.length;
    case 'sum':
      return 1;
    case 'softmax':
    case 'layerNorm':
      return work.rows * work.columns;
    case 'conv':
      return work.batch * work.outputs * work.size ** 2;
    case 'attention':
      return work.heads * work.length * work.size;
    case 'trainStep':
      return 3;
    case 'replay':
      return 16;
    case 'firstResult':
      return 4;
  }
}

/** The element at a flat index in float64; undefined for work that only another library can check. */
function referenceOf(work: Work, operands: Operands): ((index: number) => number) | undefined {
  switch (work.kind) {
    case 'matmul':
      return (index) => product(operands, work.n, index);
    case 'firstResult':
      return (index) => product(operands, 2, index);
    case 'scaleAdd':
      return (index) => operands['x']![index]! * 2 + 1;
    case 'chain':
      return (index) => chainReference(operands['x']![index]!);
    case 'sum':
      return () => operands['x']!.reduce((sum, value) => sum + value, 0);
    case 'softmax':
      return (index) => softmaxAt(operands, work.columns, index);
    case 'layerNorm':
      return (index) => layerNormAt(operands, work.columns, index);
    case 'conv':
      return (index) => convAt(operands, work, index);
    case 'attention':
      return (index) => attentionAt(operands, work, index);
    case 'trainStep':
    case 'replay':
      return undefined;
  }
}

function product({ a, b }: Operands, n: number, index: number): number {
  const [row, column] = [Math.floor(index / n), index % n];
  let sum = 0;
  for (let k = 0; k < n; k++) sum += a![row * n + k]! * b![k * n + column]!;
  return sum;
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

function convAt({ x, weight }: Operands, work: Extract<Work, { kind: 'conv' }>, index: number): number {
  const { inputs, outputs, size } = work;
  const column = index % size;
  const row = Math.floor(index / size) % size;
  const output = Math.floor(index / size ** 2) % outputs;
  const image = Math.floor(index / size ** 2 / outputs);
  let sum = 0;
  for (let input = 0; input < inputs; input++) {
    for (let tap = 0; tap < 9; tap++) {
      const y = row + Math.floor(tap / 3) - 1;
      const z = column + (tap % 3) - 1;
      if (y < 0 || y >= size || z < 0 || z >= size) continue;
      sum +=
        x![((image * inputs + input) * size + y) * size + z]! * weight![(output * inputs + input) * 9 + tap]!;
    }
  }
  return sum;
}

type Attention = Extract<Work, { kind: 'attention' }>;

function attentionAt({ q, k, v }: Operands, { length, size }: Attention, index: number): number {
  const query = index - (index % size);
  const head = index - (index % (length * size));
  const scores = Array.from({ length }, (_, key) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += q![query + i]! * k![head + key * size + i]!;
    return sum / Math.sqrt(size);
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const value = (key: number): number => v![head + key * size + (index % size)]!;
  return weights.reduce((sum, weight, key) => sum + weight * value(key), 0) / total;
}
