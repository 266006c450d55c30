/** Anchors as descriptions for routines, and as graphs of primitives for devices that have none. */
import type {
  Anchor,
  AttentionAnchor,
  AttentionGradientAnchor,
  AttentionOperandName,
  AttentionOperands,
  BufferParam,
  ConvAnchor,
  DotAnchor,
  DotOperand,
  Epilogue,
  Expression,
  IndexVariable,
  ScalarType,
} from '../backend/index.ts';
import { InternalError } from '../backend/index.ts';
import { attentionGradient, attentionWeights, type Make } from '../ops/attention-graph.ts';
import { sizeOf, stridesOf } from '../tensor/shape.ts';
import type { Lowered } from './lower.ts';
import { FusionRejected, ValueLowering } from './lower-value.ts';
import { mergeSpace } from './merge-dimensions.ts';
import { elementsOf, isOp, type Op, scalarTypeOf } from './op.ts';
import type { Simplifier } from './simplify.ts';
import { type OperandView, operandView } from './stored.ts';

/** The description of an anchor, with what `result` makes of it as the epilogue. Throws FusionRejected. */
export function lowerAnchor(op: Op, result: Op | undefined, isStored: (op: Op) => boolean): Lowered<Anchor> {
  const views = op.inputs.map((operand) => {
    const view = operandView(operand, operand.shape, (other) => other !== op && isStored(other));
    if (!view) throw new InternalError(`an operand of ${op.op} is not a strided view`);
    return view;
  });
  const out = views.length;
  const lowering = new ValueLowering((other) => other !== result && isStored(other), []);
  lowering.bindings.push(...views.map((view) => view.base), result ?? op);
  lowering.firstShared = lowering.bindings.length;
  const epilogue = result && lowerEpilogue(lowering, op, result);
  const buffers: BufferParam[] = lowering.bindings.map((bound, i) => ({
    dtype: bound.dtype,
    length: elementsOf(bound),
    access: i === out ? 'write' : 'read',
  }));
  const common = {
    name: result ? `${op.op}_${result.op}` : op.op,
    type: scalarTypeOf(op.dtype),
    buffers,
    scalars: lowering.scalars.map(() => 'f32' as const),
    ...(epilogue ? { epilogue } : {}),
  };
  return { kernel: describe(op, views, common), bindings: lowering.bindings, scalars: lowering.scalars };
}

type Common = Pick<AttentionAnchor, 'name' | 'buffers' | 'scalars' | 'epilogue'> & {
  readonly type: ScalarType;
};

function describe(op: Op, views: readonly OperandView[], common: Common): Anchor {
  if (isOp(op, 'attention')) return { ...common, type: 'f32', ...describeAttention(op, views) };
  if (isOp(op, 'attentionGradient')) return { ...common, type: 'f32', ...describeGradient(op, views) };
  const [lhs, rhs] = views as [OperandView, OperandView];
  if (isOp(op, 'dot')) return { ...common, ...describeDot(op, lhs, rhs) };
  return { ...common, ...describeConv(op as Op<'conv'>, lhs, rhs) };
}

function lowerEpilogue(lowering: ValueLowering, anchor: Op, result: Op): Epilogue {
  if (elementsOf(anchor) !== elementsOf(result))
    throw new FusionRejected('the epilogue changes the number of elements');
  const b = lowering.builder;
  const space: IndexVariable[] = [];
  const indices = result.shape.map((extent, axis): Expression => {
    if (extent === 1) return b.int(0);
    const variable = { name: `i${axis}`, extent };
    space.push(variable);
    return b.index(variable);
  });
  const flat = b.flatten(indices, stridesOf(result.shape));
  const value = b.accumulator(scalarTypeOf(anchor.dtype), 0);
  lowering.members.set(anchor, { indices: [], value, flat });
  lowering.members.set(result, { indices, value: undefined });
  return mergeSpace(b, { space, value: lowering.value(result, indices) }, flat);
}

type DotFields = Pick<DotAnchor, 'kind' | 'batch' | 'm' | 'n' | 'k' | 'lhs' | 'rhs'>;

/** The batch dimensions of a result, without those of extent 1. */
const batchAxesOf = (shape: readonly number[]): number[] =>
  shape.slice(0, -2).flatMap((extent, axis) => (extent === 1 ? [] : [axis]));

function matrix({ base, offset, strides }: OperandView, batchAxes: readonly number[]): DotOperand {
  const [row, column] = strides.slice(-2) as [number, number];
  return { dtype: base.dtype, offset, batch: batchAxes.map((axis) => strides[axis]!), row, column };
}

function describeDot(op: Op, lhs: OperandView, rhs: OperandView): DotFields {
  const [a] = op.inputs as [Op];
  const rank = op.shape.length;
  const batchAxes = batchAxesOf(op.shape);
  return {
    kind: 'dot',
    batch: batchAxes.map((axis) => op.shape[axis]!),
    m: op.shape[rank - 2]!,
    n: op.shape[rank - 1]!,
    k: a.shape[rank - 1]!,
    lhs: matrix(lhs, batchAxes),
    rhs: matrix(rhs, batchAxes),
  };
}

type AttentionFields = Omit<AttentionAnchor, keyof Common>;
type GradientFields = Omit<AttentionGradientAnchor, keyof Common>;

function describeAttention(op: Op<'attention'>, views: readonly OperandView[]): AttentionFields {
  const [query, key, value, mask] = views;
  return { kind: 'attention', ...op.attributes, ...attentionOperands(op, [query!, key!, value!], mask) };
}

function describeGradient(op: Op<'attentionGradient'>, views: readonly OperandView[]): GradientFields {
  const [query, key, value, gradient, mask] = views;
  return {
    kind: 'attentionGradient',
    ...op.attributes,
    of: op.attributes.of as readonly AttentionOperandName[],
    gradient: matrix(gradient!, batchAxesOf(op.inputs[0]!.shape)),
    ...attentionOperands(op, [query!, key!, value!], mask),
  };
}

function attentionOperands(
  { inputs }: Op,
  [query, key, value]: readonly [OperandView, OperandView, OperandView],
  mask: OperandView | undefined,
): Omit<AttentionOperands, 'scale' | 'causal'> {
  const [q, k, v] = inputs as [Op, Op, Op];
  const batchAxes = batchAxesOf(q.shape);
  return {
    batch: batchAxes.map((axis) => q.shape[axis]!),
    queries: q.shape.at(-2)!,
    keys: k.shape.at(-2)!,
    width: q.shape.at(-1)!,
    valueWidth: v.shape.at(-1)!,
    query: matrix(query, batchAxes),
    key: matrix(key, batchAxes),
    value: matrix(value, batchAxes),
    ...(mask ? { mask: matrix(mask, batchAxes) } : {}),
  };
}

type ConvFields = Omit<ConvAnchor, 'name' | 'type' | 'buffers' | 'scalars' | 'epilogue'>;

function describeConv(op: Op<'conv'>, lhs: OperandView, rhs: OperandView): ConvFields {
  const [x, w] = op.inputs as [Op, Op];
  const { groups, stride, padLow, inputDilation, kernelDilation } = op.attributes;
  const operand = (view: OperandView) => ({
    dtype: view.base.dtype,
    offset: view.offset,
    outer: view.strides[0]!,
    inner: view.strides[1]!,
    spatial: view.strides.slice(2),
  });
  return {
    kind: 'conv',
    batch: x.shape[0]!,
    groups,
    inChannels: w.shape[1]!,
    outChannels: w.shape[0]! / groups,
    inSize: x.shape.slice(2),
    outSize: op.shape.slice(2),
    kernelSize: w.shape.slice(2),
    stride,
    padLow,
    inputDilation,
    kernelDilation,
    lhs: operand(lhs),
    rhs: operand(rhs),
  };
}

const makeWith =
  (s: Simplifier): Make<Op> =>
  (op, operands, own) =>
    s.make(op, operands, own as never);

/** The weights of the values, as a graph. */
export const weightsOf = (s: Simplifier, { inputs, attributes }: Op<'attention'>): Op =>
  attentionWeights(makeWith(s), inputs, attributes);

export const decomposeAttentionGradient = (
  s: Simplifier,
  inputs: readonly Op[],
  attributes: Op<'attentionGradient'>['attributes'],
): Op => attentionGradient(makeWith(s), inputs, attributes);

/** One of several gradients that were computed together. `all` has their names in `of`, in the order of `shapes`. */
export function gradientPart(
  s: Simplifier,
  all: Op,
  shapes: readonly (readonly number[])[],
  part: number,
): Op {
  if (shapes.length === 1) return all;
  const start = shapes.slice(0, part).reduce((n, shape) => n + sizeOf(shape), 0);
  const size = [sizeOf(shapes[part]!)];
  return s.reshape(s.make('slice', [all], { start: [start], size, step: [1] }), shapes[part]!);
}

/** (..B, M, K) x (..B, K, N): products over a common (..B, M, N, K), summed. */
export function decomposeDot(s: Simplifier, a: Op, c: Op): Op {
  const batch = a.shape.slice(0, -2);
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = c.shape.at(-1)!;
  const common = [...batch, m, n, k];
  const left = s.make('expand', [s.reshape(a, [...batch, m, 1, k])], { shape: common });
  const axes = [...batch.keys(), batch.length + 1, batch.length];
  const transposed = s.make('permute', [c], { axes });
  const right = s.make('expand', [s.reshape(transposed, [...batch, 1, n, k])], { shape: common });
  const sum = s.make('reduceSum', [s.make('mul', [left, right], {})], { axes: [common.length - 1] });
  return s.reshape(sum, [...batch, m, n]);
}

/** Windows of the padded input times the kernel over (N, G, O, I, ..out, ..kernel), summed over I and the kernel. */
export function decomposeConv(s: Simplifier, conv: Op<'conv'>): Op {
  const [x, w] = conv.inputs as [Op, Op];
  const a = conv.attributes;
  const out = conv.shape.slice(2);
  const kernel = w.shape.slice(2);
  const interior = [0, 0, ...a.inputDilation.map((d) => d - 1)];
  let windows = s.make('pad', [x], {
    low: [0, 0, ...a.padLow],
    high: [0, 0, ...a.padHigh],
    interior,
    value: 0,
  });
  for (const [i, size] of kernel.entries()) {
    windows = s.make('unfold', [windows], {
      axis: 2 + i,
      size,
      step: a.stride[i]!,
      dilation: a.kernelDilation[i]!,
    });
  }
  const [batch] = x.shape as [number];
  const [outChannels, inChannels] = w.shape as [number, number];
  const g = a.groups;
  const o = outChannels / g;
  const common = [batch, g, o, inChannels, ...out, ...kernel];
  const left = s.make('expand', [s.reshape(windows, [batch, g, 1, inChannels, ...out, ...kernel])], {
    shape: common,
  });
  const ones = out.map(() => 1);
  const right = s.make('expand', [s.reshape(w, [1, g, o, inChannels, ...ones, ...kernel])], {
    shape: common,
  });
  const axes = [3, ...kernel.map((_, i) => 4 + out.length + i)];
  const sum = s.make('reduceSum', [s.make('mul', [left, right], {})], { axes });
  return s.reshape(sum, conv.shape);
}
