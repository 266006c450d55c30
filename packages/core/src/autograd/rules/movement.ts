import { paddedExtent } from '../../ops/extents.ts';
import type { PrimitiveAttributes } from '../../ops/primitives.ts';
import { apply } from '../../tensor/apply.ts';
import type { Shape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import {
  add,
  fill,
  flip,
  moveAxis,
  padAxis,
  permute,
  reduceSum,
  reshape,
  slice,
  sliceAxis,
} from '../arithmetic.ts';
import type { VjpRule, VjpRules } from '../rule.ts';

const permuteRule: VjpRule<'permute'> = ({ gradient, attributes }) => {
  const inverse = new Array<number>(attributes.axes.length);
  for (const [to, from] of attributes.axes.entries()) inverse[from] = to;
  return [permute(gradient, inverse)];
};

const expandRule: VjpRule<'expand'> = ({ inputs, gradient }) => {
  const grown = gradient.shape.flatMap((extent, axis) => (extent === inputs[0]!.shape[axis] ? [] : [axis]));
  return [reduceSum(gradient, grown)];
};

/** Undoes what was added and cut at the ends (what was cut has gradient 0), then takes every (interior+1)-th element. */
const padRule: VjpRule<'pad'> = ({ inputs, gradient, attributes }) => {
  const { low, high, interior } = attributes;
  const opposite = (amounts: readonly number[]): number[] => amounts.map((amount) => 0 - amount);
  const ends = [...low, ...high].some((amount) => amount !== 0);
  const nothing = interior.map(() => 0);
  const spread = ends
    ? apply('pad', [gradient], { low: opposite(low), high: opposite(high), interior: nothing, value: 0 })
    : gradient;
  if (interior.every((amount) => amount === 0)) return [spread];
  return [
    slice(spread, { start: nothing, size: inputs[0]!.shape, step: interior.map((amount) => amount + 1) }),
  ];
};

/** Extent from the first to the last of `size` elements that are `step` apart. */
const span = (size: number, step: number): number => paddedExtent(size, 0, 0, step - 1);

const sliceRule: VjpRule<'slice'> = ({ inputs, gradient, attributes }) => {
  const { start, size, step } = attributes;
  const high = inputs[0]!.shape.map((extent, axis) => extent - start[axis]! - span(size[axis]!, step[axis]!));
  return [apply('pad', [gradient], { low: start, high, interior: step.map((s) => s - 1), value: 0 })];
};

/** More window positions than this are summed by a reduction: each piece of a written-out sum is an expression of its own. */
const mostPieces = 16;

/** x[p] gets the gradient of every window element that shows it: the sum over positions s of the pieces p = w step + s dilation. */
function sumOfPieces(
  gradient: Tensor,
  shape: Shape,
  { axis, size, step, dilation }: PrimitiveAttributes['unfold'],
): Tensor {
  const windows = gradient.shape[axis]!;
  const last = shape.length;
  const piece = (s: number): Tensor => {
    const low = s * dilation;
    const part = reshape(sliceAxis(gradient, last, s, 1), gradient.shape.slice(0, -1));
    return padAxis(part, axis, { low, high: shape[axis]! - low - span(windows, step), interior: step - 1 });
  };
  let sum = piece(0);
  for (let s = 1; s < size; s++) sum = add(sum, piece(s));
  return sum;
}

/**
 * The same sum as a reduction. With rows (s, position of the window), row s must move by s * dilation. Rows of length
 * R + dilation, laid end to end and read again as rows of length R, do just that.
 */
function skewedSum(
  gradient: Tensor,
  shape: Shape,
  { axis, size, step, dilation }: PrimitiveAttributes['unfold'],
): Tensor {
  const last = shape.length;
  const windows = gradient.shape[axis]!;
  const rows = moveAxis(gradient, axis, last); // [.., size, windows]
  const front = rows.shape.slice(0, -2);
  const reach = span(windows, step) + (size - 1) * dilation;
  const high = reach + dilation - span(windows, step);
  const spread = padAxis(rows, last, { low: 0, high, interior: step - 1 });
  const flat = reshape(spread, [...front, size * (reach + dilation)]);
  const skewed = reshape(sliceAxis(flat, last - 1, 0, size * reach), [...front, size, reach]);
  const sum = reshape(reduceSum(skewed, [last - 1]), [...front, reach]);
  return moveAxis(padAxis(sum, last - 1, { low: 0, high: shape[axis]! - reach }), last - 1, axis);
}

/** Windows that do not overlap are pieces of the axis, side by side with gaps. */
function sideBySide(
  gradient: Tensor,
  shape: Shape,
  { axis, size, step }: PrimitiveAttributes['unfold'],
): Tensor {
  const windows = gradient.shape[axis]!;
  const apart = padAxis(moveAxis(gradient, shape.length, axis + 1), axis + 1, { low: 0, high: step - size });
  const joined = reshape(
    apart,
    shape.map((extent, a) => (a === axis ? windows * step : extent)),
  );
  return padAxis(joined, axis, { low: 0, high: shape[axis]! - windows * step });
}

const unfoldRule: VjpRule<'unfold'> = ({ inputs, gradient, attributes }) => {
  const { size, step, dilation } = attributes;
  const { shape } = inputs[0]!;
  if (gradient.size === 0) return [fill(0, inputs[0]!)];
  if (size === 1 || (dilation === 1 && step >= size)) return [sideBySide(gradient, shape, attributes)];
  return [
    size > mostPieces ? skewedSum(gradient, shape, attributes) : sumOfPieces(gradient, shape, attributes),
  ];
};

export const movementRules: VjpRules<'reshape' | 'permute' | 'expand' | 'pad' | 'slice' | 'flip' | 'unfold'> =
  {
    reshape: ({ inputs, gradient }) => [reshape(gradient, inputs[0]!.shape)],
    permute: permuteRule,
    expand: expandRule,
    pad: padRule,
    slice: sliceRule,
    flip: ({ gradient, attributes }) => [flip(gradient, attributes.axes)],
    unfold: unfoldRule,
  };
