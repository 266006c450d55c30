/**
 * Convolutions that are matrix products:
 *
 *     kernels of one position      out[b, g, o, p] = sum_i   w[g, o, i] * x[b, g, i, p]
 *     kernels of the input's size  out[b, o]       = sum_i sum_p  x[b, i, p] * w[o, i, p]
 *
 * The first are pointwise layers, forward and back to their input; the second are the gradients of their kernels, and layers whose
 * kernel covers the whole image.
 */
import {
  type ConvAnchor,
  convParts,
  type DotAnchor,
  type DotOperand,
  type Product,
} from '@tutti/core/backend';

export interface ConvProduct {
  readonly product: Product;
  /** See `dotProgram`. */
  readonly summed: number;
}

/** Undefined for what is no product, or not of evenly spaced elements. */
export function productOf(anchor: ConvAnchor): ConvProduct | undefined {
  const parts = convParts(anchor);
  if (parts?.length !== 1) return undefined;
  const { axes, rhsOffset } = parts[0]!;
  const [z, y, x] = axes;
  const isFlat = [z, y].every(
    ({ inSize, outSize, kernelSize, padLow }) =>
      inSize === 1 && outSize === 1 && kernelSize === 1 && padLow === 0,
  );
  if (!isFlat || x.padLow !== 0) return undefined;
  const { batch, groups, inChannels, outChannels, lhs, rhs } = anchor;
  const pixels = { dtype: lhs.dtype, offset: lhs.offset };
  const weights = { dtype: rhs.dtype, offset: rhsOffset };
  if (x.outSize === 1 && x.kernelSize === x.inSize && (x.dilation === 1 || x.inSize === 1) && groups === 1) {
    const size = x.inSize;
    const isOne = size === 1 || (lhs.inner === size * x.lhs && rhs.inner === size * x.rhs);
    const [down, across] = size === 1 ? [lhs.inner, rhs.inner] : [x.lhs, x.rhs];
    const summed = isOne ? 1 : inChannels;
    const strides = (inner: number): number[] => (isOne ? [] : [inner]);
    const left = { ...pixels, batch: strides(lhs.inner), row: lhs.outer, column: down };
    const right = { ...weights, batch: strides(rhs.inner), row: across, column: rhs.outer };
    const k = isOne ? size * inChannels : size;
    return made(
      anchor,
      { batch: strides(summed), m: batch, n: outChannels, k },
      [left, 0],
      [right, 1],
      summed,
    );
  }
  if (x.kernelSize !== 1 || (x.outSize - 1) * x.stride >= x.inSize) return undefined;
  const left = { ...weights, batch: [0, outChannels * rhs.outer], row: rhs.outer, column: rhs.inner };
  const right = {
    ...pixels,
    batch: [lhs.outer, inChannels * lhs.inner],
    row: lhs.inner,
    column: x.lhs * x.stride,
  };
  const sizes = { batch: [batch, groups], m: outChannels, n: x.outSize, k: inChannels };
  return made(anchor, sizes, [left, 1], [right, 0], 1);
}

function made(
  anchor: ConvAnchor,
  { batch, m, n, k }: Pick<Product, 'batch' | 'm' | 'n' | 'k'>,
  [lhs, lhsSlot]: readonly [DotOperand, 0 | 1],
  [rhs, rhsSlot]: readonly [DotOperand, 0 | 1],
  summed: number,
): ConvProduct | undefined {
  const numbers = [lhs, rhs].flatMap(({ offset, batch: strides, row, column }) => [
    offset,
    ...strides,
    row,
    column,
  ]);
  if (numbers.some((number) => number < 0)) return undefined;
  const { name, type, buffers, scalars, epilogue } = anchor;
  const results = summed > 1 ? batch.slice(1) : batch;
  const dot: DotAnchor = {
    kind: 'dot',
    name,
    batch: results,
    m,
    n,
    k,
    lhs,
    rhs,
    type,
    buffers,
    scalars,
    ...(epilogue ? { epilogue } : {}),
  };
  const product: Product = {
    anchor: dot,
    type,
    batch,
    m,
    n,
    k,
    lhs: { ...lhs, slot: lhsSlot },
    rhs: { ...rhs, slot: rhsSlot },
  };
  return { product, summed };
}
