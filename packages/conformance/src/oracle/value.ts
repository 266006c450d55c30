import type { Shape } from '@tutti/core';
import { ArgumentError, type DType } from '@tutti/core/backend';
import type { GraphNode, Primitive } from '@tutti/core/graph';

/** The value of a node as the oracle sees it: one double for each element, row-major. */
export interface OracleValue {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly values: Float64Array;
  /**
   * How far a correct implementation's result may lie from `values`, element by element; absent where no bounds were
   * asked for. 0: it must be equal, sign of zero included. Infinity: not judged.
   */
  readonly errors?: Float64Array;
}

/** Computes the elements of one primitive from those of its operands. */
export type OracleFunction<P extends Primitive = Primitive> = (
  operands: readonly OracleValue[],
  node: GraphNode<P>,
) => Float64Array;

/** The operand at `position`; the graph's own arity check makes a missing one impossible. */
export function operand(operands: readonly OracleValue[], position: number): OracleValue {
  const found = operands[position];
  if (found) return found;
  throw new ArgumentError(`oracle: operand ${position} is missing`, { received: operands.length });
}
