import type { BinaryPrimitive, PrimitiveAttributes, UnaryPrimitive } from '../../ops/primitives.ts';
import { apply } from '../../tensor/apply.ts';
import type { GraphNode } from '../../tensor/node.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import {
  add,
  and,
  cast,
  div,
  eq,
  fill,
  keepWhere,
  le,
  lt,
  mul,
  neg,
  pow,
  scale,
  sub,
  where,
} from '../arithmetic.ts';
import { none, type VjpRule, type VjpRules, zero } from '../rule.ts';

/** The rule of an operation of one operand, from its derivative times the gradient. */
const unary =
  (derivative: (gradient: Tensor, x: Tensor, output: Tensor) => Tensor): VjpRule<UnaryPrimitive> =>
  ({ inputs, output, gradient }) => [derivative(gradient, inputs[0]!, output)];

/** The value of a tensor that the graph shows to be constant: a scalar, reshaped and expanded. */
function knownValue(x: Tensor): number | undefined {
  let node: GraphNode = x.node;
  while (node.op === 'reshape' || node.op === 'expand') node = node.inputs[0]!;
  return node.op === 'const' ? (node.attributes as PrimitiveAttributes['const']).value : undefined;
}

/** d(x^c)/dx = c x^(c-1) for a known c; 0 for c = 0, also at x = 0. */
function powerGradient(g: Tensor, x: Tensor, exponent: number): Tensor {
  if (exponent === 0) return fill(0, x);
  if (exponent === 1) return g;
  const factor = exponent === 2 ? x : pow(x, fill(exponent - 1, x));
  return mul(g, scale(factor, exponent));
}

/**
 * d(x^e)/dx = e x^(e-1), and 0 where x = e = 0: there x^(e-1) is infinite, so the exponent 1 stands in for 0.
 * d(x^e)/de = x^e log x, and 0 where x = 0 <= e, the limit from the right. Negative x: NaN, as x^e is not differentiable in e.
 */
const powRule: VjpRule<'pow'> = ({ inputs, output, gradient, needs }) => {
  const [x, exponent] = inputs as [Tensor, Tensor];
  const known = knownValue(exponent);
  const [nothing, one] = [fill(0, x), fill(1, x)];
  const forBase = (): Tensor => {
    if (known !== undefined) return powerGradient(gradient, x, known);
    const safe = where(and(eq(exponent, nothing), eq(x, nothing)), one, exponent);
    return mul(gradient, mul(exponent, pow(x, sub(safe, one))));
  };
  const forExponent = (): Tensor => {
    const atZero = and(eq(x, nothing), le(nothing, exponent));
    return mul(gradient, mul(output, apply('log', [where(atZero, one, x)], {})));
  };
  return [needs[0] ? forBase() : undefined, needs[1] ? forExponent() : undefined];
};

/** The operand that won gets the gradient; operands that are equal get half each; beside a NaN both get it. */
const extremeRule =
  (op: 'maximum' | 'minimum'): VjpRule<'maximum' | 'minimum'> =>
  ({ inputs, gradient, needs }) => {
    const [a, b] = inputs as [Tensor, Tensor];
    const shared = where(eq(a, b), scale(gradient, 0.5), gradient);
    const nothing = fill(0, gradient);
    const less = (x: Tensor, y: Tensor): Tensor => (op === 'maximum' ? lt(x, y) : lt(y, x));
    return [
      needs[0] ? where(less(a, b), nothing, shared) : undefined,
      needs[1] ? where(less(b, a), nothing, shared) : undefined,
    ];
  };

/** rem(a, b) = a - n b with a whole n, which is constant almost everywhere; (a - rem) / b is n but for rounding. */
const remRule: VjpRule<'rem'> = ({ inputs, output, gradient, needs }) => {
  const [a, b] = inputs as [Tensor, Tensor];
  const quotient = (): Tensor => apply('round', [div(sub(a, output), b)], {});
  return [gradient, needs[1] ? neg(mul(gradient, quotient())) : undefined];
};

export const elementwiseRules: VjpRules<UnaryPrimitive | BinaryPrimitive | 'where' | 'cast' | 'bitcast'> = {
  neg: unary((g) => neg(g)),
  // The derivative of |x| at 0 is taken to be 0.
  abs: unary((g, x) => mul(g, apply('sign', [x], {}))),
  sign: zero,
  floor: zero,
  ceil: zero,
  trunc: zero,
  round: zero,
  // Infinite at 0.
  sqrt: unary((g, _x, y) => div(g, scale(y, 2))),
  rsqrt: unary((g, _x, y) => mul(g, scale(mul(mul(y, y), y), -0.5))),
  exp: unary((g, _x, y) => mul(g, y)),
  log: unary((g, x) => div(g, x)),
  log1p: unary((g, x) => div(g, add(x, fill(1, x)))),
  // Not expm1(x) + 1, which loses all digits for very negative x.
  expm1: unary((g, x) => mul(g, apply('exp', [x], {}))),
  sin: unary((g, x) => mul(g, apply('cos', [x], {}))),
  cos: unary((g, x) => neg(mul(g, apply('sin', [x], {})))),
  tanh: unary((g, _x, y) => mul(g, sub(fill(1, y), mul(y, y)))),
  erf: unary((g, x) => mul(g, scale(apply('exp', [neg(mul(x, x))], {}), 2 / Math.sqrt(Math.PI)))),
  not: none,

  add: ({ gradient }) => [gradient, gradient],
  sub: ({ gradient, needs }) => [gradient, needs[1] ? neg(gradient) : undefined],
  mul: ({ inputs, gradient, needs }) => [
    needs[0] ? mul(gradient, inputs[1]!) : undefined,
    needs[1] ? mul(gradient, inputs[0]!) : undefined,
  ],
  div: ({ inputs, output, gradient, needs }) => [
    needs[0] ? div(gradient, inputs[1]!) : undefined,
    needs[1] ? neg(mul(gradient, div(output, inputs[1]!))) : undefined,
  ],
  idiv: none,
  rem: remRule,
  pow: powRule,
  maximum: extremeRule('maximum'),
  minimum: extremeRule('minimum'),
  and: none,
  or: none,
  xor: none,
  shl: none,
  shr: none,
  lt: none,
  le: none,
  eq: none,
  ne: none,

  where: ({ inputs, gradient, needs }) => [
    undefined,
    needs[1] ? keepWhere(inputs[0]!, gradient) : undefined,
    needs[2] ? where(inputs[0]!, fill(0, gradient), gradient) : undefined,
  ],
  // Between floats; the walk does not go on to integers. Rounding counts as the identity.
  cast: ({ gradient }) => [cast(gradient, 'float32')],
  bitcast: none,
};
