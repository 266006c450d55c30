/**
 * What a case of the suite is: one public operation, called through the public API on a grid of inputs. From one case come
 * the forward test in every mode, the gradient checks, the row of the support table and the figures of a benchmark.
 */
import type { Shape, Tensor } from '@tutti/core';
import type { DType } from '@tutti/core/backend';

/** A plain n-dimensional array of doubles, for formulas that share nothing with the library. */
export interface NdArray {
  readonly shape: Shape;
  readonly values: ArrayLike<number>;
}

/** How an input lies in memory. All but `contiguous` are views of a larger or differently ordered leaf. */
export type View = 'contiguous' | 'transposed' | 'offset' | 'strided' | 'flipped' | 'expanded';

/** An operand: its elements (already numbers of its dtype) and how it lies in memory. */
export interface Input extends NdArray {
  readonly dtype: DType;
  readonly values: readonly number[];
  readonly view: View;
  /** Whether a gradient with respect to this operand is checked. */
  readonly differentiable: boolean;
}

/** One call with certain inputs and attributes. */
export interface Sample {
  /** Attributes and shapes, for people: `stride=2 [1, 3, 8, 8]`. */
  readonly label: string;
  readonly inputs: readonly Input[];
  readonly call: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  /** The formula, written directly in float64. Left out only where the operation is a primitive of the oracle. */
  readonly reference?: (...inputs: NdArray[]) => NdArray | readonly NdArray[];
  /** Dtype of the result, where it is not that of the case. */
  readonly result?: DType;
  /** Share of elements that the policy may leave unjudged (values at a discontinuity). Default 0.02. */
  readonly unjudged?: number;
  /** False where finite differences cannot see the derivative: a step, a kink, a tie. Default true. */
  readonly smooth?: boolean;
}

/** Arithmetic and traffic of one call, for benchmarks and roofline figures. */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

export interface OpCase {
  /** Unique. The operation's name, followed by what is particular: `conv2d groups`. */
  readonly name: string;
  /** The public operation. */
  readonly op: string;
  /** Dtypes of the first operand for which the operation is defined. */
  readonly dtypes: readonly DType[];
  readonly differentiable: boolean;
  /** The grid for one dtype. The same on every call. */
  readonly samples: (dtype: DType) => readonly Sample[];
  /** Floating-point (or integer) operations of one call per element of its result, from the operands' shapes. */
  readonly flopsPerElement: (shapes: readonly Shape[]) => number;
}
