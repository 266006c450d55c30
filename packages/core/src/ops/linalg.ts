/** Products of vectors and matrices. */
import { DTypeError, ShapeError } from '../backend/index.ts';
import { apply } from '../tensor/apply.ts';
import { broadcastShapes, formatShape, sizeOf } from '../tensor/shape.ts';
import { requireTensor, type Tensor } from '../tensor/tensor.ts';
import { composite } from './composite.ts';
import { add, mul } from './elementwise.ts';
import { transpose } from './movement.ts';
import { commonDType, computeDType, convert, grown, shaped } from './promote.ts';

/** (..B, M, K) x (..B, K, N), both of at least two axes and of a dtype that `dot` takes. */
function batchedProduct(a: Tensor, b: Tensor): Tensor {
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1)!;
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const batch = broadcastShapes('matmul', batchA, batchB);
  if (sizeOf(batchB) === 1 && batchA.length > 0 && batch.length === batchA.length) {
    // One matrix on the right: the batch of the left is more rows of one big product.
    const product = apply('dot', [shaped(a, [sizeOf(batchA) * m, k]), shaped(b, [k, n])], {});
    return shaped(product, [...batch, m, n]);
  }
  return apply('dot', [grown(a, [...batch, m, k]), grown(b, [...batch, k, n])], {});
}

/**
 * `a @ b` by NumPy's rules: (.., M, K) x (.., K, N) -> (.., M, N), where leading axes broadcast; a 1-d operand is a row on
 * the left, a column on the right, and its axis is gone in the result. 16-bit floats are multiplied and added in float32;
 * int32 and uint32 wrap; uint8 and bool give int32.
 *
 * @throws ShapeError for scalars, unless the inner extents agree, and when leading axes do not broadcast.
 * @throws DTypeError
 *
 * @example matmul(ones([5, 2, 3]), ones([3, 4])).shape // [5, 2, 4]
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  requireTensor('matmul', a);
  requireTensor('matmul', b);
  if (a.rank === 0 || b.rank === 0) {
    throw new ShapeError(
      `matmul: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)}; a scalar has no rows`,
      {
        op: 'matmul',
        received: [a.shape, b.shape],
        fix: 'use mul for scalars',
      },
    );
  }
  const inner = b.shape[Math.max(0, b.rank - 2)]!;
  if (a.shape.at(-1) !== inner) {
    throw new ShapeError(`matmul: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)} do not fit`, {
      op: 'matmul',
      received: [a.shape, b.shape],
      fix: `the last extent of the first (${a.shape.at(-1)}) must equal the ${b.rank === 1 ? 'extent' : 'last but one extent'} of the second (${inner})`,
    });
  }
  const shapeA = a.rank === 1 ? [1, ...a.shape] : a.shape;
  const shapeB = b.rank === 1 ? [...b.shape, 1] : b.shape;
  broadcastShapes('matmul', shapeA.slice(0, -2), shapeB.slice(0, -2));
  const common = commonDType('matmul', [a, b]);
  const dtype = common === 'uint8' || common === 'bool' ? 'int32' : common;
  return composite(() => {
    const product = batchedProduct(
      shaped(convert(a, computeDType(dtype)), shapeA),
      shaped(convert(b, computeDType(dtype)), shapeB),
    );
    const batch = product.shape.slice(0, -2);
    const rows = a.rank === 1 ? [] : [product.shape.at(-2)!];
    const columns = b.rank === 1 ? [] : [product.shape.at(-1)!];
    return convert(shaped(product, [...batch, ...rows, ...columns]), dtype);
  });
}

/** `a[i] * b[j]`: (M) x (N) -> (M, N). @throws ShapeError unless both have one axis; DTypeError */
export function outer(a: Tensor, b: Tensor): Tensor {
  for (const x of [requireTensor('outer', a), requireTensor('outer', b)]) {
    if (x.rank === 1) continue;
    throw new ShapeError(`outer: shapes ${formatShape(a.shape)} and ${formatShape(b.shape)}`, {
      op: 'outer',
      received: [a.shape, b.shape],
      fix: 'both operands have one axis; flatten them first',
    });
  }
  return composite(() => mul(shaped(a, [a.size, 1]), shaped(b, [1, b.size])));
}

/**
 * `x @ weight^T + bias`: (.., in) x (out, in) + (out) -> (.., out).
 *
 * @throws ShapeError; DTypeError unless x and weight promote to a float.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  requireTensor('linear', x);
  requireTensor('linear', weight, 'the weight');
  if (bias !== undefined) requireTensor('linear', bias, 'the bias');
  const dtype = commonDType('linear', bias ? [x, weight, bias] : [x, weight]);
  if (computeDType(dtype) !== 'float32') {
    throw new DTypeError(`linear: ${x.dtype} with a weight of ${weight.dtype}`, {
      op: 'linear',
      received: dtype,
      fix: "cast first: x.cast('float32')",
    });
  }
  const fits = x.rank >= 1 && weight.rank === 2 && x.shape.at(-1) === weight.shape[1];
  if (!fits || (bias && (bias.rank !== 1 || bias.shape[0] !== weight.shape[0]))) {
    const shapes = [x, weight, ...(bias ? [bias] : [])].map((each) => each.shape);
    throw new ShapeError(`linear: shapes ${shapes.map(formatShape).join(', ')} do not fit`, {
      op: 'linear',
      received: shapes,
      fix: 'x is (.., in), the weight (out, in), the bias (out)',
    });
  }
  return composite(() => {
    const product = matmul(convert(x, 'float32'), transpose(convert(weight, 'float32')));
    return convert(bias ? add(product, bias) : product, dtype);
  });
}
