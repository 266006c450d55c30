/** Which values go to memory: those that must, and those that would cost more to compute again than to load. */
import type { DType, Expression, IndexVariable } from '../backend/index.ts';
import { strideOf } from '../backend/index.ts';
import { ValueLowering } from './lower-value.ts';
import { elementsOf, kindOf, type Op, type OpName } from './op.ts';

/** Rough cost of one element, in vector instructions. */
const weights: Partial<Record<OpName, number>> = {
  exp: 8,
  expm1: 12,
  log: 8,
  log1p: 12,
  sin: 12,
  cos: 12,
  tanh: 12,
  erf: 16,
  pow: 24,
  div: 3,
  sqrt: 3,
  rsqrt: 4,
  rem: 6,
  idiv: 6,
  gather: 3,
  randomBits: 80,
  expand: 0,
  reshape: 0,
  permute: 0,
  slice: 0,
  flip: 1,
  unfold: 0,
  pad: 2,
  const: 0,
  scalar: 0,
  input: 0,
  iota: 1,
};

/** Computing this much again in a second kernel costs about as much as a store and a load. */
const recomputeLimit = 10;

/** Longest expression that one kernel should hold. */
export const inlineLimit = 320;

/** Most ops in a row that are computed in place, even where they cost nothing: lowering calls itself for each. */
const depthLimit = 400;

export const weightOf = (op: Op): number => weights[op.op] ?? 1;

/** Values that must be stored: outputs, and all that a loop over elements cannot produce in place. */
export function requiredStores(order: readonly Op[], outputs: readonly Op[], fusion: boolean): Set<Op> {
  const stored = new Set<Op>(outputs);
  for (const op of order) {
    const kind = kindOf(op);
    if (kind === 'reduce' || kind === 'anchor' || op.op === 'scatter') stored.add(op);
    if (!fusion && (kind === 'elementwise' || kind === 'indexing')) stored.add(op);
  }
  for (const op of order) {
    if (kindOf(op) !== 'anchor') continue;
    for (const operand of op.inputs) stored.add(operandBase(operand, stored));
  }
  const cost = new Map<Op, number>();
  const depth = new Map<Op, number>();
  for (const op of order) {
    const inputs = op.inputs.reduce((sum, input) => sum + (stored.has(input) ? 1 : cost.get(input)!), 0);
    const above = op.inputs.reduce(
      (deepest, input) => Math.max(deepest, stored.has(input) ? 0 : depth.get(input)!),
      0,
    );
    cost.set(op, inputs + weightOf(op));
    depth.set(op, above + 1);
    if (kindOf(op) !== 'leaf' && (cost.get(op)! > inlineLimit || above + 1 > depthLimit)) stored.add(op);
  }
  for (const op of order) if (op.op === 'input' || elementsOf(op) === 0) stored.delete(op);
  return stored;
}

/**
 * What of an anchor's operand is stored: the value below its movement where strides can express that, else the operand.
 * Routines take 16-bit floats as they are stored: half the memory traffic, and tensor cores where there are some.
 */
function operandBase(operand: Op, stored: ReadonlySet<Op>): Op {
  let base = operand;
  while (isFree(base) && !stored.has(base)) base = base.inputs[0]!;
  const view = operandView(operand, operand.shape, (op) => op === base);
  return view ? base : operand;
}

/** Whether a load of the input gives the value: from another place, or of a dtype that loading widens to float32. */
const isFree = (op: Op): boolean =>
  kindOf(op) === 'movement' ||
  op.op === 'barrier' ||
  (op.op === 'cast' && op.dtype === 'float32' && isHalf(op.inputs[0]!.dtype));

const isHalf = (dtype: DType): boolean => dtype === 'float16' || dtype === 'bfloat16';

export interface OperandView {
  readonly base: Op;
  readonly offset: number;
  /** One for each axis. */
  readonly strides: readonly number[];
}

/** An operand as a strided view of a stored value; undefined when strides cannot say it. */
export function operandView(
  operand: Op,
  shape: readonly number[],
  isStored: (op: Op) => boolean,
): OperandView | undefined {
  const lowering = new ValueLowering((op) => isStored(op) || op.op === 'input', []);
  const b = lowering.builder;
  const variables: IndexVariable[] = shape.map((extent, axis) => ({ name: `a${axis}`, extent }));
  let value: Expression;
  try {
    value = lowering.value(
      operand,
      variables.map((v) => (v.extent === 1 ? b.int(0) : b.index(v))),
    );
  } catch {
    return undefined;
  }
  if (value.op !== 'load' || value.guard) return undefined;
  const strides = variables.map((v) => strideOf((value as { index: Expression }).index, v));
  const origin = b.substitute(value.index, new Map(variables.map((v) => [v, b.int(0)])));
  if (origin.op !== 'const' || strides.some((stride) => stride === undefined || stride < 0)) return undefined;
  return { base: lowering.bindings[0]!, offset: origin.value, strides: strides as number[] };
}

/** Cost of computing one element of each value from what is stored. */
export function inlineCosts(order: readonly Op[], stored: ReadonlySet<Op>): ReadonlyMap<Op, number> {
  const cost = new Map<Op, number>();
  for (const op of order) {
    const inputs = op.inputs.reduce(
      (sum, input) => sum + (stored.has(input) || kindOf(input) === 'leaf' ? 0 : cost.get(input)!),
      0,
    );
    cost.set(op, inputs + weightOf(op));
  }
  return cost;
}

/** Values computed in place in several groups, dear enough to be stored after all. Users come first in `reversed`. */
export function sharedStores(
  order: readonly Op[],
  stored: ReadonlySet<Op>,
  groupsOf: (root: Op) => number,
): Set<Op> {
  const cost = inlineCosts(order, stored);
  const groups = new Map<Op, Set<number>>();
  const added = new Set<Op>();
  const reach = (op: Op): Set<number> => {
    let set = groups.get(op);
    if (!set) groups.set(op, (set = new Set()));
    return set;
  };
  for (let i = order.length - 1; i >= 0; i--) {
    const op = order[i]!;
    let own = reach(op);
    if (stored.has(op)) own = new Set([groupsOf(op)]);
    else if (own.size > 1 && worthStoring(op, cost.get(op)!)) {
      added.add(op);
      own = new Set([-1 - op.id]); // an id that no group has
    }
    for (const input of op.inputs) for (const group of own) reach(input).add(group);
  }
  return added;
}

function worthStoring(op: Op, cost: number): boolean {
  const kind = kindOf(op);
  return (kind === 'elementwise' || kind === 'indexing') && cost > recomputeLimit;
}
