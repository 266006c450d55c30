import type { GraphNode, Primitive } from '@tutti/core/graph';
import { count, forEachIndex, position } from './indices.ts';
import { type OracleFunction, type OracleValue, operand } from './value.ts';

/** Fills a result by asking, for each of its indices, where in the operand the element comes from. */
function moved(
  x: OracleValue,
  node: GraphNode<Primitive>,
  source: (index: readonly number[]) => number[],
): Float64Array {
  const out = new Float64Array(count(node.shape));
  forEachIndex(node.shape, (index, flat) => {
    out[flat] = x.values[position(source(index), x.shape)]!;
  });
  return out;
}

export const identity: OracleFunction = (operands) => operand(operands, 0).values;

export const permute: OracleFunction<'permute'> = (operands, node) => {
  const { axes } = node.attributes;
  return moved(operand(operands, 0), node, (index) => {
    const source = new Array<number>(axes.length);
    for (const [i, axis] of axes.entries()) source[axis] = index[i]!;
    return source;
  });
};

export const expand: OracleFunction<'expand'> = (operands, node) => {
  const x = operand(operands, 0);
  return moved(x, node, (index) => index.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)));
};

/** Places each element of the operand on a ground of `fill`, dropping those that a negative low or high cuts off. */
export function placed(x: OracleValue, node: GraphNode<'pad'>, fill: number): Float64Array {
  const { low, interior } = node.attributes;
  const out = new Float64Array(count(node.shape)).fill(fill);
  forEachIndex(x.shape, (index, flat) => {
    const target = index.map((i, axis) => low[axis]! + i * (interior[axis]! + 1));
    if (target.every((i, axis) => i >= 0 && i < node.shape[axis]!))
      out[position(target, node.shape)] = x.values[flat]!;
  });
  return out;
}

export const pad: OracleFunction<'pad'> = (operands, node) =>
  placed(operand(operands, 0), node, node.attributes.value);

export const slice: OracleFunction<'slice'> = (operands, node) => {
  const { start, step } = node.attributes;
  return moved(operand(operands, 0), node, (index) => index.map((i, axis) => start[axis]! + i * step[axis]!));
};

export const flip: OracleFunction<'flip'> = (operands, node) => {
  const { axes } = node.attributes;
  return moved(operand(operands, 0), node, (index) =>
    index.map((i, axis) => (axes.includes(axis) ? node.shape[axis]! - 1 - i : i)),
  );
};

export const unfold: OracleFunction<'unfold'> = (operands, node) => {
  const { axis, step, dilation } = node.attributes;
  return moved(operand(operands, 0), node, (index) => {
    const within = index[index.length - 1]!;
    return index.slice(0, -1).map((i, a) => (a === axis ? i * step + within * dilation : i));
  });
};

export const iota: OracleFunction<'iota'> = (_operands, node) => {
  const out = new Float64Array(count(node.shape));
  forEachIndex(node.shape, (index, flat) => {
    out[flat] = index[node.attributes.axis]!;
  });
  return out;
};
