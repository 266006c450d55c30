import { apply } from '../../tensor/apply.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import {
  cast,
  div,
  eq,
  expand,
  flip,
  keepWhere,
  mul,
  padAxis,
  permute,
  reduceSum,
  reshape,
  sliceAxis,
} from '../arithmetic.ts';
import { none, type VjpRule, type VjpRules } from '../rule.ts';

/** The elements equal to the extreme share the gradient evenly. A row with a NaN has none: its gradient is 0. */
const extremeRule: VjpRule<'reduceMax' | 'reduceMin'> = ({ inputs, output, gradient, attributes }) => {
  const x = inputs[0]!;
  const chosen = eq(x, expand(output, x.shape));
  const share = div(gradient, reduceSum(cast(chosen, 'float32'), attributes.axes));
  return [keepWhere(chosen, expand(share, x.shape))];
};

/**
 * For each element of [outer, n] the product of the n-1 others of its row: a tree of products of pairs, in which an element
 * gets its neighbour's product times that of all other pairs. It divides by nothing, so zeros are exact, in gradients of
 * gradients too; n-1 products up, n down.
 */
function productsOfOthers(x: Tensor): Tensor {
  const [outer, n] = x.shape as [number, number];
  const pairCount = Math.ceil(n / 2);
  const even = padAxis(x, 1, { low: 0, high: pairCount * 2 - n, value: 1 });
  const pairs = reshape(even, [outer, pairCount, 2]);
  let others = flip(pairs, [2]);
  if (pairCount > 1) {
    const above = productsOfOthers(reshape(apply('reduceProd', [pairs], { axes: [2] }), [outer, pairCount]));
    others = mul(expand(reshape(above, [outer, pairCount, 1]), pairs.shape), others);
  }
  return sliceAxis(reshape(others, [outer, pairCount * 2]), 1, 0, n);
}

const productRule: VjpRule<'reduceProd'> = ({ inputs, gradient, attributes }) => {
  const x = inputs[0]!;
  const { axes } = attributes;
  const spread = expand(gradient, x.shape);
  const n = sizeOf(axes.map((axis) => x.shape[axis]!));
  if (n <= 1 || x.size === 0) return [spread];
  const front = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...front, ...axes];
  const rows = reshape(permute(x, order), [x.size / n, n]);
  const others = reshape(
    productsOfOthers(rows),
    order.map((axis) => x.shape[axis]!),
  );
  const back = x.shape.map((_, axis) => order.indexOf(axis));
  return [mul(spread, permute(others, back))];
};

export const reduceRules: VjpRules<
  'reduceSum' | 'reduceProd' | 'reduceMax' | 'reduceMin' | 'argMax' | 'argMin'
> = {
  reduceSum: ({ inputs, gradient }) => [expand(gradient, inputs[0]!.shape)],
  reduceProd: productRule,
  reduceMax: extremeRule,
  reduceMin: extremeRule,
  argMax: none,
  argMin: none,
};
