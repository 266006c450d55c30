import { paddedExtent } from '../../ops/extents.ts';
import type { PrimitiveAttributes } from '../../ops/primitives.ts';
import { apply } from '../../tensor/apply.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { fill, flip, permute, reshape } from '../arithmetic.ts';
import type { VjpRule, VjpRules } from '../rule.ts';

type ConvAttributes = PrimitiveAttributes['conv'];

/** Exchanges the last two axes. */
function transpose(x: Tensor): Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return permute(x, [...axes.slice(0, -2), x.rank - 1, x.rank - 2]);
}

/** C = A B: dA = dC B^T, dB = A^T dC. */
const dotRule: VjpRule<'dot'> = ({ inputs: [a, b], gradient, needs }) => [
  needs[0] ? apply('dot', [gradient, transpose(b!)], {}) : undefined,
  needs[1] ? apply('dot', [transpose(a!), gradient], {}) : undefined,
];

/** The padding at the high end that gives a convolution exactly `outSize` results, with no remainder that the stride skips. */
function highFor(
  outSize: readonly number[],
  inSize: readonly number[],
  kernelSize: readonly number[],
  attributes: Omit<ConvAttributes, 'padHigh' | 'groups'>,
): number[] {
  const { stride, padLow, inputDilation, kernelDilation } = attributes;
  return outSize.map((size, d) => {
    const needed = (size - 1) * stride[d]! + (kernelSize[d]! - 1) * kernelDilation[d]! + 1;
    return needed - paddedExtent(inSize[d]!, padLow[d]!, 0, inputDilation[d]! - 1);
  });
}

/** The spatial axes of a (.., .., ..spatial) tensor after other axes were put before them: the first is `first`. */
const spatialAxes = (x: Tensor, first: number): number[] => x.shape.slice(2).map((_, d) => first + d);

/**
 * dx = conv(dy dilated by the stride, w flipped and with its channels exchanged).
 *
 * y stride + t kd - padLow = p id, solved for y with t = k-1-t': p id + t' kd - ((k-1) kd - padLow) = y stride, which is the
 * formula of a convolution with the gradient as its input, stride id and input dilation `stride`.
 */
function inputGradient(gradient: Tensor, x: Tensor, w: Tensor, attributes: ConvAttributes): Tensor {
  const { stride, padLow, inputDilation, kernelDilation, groups } = attributes;
  const [outChannels, inChannels, ...kernel] = w.shape as [number, number, ...number[]];
  const perGroup = outChannels / groups;
  const grouped = reshape(flip(w, spatialAxes(w, 2)), [groups, perGroup, inChannels, ...kernel]);
  const exchanged = permute(grouped, [0, 2, 1, ...spatialAxes(w, 3)]);
  const kernelOfGradient = reshape(exchanged, [groups * inChannels, perGroup, ...kernel]);
  const shared = {
    stride: inputDilation,
    padLow: kernel.map((size, d) => (size - 1) * kernelDilation[d]! - padLow[d]!),
    inputDilation: stride,
    kernelDilation,
  };
  const padHigh = highFor(x.shape.slice(2), gradient.shape.slice(2), kernel, shared);
  return apply('conv', [gradient, kernelOfGradient], { ...shared, padHigh, groups });
}

/**
 * dw = conv(x, dy) with batch and channels exchanged: (I, G*N, ..in) with (G*O, N, ..out) gives (I, G*O, ..kernel).
 * In y stride + t kd - padLow = p id the roles of y and t change places, so the stride is kd and the kernel dilation `stride`.
 */
function kernelGradient(gradient: Tensor, x: Tensor, w: Tensor, attributes: ConvAttributes): Tensor {
  const { stride, padLow, inputDilation, kernelDilation, groups } = attributes;
  const [batch, , ...inSize] = x.shape as [number, number, ...number[]];
  const inChannels = w.shape[1]!;
  const grouped = reshape(x, [batch, groups, inChannels, ...inSize]);
  const input = reshape(permute(grouped, [2, 1, 0, ...spatialAxes(x, 3)]), [
    inChannels,
    groups * batch,
    ...inSize,
  ]);
  const exchange = [1, 0, ...spatialAxes(x, 2)];
  const shared = { stride: kernelDilation, padLow, inputDilation, kernelDilation: stride };
  const padHigh = highFor(w.shape.slice(2), inSize, gradient.shape.slice(2), shared);
  return permute(
    apply('conv', [input, permute(gradient, exchange)], { ...shared, padHigh, groups }),
    exchange,
  );
}

const convRule: VjpRule<'conv'> = ({ inputs, gradient, attributes, needs }) => {
  const [x, w] = inputs as [Tensor, Tensor];
  const empty = x.size === 0 || w.size === 0 || gradient.size === 0;
  if (empty) return [fill(0, x), fill(0, w)];
  return [
    needs[0] ? inputGradient(gradient, x, w, attributes) : undefined,
    needs[1] ? kernelGradient(gradient, x, w, attributes) : undefined,
  ];
};

export const anchorRules: VjpRules<'dot' | 'conv'> = {
  dot: dotRule,
  conv: convRule,
};
