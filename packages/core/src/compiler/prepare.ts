/** Rewrites that need to know the device: what it cannot run becomes other primitives, long reductions are cut in two. */
import type { Anchor, Capabilities, Program } from '../backend/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import {
  decomposeAttentionGradient,
  decomposeConv,
  decomposeDot,
  gradientPart,
  lowerAnchor,
  weightsOf,
} from './anchor.ts';
import { decomposeScatter } from './decompose-scatter.ts';
import { attributeKey, isOp, type Op, type OpName, topological } from './op.ts';
import type { Simplifier } from './simplify.ts';
import { requiredStores } from './stored.ts';

export interface PrepareOptions {
  readonly capabilities: Capabilities;
  readonly fusion: boolean;
  readonly routine: (anchor: Anchor) => Program | undefined;
}

/** The rewritten op of every op below `outputs`. */
export function prepare(s: Simplifier, outputs: readonly Op[], options: PrepareOptions): ReadonlyMap<Op, Op> {
  // Attention comes first: the products that it is made of may have routines of their own. Its gradients come before it: where
  // they want the weights, it takes them too.
  const rewrites: readonly ((roots: readonly Op[]) => Rewrite)[] = [
    (roots) => attentionGradients(s, roots, options),
    (roots) => transposedProducts(s, roots),
    (roots) => attentions(s, roots, options),
    (roots) => decompositions(s, roots, options),
    () => (op, inputs) => splitReduction(s, op, inputs, options.capabilities),
  ];
  let rewritten: ReadonlyMap<Op, Op> | undefined;
  let roots = outputs;
  for (const rewrite of rewrites) {
    const next = rebuild(s, roots, rewrite(roots));
    rewritten = rewritten ? new Map([...rewritten].map(([from, to]) => [from, next.get(to) ?? to])) : next;
    roots = roots.map((op) => next.get(op)!);
  }
  return rewritten!;
}

type Rewrite = (op: Op, inputs: readonly Op[]) => Op | undefined;

function rebuild(s: Simplifier, outputs: readonly Op[], rewrite: Rewrite): Map<Op, Op> {
  const done = new Map<Op, Op>();
  for (const op of topological(outputs)) {
    const inputs = op.inputs.map((input) => done.get(input)!);
    const same = inputs.every((input, i) => input === op.inputs[i]);
    done.set(op, rewrite(op, inputs) ?? (same ? op : s.make(op.op, inputs, op.attributes)));
  }
  return done;
}

/**
 * The transpose of a product that nobody else wants, as the product of the transposed factors the other way round: factors
 * are read with any strides, where a result would have to be moved. The gradient of a linear layer's weight is one.
 */
function transposedProducts(s: Simplifier, outputs: readonly Op[]): Rewrite {
  const order = topological(outputs);
  const users = new Map<Op, number>(outputs.map((op) => [op, 1]));
  for (const op of order) for (const input of op.inputs) users.set(input, (users.get(input) ?? 0) + 1);
  return (op, inputs) => {
    const [product] = inputs;
    if (!isOp(op, 'permute') || !product || !isOp(product, 'dot') || users.get(op.inputs[0]!) !== 1)
      return undefined;
    const { axes } = op.attributes;
    const swap = [...axes.keys()];
    swap.push(...swap.splice(-2).reverse());
    if (axes.some((axis, i) => axis !== swap[i])) return undefined;
    const [a, b] = product.inputs.map((factor) => s.make('permute', [factor], { axes: swap })) as [Op, Op];
    return s.make('dot', [b, a], {});
  };
}

/** Gradients of the same attention become one operation, or other primitives where the device has no routine for them. */
function attentionGradients(s: Simplifier, outputs: readonly Op[], options: PrepareOptions): Rewrite {
  const order = topological(outputs);
  const hasRoutine = routineOf(order, outputs, options);
  type Gradient = Op<'attentionGradient'>;
  const together = new Map<string, Gradient[]>();
  const keyOf = ({ inputs, attributes: { of: _, ...rest } }: Gradient): string =>
    `${inputs.map(({ id }) => id).join(',')} ${attributeKey(rest)}`;
  for (const op of order) {
    if (!isOp(op, 'attentionGradient')) continue;
    const key = keyOf(op);
    together.set(key, [...(together.get(key) ?? []), op]);
  }
  const isFused = (all: Gradient): boolean =>
    options.fusion &&
    // The gradient of a mask is as large as the weights.
    !all.attributes.of.includes('mask') &&
    all.inputs.every((input) => sizeOf(input.shape) > 0) &&
    hasRoutine(all);
  const fused = new Map<Op, readonly Gradient[]>();
  for (const parts of together.values()) {
    const of = parts.flatMap(({ attributes }) => attributes.of);
    const all = s.make('attentionGradient', parts[0]!.inputs, { ...parts[0]!.attributes, of }) as Gradient;
    if (isFused(all)) for (const part of parts) fused.set(part, parts);
  }
  return (op, inputs) => {
    if (!isOp(op, 'attentionGradient')) return undefined;
    const parts = fused.get(op);
    if (!parts) return decomposeAttentionGradient(s, inputs, op.attributes);
    const of = parts.flatMap(({ attributes }) => attributes.of);
    const all = s.make('attentionGradient', inputs, { ...op.attributes, of });
    const shapes = parts.map(({ shape }) => shape);
    return gradientPart(s, all, shapes, parts.indexOf(op));
  };
}

/** Attention for which the device has no routine, or whose weights are wanted anyway, as those of a gradient are. */
function attentions(s: Simplifier, outputs: readonly Op[], options: PrepareOptions): Rewrite {
  const order = topological(outputs);
  const wanted = new Set(order);
  const isFused = (op: Op<'attention'>, hasRoutine: (op: Op) => boolean): boolean =>
    options.fusion &&
    op.inputs.every((input) => sizeOf(input.shape) > 0) &&
    !wanted.has(weightsOf(s, op)) &&
    hasRoutine(op);
  const hasRoutine = routineOf(order, outputs, options);
  const fused = new Set(order.filter((op) => isOp(op, 'attention') && isFused(op, hasRoutine)));
  return (op, inputs) => {
    if (!isOp(op, 'attention') || fused.has(op)) return undefined;
    return s.make('dot', [weightsOf(s, { ...op, inputs }), inputs[2]!], {});
  };
}

/** Tells whether the device takes an anchor as it is. */
function routineOf(
  order: readonly Op[],
  outputs: readonly Op[],
  options: PrepareOptions,
): (op: Op) => boolean {
  const stored = requiredStores(order, outputs, options.fusion);
  const isStored = (op: Op): boolean => stored.has(op) || op.op === 'input';
  return (op) => options.routine(lowerAnchor(op, undefined, isStored).kernel) !== undefined;
}

function decompositions(s: Simplifier, outputs: readonly Op[], options: PrepareOptions): Rewrite {
  const order = topological(outputs);
  const hasRoutine = routineOf(order, outputs, options);
  const without = new Set<Op>();
  for (const op of order) {
    const product = isOp(op, 'dot') || isOp(op, 'conv');
    if (product && sizeOf(op.shape) > 0 && !hasRoutine(op)) without.add(op);
  }
  const { scatterStores, rowPrograms } = options.capabilities;
  return (op, inputs) => {
    if (isOp(op, 'scatter') && !(scatterStores && rowPrograms))
      return decomposeScatter(s, inputs, op.attributes);
    if (!without.has(op)) return undefined;
    if (isOp(op, 'dot')) return decomposeDot(s, inputs[0]!, inputs[1]!);
    return decomposeConv(s, { ...(op as Op<'conv'>), inputs });
  };
}

const splittable: readonly OpName[] = ['reduceSum', 'reduceProd', 'reduceMax', 'reduceMin'];

/**
 * A long reduction with few results in two steps: first over parts, then over their results. The cut depends on the shape
 * and on the device's fixed figures only, so the order of summation, and with it the result, is always the same.
 */
function splitReduction(
  s: Simplifier,
  op: Op,
  [x]: readonly Op[],
  capabilities: Capabilities,
): Op | undefined {
  if (!splittable.includes(op.op)) return undefined;
  const reduce = op as Op<'reduceSum'>;
  const { axes } = reduce.attributes;
  const { shape } = x!;
  const points = sizeOf(op.shape);
  const length = axes.reduce((n, axis) => n * shape[axis]!, 1);
  if (points >= capabilities.parallelism || length <= capabilities.reduceSplit) return undefined;
  const enough = (parts: number): boolean => points * parts >= capabilities.parallelism;

  // Some of the outer axes alone may give enough parts.
  let parts = 1;
  for (const [i, axis] of axes.entries()) {
    parts *= shape[axis]!;
    const rest = axes.slice(i + 1);
    if (enough(parts) && rest.length > 0 && length / parts >= 64 && parts <= capabilities.reduceSplit) {
      const first = s.make(reduce.op, [x!], { axes: rest });
      return s.make(reduce.op, [first], { axes: axes.slice(0, i + 1) });
    }
  }
  return splitAxis(s, reduce, x!, capabilities);
}

/** Cuts the longest reduced axis into equal parts, if it has a suitable divisor. */
function splitAxis(s: Simplifier, op: Op<'reduceSum'>, x: Op, capabilities: Capabilities): Op | undefined {
  const { axes } = op.attributes;
  const axis = axes.reduce((longest, a) => (x.shape[a]! > x.shape[longest]! ? a : longest), axes[0]!);
  const extent = x.shape[axis]!;
  const wanted = Math.max(capabilities.parallelism, Math.ceil(extent / capabilities.reduceSplit));
  const count = divisorNear(extent, wanted);
  if (!count) return undefined;
  const shape = [...x.shape.slice(0, axis), count, extent / count, ...x.shape.slice(axis + 1)];
  const inner = axes.map((a) => (a >= axis ? a + 1 : a));
  const first = s.make(op.op, [s.reshape(x, shape)], { axes: inner });
  const second = s.make(op.op, [first], { axes: [axis] });
  return s.reshape(second, op.shape);
}

/** The divisor of `n` closest above `wanted`, up to 16 times of it. */
function divisorNear(n: number, wanted: number): number | undefined {
  for (let d = wanted; d <= Math.min(wanted * 16, n / 2); d++) if (n % d === 0) return d;
  return undefined;
}
