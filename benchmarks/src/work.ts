/** What is measured: the work, its operands, and how much arithmetic and memory traffic it stands for. */

/** One piece of work, the same for every library. Layouts are those of the reference: row-major, NCHW. */
export type Work =
  /** (n, n) x (n, n) -> (n, n) */
  | { readonly kind: 'matmul'; readonly n: number }
  /** x * 2 + 1, (length) -> (length) */
  | { readonly kind: 'scaleAdd'; readonly length: number }
  /** Ten elementwise operations in a row, see `chainReference`; (length) -> (length) */
  | { readonly kind: 'chain'; readonly length: number }
  /** The sum of all elements, (length) -> () */
  | { readonly kind: 'sum'; readonly length: number }
  /** Over the last axis, (rows, columns) -> (rows, columns) */
  | { readonly kind: 'softmax'; readonly rows: number; readonly columns: number }
  /** Over the last axis with weight and bias, (rows, columns) -> (rows, columns) */
  | { readonly kind: 'layerNorm'; readonly rows: number; readonly columns: number }
  /** 3x3, stride 1, padding 1: (batch, inputs, size, size) x (outputs, inputs, 3, 3) -> (batch, outputs, size, size) */
  | {
      readonly kind: 'conv';
      readonly batch: number;
      readonly inputs: number;
      readonly outputs: number;
      readonly size: number;
    }
  /** Scaled dot-product attention, softmax(q k^T / sqrt(size)) v: three of (heads, length, size) -> (heads, length, size) */
  | {
      readonly kind: 'attention';
      readonly heads: number;
      readonly length: number;
      readonly size: number;
    }
  /** Forward, backward and Adam of a CNN (conv 32, conv 64, pool, fc 128, fc 10); the result is the loss */
  | { readonly kind: 'trainStep'; readonly batch: number }
  /**
   * A captured plan of `kernels` dependent tiny kernels: what a dispatch costs. With `queueOnly`, what it costs the program:
   * the time ends when all is queued, and the device is waited for after that.
   */
  | { readonly kind: 'replay'; readonly kernels: number; readonly queueOnly?: boolean }
  /** From before the import to the first value on the host: (2, 2) x (2, 2) */
  | { readonly kind: 'firstResult' };

/** Floating-point operations of one run; undefined where the time is not about arithmetic. */
export function flopsOf(work: Work): number | undefined {
  switch (work.kind) {
    case 'matmul':
      return 2 * work.n ** 3;
    case 'conv':
      return 2 * work.batch * work.outputs * work.size ** 2 * work.inputs * 9;
    case 'attention':
      return 4 * work.heads * work.length ** 2 * work.size; // of the two products
    case 'trainStep':
      // Products only. The backward pass has two for each of the forward pass, less the gradient of the images.
      return 3 * work.batch * forwardFlops - 2 * work.batch * conv1Products;
    default:
      return undefined;
  }
}

const conv1Products = 26 * 26 * 32 * 9;
const forwardFlops = 2 * (conv1Products + 24 * 24 * 64 * 32 * 9 + 9216 * 128 + 128 * 10);

/** Bytes that one run has to read and write at the least; undefined where the time is not about memory. */
export function bytesOf(work: Work): number | undefined {
  switch (work.kind) {
    case 'scaleAdd':
    case 'chain':
      return 8 * work.length;
    case 'sum':
      return 4 * work.length;
    case 'softmax':
    case 'layerNorm':
      return 8 * work.rows * work.columns;
    default:
      return undefined;
  }
}

/** Parameters of the CNN with their shapes, in PyTorch's layout and names. */
export const cnnParameters: Readonly<Record<string, readonly number[]>> = {
  'conv1.weight': [32, 1, 3, 3],
  'conv1.bias': [32],
  'conv2.weight': [64, 32, 3, 3],
  'conv2.bias': [64],
  'fc1.weight': [128, 9216],
  'fc1.bias': [128],
  'fc2.weight': [10, 128],
  'fc2.bias': [10],
};

/** Steps whose losses are compared between the libraries, and the learning rate of Adam. */
export const trainedSteps = 3;
export const learningRate = 1e-3;

/** The operands by name. The same numbers in every process. */
export type Operands = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

export function operandsOf(work: Work): Operands {
  const random = uniform(1);
  const fill: Fill = (length, scale = 1) => Float32Array.from({ length }, () => scale * random());
  switch (work.kind) {
    case 'matmul':
      return { a: fill(work.n ** 2), b: fill(work.n ** 2) };
    case 'scaleAdd':
    case 'chain':
      return { x: fill(work.length) };
    case 'sum':
      // Off centre, so that the sum is not a small difference of large numbers.
      return { x: fill(work.length).map((value) => value + 0.25) };
    case 'softmax':
      return { x: fill(work.rows * work.columns, 4) };
    case 'layerNorm':
      return {
        x: fill(work.rows * work.columns, 4),
        weight: fill(work.columns),
        bias: fill(work.columns),
      };
    case 'conv':
      return {
        x: fill(work.batch * work.inputs * work.size ** 2),
        weight: fill(work.outputs * work.inputs * 9, 0.1),
      };
    case 'attention': {
      const length = work.heads * work.length * work.size;
      return { q: fill(length), k: fill(length), v: fill(length) };
    }
    case 'trainStep':
      return trainOperands(work.batch, fill);
    case 'replay':
      return { x: fill(16) };
    case 'firstResult':
      return { a: Float32Array.of(1, 2, 3, 4), b: Float32Array.of(5, 6, 7, 8) };
  }
}

type Fill = (length: number, scale?: number) => Float32Array<ArrayBuffer>;

function trainOperands(batch: number, fill: Fill): Operands {
  const parameters = Object.entries(cnnParameters).map(([name, shape]) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    // The bound of PyTorch's initialisation: one over the root of the fan-in, which a bias shares with its weight.
    const weight = cnnParameters[name.replace('bias', 'weight')]!;
    const fanIn = weight.slice(1).reduce((product, extent) => product * extent, 1);
    return [name, fill(size, 1 / Math.sqrt(fanIn))] as const;
  });
  return {
    ...Object.fromEntries(parameters),
    images: fill(batch * 28 * 28),
    labels: Float32Array.from({ length: batch }, (_, i) => (i * 7) % 10),
  };
}

/** Numbers in [-1, 1) from a 32-bit state (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}
