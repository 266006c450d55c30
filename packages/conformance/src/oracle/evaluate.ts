/**
 * The oracle: evaluates a graph of primitives in float64 with plain loops. It reads the graph that the user's calls made,
 * never the kernels that the compiler makes of it.
 *
 * What it rounds: nothing between float32 operations, but values beyond float32's range become infinite, as they do on
 * every device; casts to float16 and bfloat16 round to nearest even; integers wrap exactly.
 */
import { Tensor } from '@tutti/core';
import { ArgumentError } from '@tutti/core/backend';
import type { GraphNode, Primitive } from '@tutti/core/graph';
import { errorRules } from '../tolerance/rules.ts';
import { fromBits, overflowThreshold } from './rounding.ts';
import { oracleTable } from './table.ts';
import type { OracleFunction, OracleValue } from './value.ts';

export interface EvaluateOptions {
  /** Values of leaves whose data is on a device, or that should be evaluated with other data than theirs. */
  readonly leaves?: ReadonlyMap<GraphNode, ArrayLike<number> | OracleValue>;
  /** Also work out how far a device's result may lie from each value. Default false. */
  readonly errors?: boolean;
  /** Rounds every float32 result to float32: a stand-in for a device, to try the tolerance policy on. Default false. */
  readonly singlePrecision?: boolean;
  /** Takes float32 denormals for zero, as some devices do in arithmetic. Default false. */
  readonly flushDenormals?: boolean;
}

type Memo = Map<GraphNode, OracleValue>;

/** The elements of a leaf's host array; 16-bit floats travel as bits. */
function hostValues(node: GraphNode): Float64Array {
  const { dtype } = node;
  const host = node.host!;
  if (dtype === 'float16' || dtype === 'bfloat16')
    return Float64Array.from(host, (bits) => fromBits(bits, dtype));
  return Float64Array.from(host);
}

function leafValue(node: GraphNode, options: EvaluateOptions): OracleValue | undefined {
  const given = options.leaves?.get(node);
  const zero = (length: number) => (options.errors ? { errors: new Float64Array(length) } : {});
  if (given !== undefined) {
    if ('dtype' in given) return { ...zero(given.values.length), ...given };
    const values = Float64Array.from(given);
    return { shape: node.shape, dtype: node.dtype, values, ...zero(values.length) };
  }
  if (node.host) {
    const values = hostValues(node);
    return { shape: node.shape, dtype: node.dtype, values, ...zero(values.length) };
  }
  if (node.op !== 'data' && !(node.storage && node.inputs.length === 0)) return undefined;
  throw new ArgumentError(`evaluate: node ${node.id} (${node.op}) holds its value on the device only`, {
    op: 'evaluate',
    received: node.op,
    fix: 'evaluate the graph before it runs, or pass the value in options.leaves',
  });
}

/** Float32 results beyond the range become infinite; where the error bound straddles the border nothing is judged. */
function limitRange(value: OracleValue): void {
  const limit = overflowThreshold('float32');
  const { values, errors } = value;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!);
    const error = errors?.[i] ?? 0;
    if (magnitude + error < limit) continue;
    if (errors && Number.isFinite(magnitude)) errors[i] = magnitude - error >= limit ? 0 : Infinity;
    if (magnitude >= limit) values[i] = values[i]! > 0 ? Infinity : -Infinity;
  }
}

const flushed = (value: OracleValue): OracleValue => ({
  ...value,
  values: value.values.map((x) => (Math.abs(x) < 2 ** -126 ? x * 0 : x)),
});

const arithmetic: ReadonlySet<Primitive> = new Set<Primitive>([
  'add',
  'sub',
  'mul',
  'div',
  'rem',
  'pow',
  'abs',
  'neg',
  'sign',
  'floor',
  'ceil',
  'trunc',
  'round',
  'sqrt',
  'rsqrt',
  'exp',
  'log',
  'log1p',
  'expm1',
  'sin',
  'cos',
  'tanh',
  'erf',
  'maximum',
  'minimum',
  'lt',
  'le',
  'eq',
  'ne',
  'reduceSum',
  'reduceProd',
  'reduceMax',
  'reduceMin',
  'argMax',
  'argMin',
  'dot',
  'conv',
  'attention',
  'attentionGradient',
  'cast',
]);

function compute(node: GraphNode, memo: Memo, options: EvaluateOptions): OracleValue {
  let operands = node.inputs.map((input) => memo.get(input)!);
  if (options.flushDenormals && arithmetic.has(node.op)) {
    operands = operands.map((value) => (value.dtype === 'float32' ? flushed(value) : value));
  }
  const raw = (oracleTable[node.op] as OracleFunction)(operands, node);
  const values = operands.some((operand) => operand.values === raw) ? raw.slice() : raw;
  const { shape, dtype } = node;
  if (!options.errors) {
    const value: OracleValue = { shape, dtype, values };
    if (dtype === 'float32') limitRange(value);
    return dtype === 'float32' && options.singlePrecision
      ? { ...value, values: values.map(Math.fround) }
      : value;
  }
  const errors = errorRules[node.op](operands, node as never, values).map((e) =>
    Number.isNaN(e) ? Infinity : e,
  );
  const value: OracleValue = { shape, dtype, values, errors };
  if (dtype === 'float32') limitRange(value);
  return value;
}

/** Evaluates everything under `root` that the memo lacks, operands first, with a work list: graphs can be deep. */
function fill(root: GraphNode, memo: Memo, options: EvaluateOptions): void {
  const pending: GraphNode[] = [root];
  while (pending.length > 0) {
    const node = pending[pending.length - 1]!;
    if (!memo.has(node)) {
      const leaf = leafValue(node, options);
      if (leaf) memo.set(node, leaf);
      const missing = leaf ? [] : node.inputs.filter((input) => !memo.has(input));
      if (missing.length > 0) {
        pending.push(...missing);
        continue;
      }
      if (!leaf) memo.set(node, compute(node, memo, options));
    }
    pending.pop();
  }
}

/** Evaluates several tensors or nodes that may share parts of their graphs. */
export function evaluateAll(
  targets: readonly (Tensor | GraphNode)[],
  options: EvaluateOptions = {},
): readonly OracleValue[] {
  const memo: Memo = new Map();
  return targets.map((target) => {
    const node = target instanceof Tensor ? target.node : target;
    fill(node, memo, options);
    return memo.get(node)!;
  });
}

/**
 * The exact value of a tensor or node: what the graph of its operations means, in float64.
 *
 * Evaluate before the graph runs: a node that has run may have let go of its operands.
 *
 * @throws ArgumentError for a leaf whose data is only on a device and that `options.leaves` does not give.
 *
 * @example
 * evaluate(tensor([1, 2]).add(1)).values; // Float64Array [2, 3]
 */
export function evaluate(target: Tensor | GraphNode, options: EvaluateOptions = {}): OracleValue {
  return evaluateAll([target], options)[0]!;
}
