/** Dropout, embedding and attention. */
import { ArgumentError, type DType, DTypeError, isFloat, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { describe } from '../tensor/describe.ts';
import { checkOptions, type OptionNames } from '../tensor/options.ts';
import { broadcastShapes, formatShape, type Shape } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { where } from './compare.ts';
import { composite } from './composite.ts';
import { mul } from './elementwise.ts';
import { takeAs } from './indexing.ts';
import { floatFunction } from './math.ts';
import { commonDType, convert, filled, grown } from './promote.ts';
import { bernoulliMask, checkProbability, defaultGenerator, type Generator } from './random.ts';

export interface DropoutOptions {
  /** Where the numbers come from. Default: the default generator of the device. */
  readonly generator?: Generator | undefined;
  /** False makes it the identity. Default true. */
  readonly training?: boolean | undefined;
}

const dropoutOptions: OptionNames<DropoutOptions> = { generator: true, training: true };

/**
 * `x / (1 - p)` where it is kept, 0 elsewhere: each element is dropped with probability p, exact to 2^-24. The identity for
 * p = 0 and outside of training, zeros for p = 1. Integers give float32. (Srivastava et al. 2014)
 *
 * @throws ArgumentError unless 0 <= p <= 1.
 */
export function dropout(x: Tensor, p = 0.5, options: DropoutOptions = {}): Tensor {
  requireTensor('dropout', x);
  checkProbability('dropout', p);
  checkOptions('dropout', options, dropoutOptions);
  const { training = true, generator } = options;
  return floatFunction('dropout', x, (value) => {
    if (!training || p === 0) return value;
    if (p === 1) return where(filled('dropout', false, 'bool', x.shape, x.device), value, 0);
    const kept = bernoulliMask(x.shape, 1 - p, generator ?? defaultGenerator(x.device));
    return where(kept, mul(value, 1 / (1 - p)), 0);
  });
}

/**
 * Rows of a table: weight (V, D) with index (I..) -> (I.., D).
 *
 * @throws IndexError for an index outside 0 .. V-1: at once where it is on the host, otherwise when a result is read.
 * @throws ShapeError unless the weight has two axes; DTypeError unless the index has an integer dtype.
 */
export function embedding(weight: Tensor, index: Tensor): Tensor {
  requireTensor('embedding', weight, 'the weight');
  if (weight.rank !== 2) {
    throw new ShapeError(`embedding: weight of shape ${formatShape(weight.shape)}`, {
      op: 'embedding',
      received: weight.shape,
      fix: 'the weight is (V, D)',
    });
  }
  return takeAs('embedding', weight, index, 0);
}

export interface AttentionOptions {
  /** Broadcasts to (.., L, S). bool: true where attention is allowed. float: added to the scores. */
  readonly mask?: Tensor | undefined;
  /** Query i sees keys 0 .. i only. Default false. */
  readonly causal?: boolean | undefined;
  /** Factor of the scores. Default 1 / sqrt(E). */
  readonly scale?: number | undefined;
}

const attentionOptions: OptionNames<AttentionOptions> = { mask: true, causal: true, scale: true };

/** True where `shape` broadcasts to `target`. */
const fitsInto = (shape: Shape, target: Shape): boolean =>
  shape.length <= target.length &&
  shape.every((extent, i) => extent === 1 || extent === target[target.length - shape.length + i]);

function checkAttention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): DType {
  const op = 'scaledDotProductAttention';
  for (const [name, x] of Object.entries({ query: q, key: k, value: v })) requireTensor(op, x, `the ${name}`);
  checkOptions(op, options, attentionOptions);
  const { mask, scale } = options;
  const shapes = [q, k, v].map((x) => x.shape);
  const fits =
    shapes.every((shape) => shape.length >= 2) &&
    q.shape.at(-1) === k.shape.at(-1) &&
    k.shape.at(-2) === v.shape.at(-2);
  if (!fits) {
    throw new ShapeError(`${op}: shapes ${shapes.map(formatShape).join(', ')} do not fit`, {
      op,
      received: shapes,
      fix: 'query (.., L, E), key (.., S, E), value (.., S, V)',
    });
  }
  const batch = broadcastShapes(op, ...shapes.map((shape) => shape.slice(0, -2)));
  const scores = [...batch, q.shape.at(-2)!, k.shape.at(-2)!];
  if (mask !== undefined && !fitsInto(requireTensor(op, mask, 'the mask').shape, scores)) {
    throw new ShapeError(
      `${op}: mask of shape ${formatShape(mask.shape)} for scores of shape ${formatShape(scores)}`,
      {
        op,
        received: mask.shape,
        fix: 'the mask broadcasts to (.., L, S)',
      },
    );
  }
  if (scale !== undefined && !Number.isFinite(scale)) {
    throw new ArgumentError(`${op}: scale is ${describe(scale)}`, {
      op,
      received: scale,
      fix: 'scale is a finite number',
    });
  }
  const dtype = commonDType(op, [q, k, v]);
  const maskFits = mask === undefined || mask.dtype === 'bool' || isFloat(mask.dtype);
  if (isFloat(dtype) && maskFits) return dtype;
  throw new DTypeError(`${op}: dtypes ${[q, k, v, ...(mask ? [mask] : [])].map((x) => x.dtype).join(', ')}`, {
    op,
    received: dtype,
    fix: 'query, key and value are floats, the mask bool or a float',
  });
}

/**
 * `softmax(q k^T * scale + mask) v`: (.., L, E), (.., S, E), (.., S, V) -> (.., L, V); leading axes broadcast. Computed in
 * float32. A query that may see no key gives NaN. (Vaswani et al. 2017)
 *
 * @throws ShapeError, ArgumentError; DTypeError unless q, k and v are floats and the mask is bool or a float.
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const dtype = checkAttention(q, k, v, options);
  const { mask, causal = false, scale = 1 / Math.sqrt(Math.max(1, q.shape.at(-1)!)) } = options;
  return composite(() => {
    const [query, key, value] = [q, k, v].map((x) => convert(x, 'float32')) as [Tensor, Tensor, Tensor];
    const batch = broadcastShapes('scaledDotProductAttention', ...[q, k, v].map((x) => x.shape.slice(0, -2)));
    const whole = (x: Tensor): Tensor => grown(x, [...batch, ...x.shape.slice(-2)]);
    const operands = [query, key, value].map(whole);
    if (mask) {
      const wide = mask.dtype === 'bool' ? mask : convert(mask, 'float32');
      operands.push(grown(wide, [...batch, q.shape.at(-2)!, k.shape.at(-2)!]));
    }
    return convert(apply('attention', operands, { scale, causal }), dtype);
  });
}
