import type { Primitive, PrimitiveAttributes } from '../ops/primitives.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What a rule is given. */
export interface VjpArguments<P extends Primitive> {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /**
   * Gradient of the final result with respect to `output`, of the same shape. Always float32: gradients of 16-bit values
   * are carried in float32 until they reach the tensor that they are for.
   */
  readonly gradient: Tensor;
  readonly attributes: PrimitiveAttributes[P];
  /** Which inputs need a gradient. A rule may leave out the others. */
  readonly needs: readonly boolean[];
}

/**
 * The vector-Jacobian product of a primitive: for each input the gradient with respect to it, float32 and of the input's
 * shape, or undefined where it is zero or not needed. Rules are made of differentiable operations, so that gradients have
 * gradients.
 */
export type VjpRule<P extends Primitive> = (args: VjpArguments<P>) => readonly (Tensor | undefined)[];

export type VjpRules<K extends Primitive> = { readonly [P in K]: VjpRule<P> };

/** The rule of what has no derivative (integers, comparisons, leaves): nothing below is reached. */
export const none = (): readonly undefined[] => [];

/** The rule of what is piecewise constant: the derivative is zero, and leaves below get a gradient of zeros. */
export const zero = (): readonly undefined[] => [];
