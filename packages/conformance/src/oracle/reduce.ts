import type { DType } from '@tutti/core/backend';
import type { GraphNode, ReducePrimitive } from '@tutti/core/graph';
import { count, forEachIndex, position } from './indices.ts';
import { isFloating, multiply, wrap } from './numbers.ts';
import { type OracleFunction, operand } from './value.ts';

/** Where in the result the element at `index` of the operand goes: the reduced axes have extent 1. */
export const reducedPosition = (index: readonly number[], node: GraphNode): number =>
  position(
    index.map((i, axis) => (node.shape[axis] === 1 ? 0 : i)),
    node.shape,
  );

type Combine = (accumulator: number, value: number, dtype: DType) => number;

/** The identity of max (and, negated, of min) for a dtype. */
function lowest(dtype: DType): number {
  if (isFloating(dtype)) return -Infinity;
  return dtype === 'int32' ? -(2 ** 31) : 0;
}

function highest(dtype: DType): number {
  if (isFloating(dtype)) return Infinity;
  return { int32: 2 ** 31 - 1, uint32: 2 ** 32 - 1, uint8: 255, bool: 1 }[
    dtype as 'int32' | 'uint32' | 'uint8' | 'bool'
  ];
}

const fold =
  (start: (dtype: DType) => number, combine: Combine): OracleFunction<ReducePrimitive> =>
  (operands, node) => {
    const x = operand(operands, 0);
    const out = new Float64Array(count(node.shape)).fill(start(x.dtype));
    forEachIndex(x.shape, (index, flat) => {
      const target = reducedPosition(index, node);
      out[target] = combine(out[target]!, x.values[flat]!, x.dtype);
    });
    return out;
  };

export const reduceSum: OracleFunction<'reduceSum'> = fold(
  () => 0,
  (sum, value, dtype) => wrap(sum + value, dtype),
);
export const reduceProd: OracleFunction<'reduceProd'> = fold(() => 1, multiply);
export const reduceMax: OracleFunction<'reduceMax'> = fold(lowest, (best, value) => Math.max(best, value));
export const reduceMin: OracleFunction<'reduceMin'> = fold(highest, (best, value) => Math.min(best, value));

/** The first position of the extreme; a NaN beats every number, and the first NaN beats later ones. */
const extremePosition =
  (beats: (candidate: number, best: number) => boolean): OracleFunction<'argMax' | 'argMin'> =>
  (operands, node) => {
    const x = operand(operands, 0);
    const { axis } = node.attributes;
    const out = new Float64Array(count(node.shape));
    const best = new Float64Array(count(node.shape));
    forEachIndex(x.shape, (index, flat) => {
      const target = reducedPosition(index, node);
      const value = x.values[flat]!;
      const better = Number.isNaN(value) ? !Number.isNaN(best[target]!) : beats(value, best[target]!);
      if (index[axis] !== 0 && !better) return;
      best[target] = value;
      out[target] = index[axis]!;
    });
    return out;
  };

export const argMax: OracleFunction<'argMax'> = extremePosition((candidate, best) => candidate > best);
export const argMin: OracleFunction<'argMin'> = extremePosition((candidate, best) => candidate < best);
