import type { BinaryPrimitive, GraphNode, UnaryPrimitive } from '@tutti/core/graph';
import { convert } from '../oracle/elementwise.ts';
import { forEachIndex } from '../oracle/indices.ts';
import { isFloating, power, roundEven } from '../oracle/numbers.ts';
import { reducedPosition } from '../oracle/reduce.ts';
import { unitInLastPlace } from '../oracle/rounding.ts';
import { type OracleValue, operand } from '../oracle/value.ts';
import { anySign, correctRounding, distance, type ErrorRule, errorsOf, rounding, spread } from './bounds.ts';

type Bound1 = (x: number, error: number, value: number) => number;
type Bound2 = (a: number, b: number, errorA: number, errorB: number, value: number) => number;

const each1 =
  (bound: Bound1): ErrorRule =>
  (operands, _node, values) => {
    const x = operand(operands, 0).values;
    const errors = errorsOf(operands, 0);
    return values.map((value, i) => bound(x[i]!, errors[i]!, value));
  };

/** Integer arithmetic is exact; on an operand that is not known exactly it is not judged. */
const each2 =
  (bound: Bound2): ErrorRule =>
  (operands, _node, values) => {
    const [a, b] = [operand(operands, 0), operand(operands, 1)];
    const [errorsA, errorsB] = [errorsOf(operands, 0), errorsOf(operands, 1)];
    const applied = isFloating(a.dtype) ? bound : uncertain;
    return values.map((value, i) => applied(a.values[i]!, b.values[i]!, errorsA[i]!, errorsB[i]!, value));
  };

const uncertain: Bound2 = (_a, _b, errorA, errorB) => (errorA + errorB > 0 ? Infinity : 0);

/** A monotone function of which a good implementation is within `ulps` units in the last place. */
const monotone = (f: (x: number) => number, ulps: number): ErrorRule =>
  each1((x, error, value) => spread(f, x, error) + rounding(value, ulps));

/** A step function: exact for exact operands. */
const steps = (f: (x: number) => number): ErrorRule => each1((x, error) => spread(f, x, error));

/**
 * Sine and cosine also tolerate a change of the argument by one unit in its last place: near their zeros that is what the
 * reduction of the argument costs.
 */
const periodic = (slope: (x: number) => number): ErrorRule =>
  each1((x, error, value) => {
    if (x === 0 && error === 0) return 0;
    const argument = Math.abs(slope(x)) * unitInLastPlace(x, 'float32');
    return Math.min(2, error + argument + rounding(value, 4)) || 0;
  });

/** exp tolerates half a unit in the last place of its argument besides: its condition number is |x|. */
const exponential: ErrorRule = each1((x, error, value) => {
  const own = x === 0 || !Number.isFinite(value) ? 0 : (value * unitInLastPlace(x, 'float32')) / 2;
  return spread(Math.exp, x, error) + own + rounding(value, 3);
});

const passed: ErrorRule = each1((_x, error) => error);

export const unaryErrors: { readonly [P in UnaryPrimitive]: ErrorRule } = {
  neg: passed,
  abs: passed,
  sign: steps(Math.sign),
  floor: steps(Math.floor),
  ceil: steps(Math.ceil),
  trunc: steps(Math.trunc),
  round: steps(roundEven),
  sqrt: monotone(Math.sqrt, 3),
  rsqrt: monotone((x) => 1 / Math.sqrt(x), 4),
  exp: exponential,
  log: monotone(Math.log, 4),
  log1p: monotone(Math.log1p, 4),
  expm1: monotone(Math.expm1, 5),
  sin: periodic(Math.cos),
  cos: periodic(Math.sin),
  tanh: monotone(Math.tanh, 5),
  erf: each1((_x, error, value) => Math.min(2, error * 1.1284) + rounding(value, 6)),
  not: each1((_x, error) => (error > 0 ? Infinity : 0)),
};

/** Where an operand is infinite or NaN the result is known, as long as the bounds are finite. */
const product: Bound2 = (a, b, errorA, errorB, value) => {
  if (!Number.isFinite(a) || !Number.isFinite(b)) return infiniteProduct(a, b, errorA, errorB);
  const propagated =
    errorA === 0 && errorB === 0 ? 0 : Math.abs(a) * errorB + Math.abs(b) * errorA + errorA * errorB;
  return propagated + correctRounding(value, propagated);
};

function infiniteProduct(a: number, b: number, errorA: number, errorB: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return 0;
  const [other, error] = Number.isFinite(a) ? [a, errorA] : [b, errorB];
  return error === 0 || Math.abs(other) > error ? 0 : Infinity;
}

const ratio: Bound2 = (a, b, errorA, errorB, value) => {
  if (errorA === 0 && errorB === 0) return rounding(value, 2.5);
  if (errorB === 0 && !Number.isFinite(value))
    return Number.isNaN(value) || Math.abs(a) > errorA ? 0 : Infinity;
  if (Math.abs(b) <= errorB) return Infinity;
  return (errorA + Math.abs(value) * errorB) / (Math.abs(b) - errorB) + rounding(value, 2.5);
};

const remainder: Bound2 = (a, b, errorA, errorB) => {
  if (errorA === 0 && errorB === 0) return 0;
  const quotient = Math.trunc(a / b);
  const propagated = errorA + Math.abs(quotient) * errorB;
  const same = Math.trunc((a - propagated) / b) === quotient && Math.trunc((a + propagated) / b) === quotient;
  return same ? propagated : propagated + Math.abs(b);
};

/** x^y by exp(y * log x) costs about one unit in the last place for each unit of |y * log x|. */
const powered: Bound2 = (x, y, errorX, errorY, value) => {
  let propagated = 0;
  if (errorX > 0 || errorY > 0) {
    if (Math.abs(x) <= errorX) return Infinity;
    for (const dx of [-errorX, errorX]) {
      for (const dy of [-errorY, errorY])
        propagated = Math.max(propagated, distance(power(x + dx, y + dy), value));
    }
  }
  if (propagated === 0 && (x === 1 || y === 0)) return 0;
  return propagated + rounding(value, 4 + Math.abs(y * Math.log(Math.abs(x))));
};

const extreme =
  (f: (a: number, b: number) => number): Bound2 =>
  (a, b, errorA, errorB, value) => {
    if (errorA === 0 && errorB === 0) return a === 0 && b === 0 && !Object.is(a, b) ? anySign : 0;
    return Math.max(distance(f(a + errorA, b + errorB), value), distance(f(a - errorA, b - errorB), value));
  };

/** 1, so that either answer is right, where the operands are closer than what is known of them. */
const comparison: ErrorRule = (operands, node, values) => {
  const [a, b] = [operand(operands, 0).values, operand(operands, 1).values];
  const [errorsA, errorsB] = [errorsOf(operands, 0), errorsOf(operands, 1)];
  const bounds = values.map((_, i) => {
    const error = errorsA[i]! + errorsB[i]!;
    return error > 0 && !(Math.abs(a[i]! - b[i]!) > error) ? 1 : 0;
  });
  const extreme = extremeOfOperand(node);
  return extreme ? withoutRivals(extreme, operand(operands, 0), bounds) : bounds;
};

/** The maximum or minimum of the first operand, where a comparison is with that. */
function extremeOfOperand(node: GraphNode): GraphNode | undefined {
  let other = node.inputs[1]!;
  while (other.op === 'expand') other = other.inputs[0]!;
  const isExtreme = other.op === 'reduceMax' || other.op === 'reduceMin';
  return isExtreme && other.inputs[0] === node.inputs[0] ? other : undefined;
}

/**
 * An extreme *is* one of the elements that it is compared with, whatever those are rounded to. Where only one comes into
 * question, that one equals it for certain: the gradient of a maximum rests on it.
 */
function withoutRivals(extreme: GraphNode, x: OracleValue, bounds: Float64Array): Float64Array {
  const candidates = new Map<number, number>();
  const groups = new Float64Array(bounds.length);
  forEachIndex(x.shape, (index, flat) => {
    const group = reducedPosition(index, extreme);
    groups[flat] = group;
    if (bounds[flat] === 1) candidates.set(group, (candidates.get(group) ?? 0) + 1);
  });
  return bounds.map((bound, i) => (candidates.get(groups[i]!) === 1 ? 0 : bound));
}

const sum: Bound2 = (_a, _b, errorA, errorB, value) =>
  errorA + errorB + correctRounding(value, errorA + errorB);

export const binaryErrors: { readonly [P in BinaryPrimitive]: ErrorRule<P> } = {
  add: each2(sum),
  sub: each2(sum),
  mul: each2(product),
  div: each2(ratio),
  idiv: each2(uncertain),
  rem: each2(remainder),
  pow: each2(powered),
  maximum: each2(extreme(Math.max)),
  minimum: each2(extreme(Math.min)),
  and: each2(uncertain),
  or: each2(uncertain),
  xor: each2(uncertain),
  shl: each2(uncertain),
  shr: each2(uncertain),
  lt: comparison,
  le: comparison,
  eq: comparison,
  ne: comparison,
};

export const whereErrors: ErrorRule<'where'> = (operands, _node, values) => {
  const [condition, a, b] = [
    operand(operands, 0).values,
    operand(operands, 1).values,
    operand(operands, 2).values,
  ];
  const [errorsC, errorsA, errorsB] = [errorsOf(operands, 0), errorsOf(operands, 1), errorsOf(operands, 2)];
  return values.map((value, i) => {
    const [chosen, other, otherValue] = condition[i]
      ? [errorsA[i]!, errorsB[i]!, b[i]!]
      : [errorsB[i]!, errorsA[i]!, a[i]!];
    if (errorsC[i] === 0) return chosen;
    return Object.is(value, otherValue)
      ? Math.max(chosen, other)
      : Math.max(chosen, Math.abs(value - otherValue) + other);
  });
};

/** A cast is monotone: the bound is how far the converted neighbours lie. An integer may pass through float32 on its way. */
export const castErrors: ErrorRule<'cast'> = (operands, node, values) => {
  const x = operand(operands, 0);
  const errors = errorsOf(operands, 0);
  const to = node.attributes.dtype;
  const twice = !isFloating(x.dtype) && (to === 'bfloat16' || to === 'float16');
  return values.map((value, i) => {
    const error = errors[i]!;
    if (error === 0) return twice && Math.abs(value) > 2 ** 24 ? unitInLastPlace(value, to) : 0;
    if (to === 'bool') return Math.abs(x.values[i]!) <= error ? 1 : 0;
    return spread((at) => convert(at, x.dtype, to), x.values[i]!, error);
  });
};

export const bitcastErrors: ErrorRule<'bitcast'> = each1((x, error) =>
  error > 0 || Number.isNaN(x) ? Infinity : 0,
);
