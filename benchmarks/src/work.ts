/** What is measured: the work, and how much arithmetic and memory traffic it stands for. */

/**
 * What a product is computed in. Operands and results have this dtype, and sums are float32; `tf32` are operands of float32 that are
 * rounded to 10 bits of mantissa on the way into the product.
 */
export type Precision = 'float32' | 'tf32' | 'float16' | 'bfloat16';

/** What no suite but `cuda` has. */
interface Beyond {
  /** Default: float32. */
  readonly precision?: Precision;
  /** The result, and the gradient of every operand for the gradient of the result that the operand `gradient` is. */
  readonly gradients?: boolean;
}

export interface LanguageModel {
  readonly kind: 'languageModel';
  readonly batch: number;
  readonly context: number;
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly vocabulary: number;
  readonly precision?: Precision;
}

/** One piece of work, the same for every library. Layouts are those of the reference: row-major, NCHW. */
export type Work =
  /** (n, n) x (n, n) -> (n, n) */
  | { readonly kind: 'matmul'; readonly n: number; readonly precision?: Precision }
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
  | ({
      readonly kind: 'conv';
      readonly batch: number;
      readonly inputs: number;
      readonly outputs: number;
      readonly size: number;
    } & Beyond)
  /** Scaled dot-product attention, softmax(q k^T / sqrt(size)) v: three of (heads, length, size) -> (heads, length, size) */
  | ({
      readonly kind: 'attention';
      readonly heads: number;
      readonly length: number;
      readonly size: number;
    } & Beyond)
  /** Forward, backward and Adam of a CNN (conv 32, conv 64, pool, fc 128, fc 10); the result is the loss */
  | { readonly kind: 'trainStep'; readonly batch: number }
  /**
   * A captured plan of `kernels` dependent tiny kernels: what a dispatch costs. With `queueOnly`, what it costs the program:
   * the time ends when all is queued, and the device is waited for after that.
   */
  | { readonly kind: 'replay'; readonly kernels: number; readonly queueOnly?: boolean }
  /**
   * Forward, backward and Adam of a decoder of GPT-2's shape; the result is the loss. Parameters, gradients and sums are float32, and
   * the operands of products are rounded to `precision`.
   */
  | LanguageModel
  /**
   * `count` batches (n, n) of float32 come from the host, and each is multiplied `products` times by (n, n), tanh after each product. The
   * result is that of the last batch. The uploads alone and the products alone are timed as well.
   */
  | { readonly kind: 'upload'; readonly n: number; readonly products: number; readonly count: number }
  /** From before the import to the first value on the host: (2, 2) x (2, 2) */
  | { readonly kind: 'firstResult' };

/** Work that needs nothing but float32 and forward operations, or a training step of the CNN. */
export type PlainWork = Exclude<Work, { readonly kind: 'languageModel' | 'upload' }>;

/** False for what an adapter that looks at nothing but shapes would compute wrongly, or would not know. */
export const isPlain = (work: Work): work is PlainWork =>
  work.kind !== 'languageModel' &&
  work.kind !== 'upload' &&
  precisionOf(work) === 'float32' &&
  !hasGradients(work);

/** Why a peer does not take part where work is not plain. */
export const notPlain = 'its adapter computes results in float32';

export const precisionOf = (work: Work): Precision =>
  ('precision' in work ? work.precision : undefined) ?? 'float32';

export const hasGradients = (work: Work): boolean => 'gradients' in work && work.gradients === true;

/** Floating-point operations of one run; undefined where the time is not about arithmetic. */
export function flopsOf(work: Work): number | undefined {
  switch (work.kind) {
    case 'matmul':
      return 2 * work.n ** 3;
    case 'conv':
      return 2 * work.batch * work.outputs * work.size ** 2 * work.inputs * 9 * passes(work);
    case 'attention':
      return 4 * work.heads * work.length ** 2 * work.size * passes(work); // of the two products
    case 'trainStep':
      // Products only. The backward pass has two for each of the forward pass, less the gradient of the images.
      return 3 * work.batch * forwardFlops - 2 * work.batch * conv1Products;
    default:
      return undefined;
  }
}

/** A product of two operands has two more of its size in its gradient. */
const passes = (work: Work): number => (hasGradients(work) ? 3 : 1);

/** Tokens that one run trains on; undefined where there are none. */
export const tokensOf = (work: Work): number | undefined =>
  work.kind === 'languageModel' ? work.batch * work.context : undefined;

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

/** Steps whose losses are compared between the libraries, and the learning rates of Adam. */
export const trainedSteps = 3;
export const learningRate = 1e-3;
export const languageModelRate = 3e-4;
