import type { DType } from '@tutti/core/backend';
import type { GraphNode } from '@tutti/core/graph';
import { count, forEachIndex, position } from './indices.ts';
import { multiply, wrap } from './numbers.ts';
import { type OracleFunction, type OracleValue, operand } from './value.ts';

/** Sums over the terms of each element of a contraction's result: `value(a, b)` of every pair that meets there. */
export type Contraction = (
  node: GraphNode,
  operands: readonly OracleValue[],
  visit: (out: number, a: number, b: number) => void,
) => void;

/** Visits every product of a batched matrix product: positions in the result, the left and the right operand. */
export const forEachDotTerm: Contraction = (node, operands, visit) => {
  const [a, b] = [operand(operands, 0), operand(operands, 1)];
  const rank = node.shape.length;
  const depth = a.shape[rank - 1]!;
  forEachIndex(node.shape, (index, out) => {
    const batch = index.slice(0, -2);
    for (let k = 0; k < depth; k++) {
      visit(
        out,
        position([...batch, index[rank - 2]!, k], a.shape),
        position([...batch, k, index[rank - 1]!], b.shape),
      );
    }
  });
};

/** Visits every product of a convolution, by the formula of the anchor's contract. */
export const forEachConvTerm: Contraction = (node, operands, visit) => {
  const [x, w] = [operand(operands, 0), operand(operands, 1)];
  const { stride, padLow, inputDilation, kernelDilation, groups } = (node as GraphNode<'conv'>).attributes;
  const kernel = w.shape.slice(2);
  const inChannels = w.shape[1]!;
  const outPerGroup = w.shape[0]! / groups;
  forEachIndex(node.shape, (index, out) => {
    const [batch, channel, ...y] = index as [number, number, ...number[]];
    const firstChannel = Math.floor(channel / outPerGroup) * inChannels;
    forEachIndex([inChannels, ...kernel], ([inChannel, ...tap]) => {
      const at = tap.map(
        (t, d) => (y[d]! * stride[d]! + t * kernelDilation[d]! - padLow[d]!) / inputDilation[d]!,
      );
      if (!at.every((p, d) => Number.isInteger(p) && p >= 0 && p < x.shape[d + 2]!)) return;
      visit(
        out,
        position([batch, firstChannel + inChannel!, ...at], x.shape),
        position([channel, inChannel!, ...tap], w.shape),
      );
    });
  });
};

function contract(
  node: GraphNode,
  operands: readonly OracleValue[],
  forEachTerm: Contraction,
  dtype: DType,
): Float64Array {
  const [a, b] = [operand(operands, 0).values, operand(operands, 1).values];
  const out = new Float64Array(count(node.shape));
  forEachTerm(node, operands, (target, left, right) => {
    out[target] = wrap(out[target]! + multiply(a[left]!, b[right]!, dtype), dtype);
  });
  return out;
}

export const dot: OracleFunction<'dot'> = (operands, node) =>
  contract(node, operands, forEachDotTerm, node.dtype);
export const conv: OracleFunction<'conv'> = (operands, node) =>
  contract(node, operands, forEachConvTerm, node.dtype);
