/** Convolution and attention in float64, element by element, with their gradients. */
import type { Expected, Read } from './reference.ts';
import { hasGradients, type Work } from './work.ts';

type Conv = Extract<Work, { kind: 'conv' }>;
type Attention = Extract<Work, { kind: 'attention' }>;

/** Of the result, and where they are wanted of the gradients of x and of the weight. */
export function convReferences(read: Read, work: Conv): Expected[] {
  const { batch, inputs, outputs, size } = work;
  const [x, weight] = [read('x'), read('weight')];
  const result: Expected = (index) => {
    const [image, output, row, column] = places(index, outputs, size);
    let sum = 0;
    for (let input = 0; input < inputs; input++) {
      for (let tap = 0; tap < 9; tap++) {
        const [y, z] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1];
        if (isOutside(y, z, size)) continue;
        sum += x(at(image, input, y, z, inputs, size)) * weight((output * inputs + input) * 9 + tap);
      }
    }
    return sum;
  };
  if (!hasGradients(work)) return [result];
  const gradient = read('gradient');
  const ofX: Expected = (index) => {
    const [image, input, row, column] = places(index, inputs, size);
    let sum = 0;
    for (let output = 0; output < outputs; output++) {
      for (let tap = 0; tap < 9; tap++) {
        const [y, z] = [row - Math.floor(tap / 3) + 1, column - (tap % 3) + 1];
        if (isOutside(y, z, size)) continue;
        sum += gradient(at(image, output, y, z, outputs, size)) * weight((output * inputs + input) * 9 + tap);
      }
    }
    return sum;
  };
  const ofWeight: Expected = (index) => {
    const tap = index % 9;
    const input = Math.floor(index / 9) % inputs;
    const output = Math.floor(index / 9 / inputs);
    let sum = 0;
    for (let image = 0; image < batch; image++) {
      for (let place = 0; place < size ** 2; place++) {
        const [row, column] = [Math.floor(place / size), place % size];
        const [y, z] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1];
        if (isOutside(y, z, size)) continue;
        sum +=
          gradient(at(image, output, row, column, outputs, size)) * x(at(image, input, y, z, inputs, size));
      }
    }
    return sum;
  };
  return [result, ofX, ofWeight];
}

/** Image, channel, row and column of an index. */
function places(index: number, channels: number, size: number): [number, number, number, number] {
  const plane = Math.floor(index / size ** 2);
  return [Math.floor(plane / channels), plane % channels, Math.floor(index / size) % size, index % size];
}

const at = (image: number, channel: number, y: number, z: number, channels: number, size: number): number =>
  ((image * channels + channel) * size + y) * size + z;

const isOutside = (y: number, z: number, size: number): boolean => y < 0 || y >= size || z < 0 || z >= size;

/**
 * Of the result y = p v, where p is the softmax of the scores s = q k^T / sqrt(size), and where they are wanted of the gradients of q, k
 * and v: with g that of y, those of p and s are dp = g v^T and ds = p (dp - sum over the row of p dp).
 */
export function attentionReferences(read: Read, work: Attention): Expected[] {
  const { heads, length, size } = work;
  const rowsOf = (name: string): Float32Array[] => {
    const element = read(name);
    const row = (start: number): Float32Array =>
      Float32Array.from({ length: size }, (_, i) => element(start + i));
    return Array.from({ length: heads * length }, (_, i) => row(i * size));
  };
  const [q, k, v] = [rowsOf('q'), rowsOf('k'), rowsOf('v')];
  const g = hasGradients(work) ? rowsOf('gradient') : undefined;
  const softmax = new AttentionRows(work, { q, k, v, g });
  /** The sum of `term` over the positions of a head, for the element i of the row `position`. */
  const over =
    (term: (position: number, other: number, i: number) => number): Expected =>
    (index) => {
      const position = Math.floor(index / size);
      const first = position - (position % length);
      let sum = 0;
      for (let other = first; other < first + length; other++) sum += term(position, other, index % size);
      return sum;
    };
  const result = over((query, key, i) => softmax.weight(query, key) * v[key]![i]!);
  if (!g) return [result];
  const root = Math.sqrt(size);
  return [
    result,
    over((query, key, i) => (softmax.scoreGradient(query, key) * k[key]![i]!) / root),
    over((key, query, i) => (softmax.scoreGradient(query, key) * q[query]![i]!) / root),
    over((key, query, i) => softmax.weight(query, key) * g[query]![i]!),
  ];
}

type Rows = readonly Float32Array[];

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** What a weight has to know of its whole row: kept, because the gradient of a key asks every query. */
interface RowFacts {
  readonly largest: number;
  readonly total: number;
  /** The sum of p dp. */
  readonly delta: number;
}

class AttentionRows {
  readonly #work: Attention;
  readonly #of: { readonly q: Rows; readonly k: Rows; readonly v: Rows; readonly g: Rows | undefined };
  readonly #facts = new Map<number, RowFacts>();

  constructor(work: Attention, of: { q: Rows; k: Rows; v: Rows; g: Rows | undefined }) {
    this.#work = work;
    this.#of = of;
  }

  weight(query: number, key: number): number {
    const { largest, total } = this.#row(query);
    return Math.exp(this.#score(query, key) - largest) / total;
  }

  scoreGradient(query: number, key: number): number {
    return this.weight(query, key) * (this.#weightGradient(query, key) - this.#row(query).delta);
  }

  #score(query: number, key: number): number {
    return dot(this.#of.q[query]!, this.#of.k[key]!) / Math.sqrt(this.#work.size);
  }

  #weightGradient(query: number, key: number): number {
    const { g, v } = this.#of;
    return g ? dot(g[query]!, v[key]!) : 0;
  }

  #row(query: number): RowFacts {
    const known = this.#facts.get(query);
    if (known) return known;
    const { length } = this.#work;
    const first = query - (query % length);
    const scores = Array.from({ length }, (_, i) => this.#score(query, first + i));
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    const delta = powers.reduce(
      (sum, power, i) => sum + (power / total) * this.#weightGradient(query, first + i),
      0,
    );
    const facts = { largest, total, delta };
    this.#facts.set(query, facts);
    return facts;
  }
}
