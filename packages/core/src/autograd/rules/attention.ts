import { alongKeys, attentionSlopes, type Make, scaled, transposed } from '../../ops/attention-graph.ts';
import type { PrimitiveAttributes } from '../../ops/primitives.ts';
import { apply } from '../../tensor/apply.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { add, fill, mul, sub } from '../arithmetic.ts';
import type { VjpRule, VjpRules } from '../rule.ts';

/** One operation for each operand, so that a device may compute them without the weights. */
const attentionRule: VjpRule<'attention'> = ({ inputs, gradient, attributes, needs }) => {
  const [q, k, v, mask] = inputs as [Tensor, Tensor, Tensor, Tensor?];
  if (v.size === 0 || gradient.size === 0) return inputs.map((input) => fill(0, input));
  const operands = [q, k, v, gradient, ...(mask ? [mask] : [])];
  const of = (name: 'query' | 'key' | 'value' | 'mask'): Tensor =>
    apply('attentionGradient', operands, { ...attributes, of: [name] });
  return [
    needs[0] ? of('query') : undefined,
    needs[1] ? of('key') : undefined,
    needs[2] ? of('value') : undefined,
    needs[3] && mask?.dtype === 'float32' ? of('mask') : undefined,
  ];
};

const sumOf = (terms: readonly (Tensor | undefined)[]): Tensor | undefined =>
  terms.reduce((a, b) => (a && b ? add(a, b) : (a ?? b)), undefined);

/**
 * The gradients of attention are made of the weights p, of a = g v^T and of s = p (a - sum(p a)), the gradient of the scores: those of
 * q, k, v and the mask are c s k, c s^T q, p^T g and s, with the scale c. What comes from above goes through these products, then
 * through s, then through a and through the softmax.
 */
const gradientRule: VjpRule<'attentionGradient'> = ({ inputs, gradient: x, attributes, needs }) => {
  const [q, k, v, g, mask] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor?];
  if (v.size === 0 || g.size === 0) return inputs.map((input) => fill(0, input));
  const { make, dot, turned, times } = toolsFor(q, attributes);
  const { weights, toWeights, above, toScores } = attentionSlopes(make, inputs, attributes);
  const [name] = attributes.of;

  /** With respect to s, and to the weights. */
  const scores = {
    query: () => times(dot(x, turned(k))),
    key: () => times(dot(q, turned(x))),
    value: () => undefined,
    mask: () => x,
  }[name!]();
  let powers = name === 'value' ? dot(g, turned(x)) : undefined;
  let slopes: Tensor | undefined;
  if (scores) {
    const weighed = mul(scores, weights);
    const total = alongKeys(make, weighed);
    powers = sub(mul(scores, above), mul(total, toWeights));
    slopes = sub(weighed, mul(total, weights));
  }
  const through = mul(weights, sub(powers!, alongKeys(make, mul(weights, powers!))));
  const direct = {
    query: name === 'key' ? times(dot(toScores, x)) : undefined,
    key: name === 'query' ? times(dot(turned(toScores), x)) : undefined,
    gradient: name === 'value' ? dot(weights, x) : undefined,
  };
  return [
    needs[0] ? sumOf([times(dot(through, k)), direct.query]) : undefined,
    needs[1] ? sumOf([times(dot(turned(through), q)), direct.key]) : undefined,
    needs[2] && slopes ? dot(turned(slopes), g) : undefined,
    needs[3] ? sumOf([slopes && dot(slopes, v), direct.gradient]) : undefined,
    needs[4] && mask?.dtype === 'float32' ? through : undefined,
  ];
};

function toolsFor(like: Tensor, { scale }: PrimitiveAttributes['attentionGradient']) {
  const make: Make<Tensor> = (op, operands, own) => apply(op, operands, own, like.device);
  return {
    make,
    dot: (a: Tensor, b: Tensor): Tensor => apply('dot', [a, b], {}),
    turned: (a: Tensor): Tensor => transposed(make, a),
    times: (a: Tensor): Tensor => scaled(make, a, scale),
  };
}

export const attentionRules: VjpRules<'attention' | 'attentionGradient'> = {
  attention: attentionRule,
  attentionGradient: gradientRule,
};
