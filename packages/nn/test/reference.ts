/** Slow and plain formulas in double precision, to compare layers with. */

export type Matrix = number[][];

export const matrix = (rows: number, columns: number, at: (row: number, column: number) => number): Matrix =>
  Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => at(row, column)));

/** x W^T + b */
export function linear(x: Matrix, weight: Matrix, bias: readonly number[]): Matrix {
  return matrix(x.length, weight.length, (i, j) => bias[j]! + dot(x[i]!, weight[j]!));
}

export const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

export function softmax(scores: readonly number[]): number[] {
  const top = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - top));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

export interface Projections {
  readonly inWeight: Matrix;
  readonly inBias: readonly number[];
  readonly outWeight: Matrix;
  readonly outBias: readonly number[];
}

/** Multi-head attention of one sequence: query (L, E), key and value (S, E). `score` may change or forbid a score. */
export function attention(
  query: Matrix,
  key: Matrix,
  value: Matrix,
  heads: number,
  { inWeight, inBias, outWeight, outBias }: Projections,
  score: (head: number, i: number, j: number, value: number) => number = (_, __, ___, value) => value,
): Matrix {
  const features = query[0]!.length;
  const size = features / heads;
  const [q, k, v] = [query, key, value].map((x, part) => {
    const rows = [part * features, (part + 1) * features] as const;
    return linear(x, inWeight.slice(...rows), inBias.slice(...rows));
  }) as [Matrix, Matrix, Matrix];
  const joined = matrix(query.length, features, () => 0);
  for (let head = 0; head < heads; head++) {
    const own = (row: readonly number[]): readonly number[] => row.slice(head * size, (head + 1) * size);
    for (const [i, row] of q.entries()) {
      const scores = k.map((other, j) => score(head, i, j, dot(own(row), own(other)) / Math.sqrt(size)));
      const weights = softmax(scores);
      for (let c = 0; c < size; c++)
        joined[i]![head * size + c] = dot(
          weights,
          v.map((other) => own(other)[c]!),
        );
    }
  }
  return linear(joined, outWeight, outBias);
}

/** Largest distance between two lists, relative to the largest magnitude. */
export function distance(
  received: readonly number[] | ArrayLike<number>,
  expected: readonly number[],
): number {
  if (received.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(1e-30, ...expected.map(Math.abs));
  const errors = expected.map((value, i) => Math.abs(value - received[i]!) / scale);
  return errors.every(Number.isFinite) ? Math.max(0, ...errors) : Number.POSITIVE_INFINITY;
}
