/** The derivative of every primitive. A primitive without a rule does not compile. */
import { isFloat } from '../backend/index.ts';
import type { Primitive, PrimitiveAttributes } from '../ops/primitives.ts';
import type { GraphNode } from '../tensor/node.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { cast } from './arithmetic.ts';
import { none, type VjpRule, type VjpRules } from './rule.ts';
import { anchorRules } from './rules/anchors.ts';
import { attentionRules } from './rules/attention.ts';
import { elementwiseRules } from './rules/elementwise.ts';
import { indexingRules } from './rules/indexing.ts';
import { movementRules } from './rules/movement.ts';
import { reduceRules } from './rules/reduce.ts';

const customRule: VjpRule<'custom'> = ({ inputs, output, gradient, attributes }) => {
  const gradients = attributes.rule(cast(gradient, output.dtype), inputs) as readonly (Tensor | undefined)[];
  return [undefined, ...gradients.map((g) => g && cast(g, 'float32'))];
};

export const vjpRules: VjpRules<Primitive> = {
  data: none,
  const: none,
  iota: none,
  ...elementwiseRules,
  ...movementRules,
  ...reduceRules,
  ...indexingRules,
  ...anchorRules,
  ...attentionRules,
  detach: none,
  alias: ({ gradient }) => [gradient],
  barrier: ({ gradient }) => [gradient],
  custom: customRule,
};

/** False for a node that no gradient passes. */
export const isDifferentiable = (node: GraphNode): boolean =>
  isFloat(node.dtype) && vjpRules[node.op] !== none;

/** True when a gradient of `node` can give one to its operand at `position`. */
export function passesGradient(node: GraphNode, position: number): boolean {
  if (node.op === 'barrier') return position === 0;
  if (node.op !== 'custom') return true;
  return position >= 1 && position <= (node.attributes as PrimitiveAttributes['custom']).arguments;
}
