/** What a primitive makes of the shapes and dtypes of its operands, and what it refuses. */
import { type DType, DTypeError, dtypeInfo, InternalError, ShapeError } from '../backend/index.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { paddedExtent, windowCount } from './extents.ts';
import type {
  BinaryPrimitive,
  PrimitiveAttributes,
  PrimitiveDefinition,
  ReducePrimitive,
  TensorType,
  UnaryPrimitive,
} from './primitives.ts';

type Rule<P extends keyof PrimitiveAttributes> = PrimitiveDefinition<P>['infer'];

function requireDType(op: string, operand: TensorType, allowed: readonly DType[]): void {
  if (allowed.includes(operand.dtype)) return;
  throw new DTypeError(`${op}: dtype ${operand.dtype} is not supported`, {
    op,
    received: operand.dtype,
    fix: `this operation takes ${allowed.join(', ')}; cast first, for example x.cast('${allowed[0]}')`,
  });
}

function requireSame(op: string, operands: readonly TensorType[]): void {
  const [first] = operands;
  for (const operand of operands) {
    if (!sameShape(operand.shape, first!.shape)) {
      throw new ShapeError(
        `${op}: shapes ${formatShape(first!.shape)} and ${formatShape(operand.shape)} differ`,
        {
          op,
          received: operands.map((o) => o.shape),
        },
      );
    }
    if (operand.dtype !== first!.dtype) {
      throw new DTypeError(`${op}: dtypes ${first!.dtype} and ${operand.dtype} differ`, {
        op,
        received: operands.map((o) => o.dtype),
      });
    }
  }
}

export const inferUnary =
  (op: UnaryPrimitive, allowed: readonly DType[]): Rule<UnaryPrimitive> =>
  ([x]) => {
    requireDType(op, x!, allowed);
    return x!;
  };

/** `result`: the dtype of the result where it is not that of the operands. */
export const inferBinary =
  (op: BinaryPrimitive, allowed: readonly DType[], result?: DType): Rule<BinaryPrimitive> =>
  (operands) => {
    requireSame(op, operands);
    requireDType(op, operands[0]!, allowed);
    return { shape: operands[0]!.shape, dtype: result ?? operands[0]!.dtype };
  };

export function inferWhere([condition, a, b]: readonly TensorType[]): TensorType {
  requireDType('where', condition!, ['bool']);
  requireSame('where', [a!, b!]);
  requireSame('where', [{ shape: condition!.shape, dtype: a!.dtype }, a!]);
  return a!;
}

export function inferBitcast(
  [x]: readonly TensorType[],
  { dtype }: PrimitiveAttributes['bitcast'],
): TensorType {
  const words: readonly DType[] = ['float32', 'int32', 'uint32'];
  requireDType('bitcast', x!, words);
  if (dtypeInfo[dtype].bytes !== 4) requireDType('bitcast', { shape: [], dtype }, words);
  return { shape: x!.shape, dtype };
}

export function inferPermute(
  [x]: readonly TensorType[],
  { axes }: PrimitiveAttributes['permute'],
): TensorType {
  return { shape: axes.map((axis) => x!.shape[axis]!), dtype: x!.dtype };
}

export function inferReshape(
  [x]: readonly TensorType[],
  { shape }: PrimitiveAttributes['reshape'],
): TensorType {
  if (sizeOf(shape) !== sizeOf(x!.shape)) {
    throw new ShapeError(
      `reshape: ${formatShape(x!.shape)} has ${sizeOf(x!.shape)} elements, ${formatShape(shape)} has ${sizeOf(shape)}`,
      {
        op: 'reshape',
        received: shape,
        fix: 'both shapes must have the same number of elements; one extent may be -1, to be worked out',
      },
    );
  }
  return { shape, dtype: x!.dtype };
}

export function inferExpand(
  [x]: readonly TensorType[],
  { shape }: PrimitiveAttributes['expand'],
): TensorType {
  if (
    shape.length !== x!.shape.length ||
    x!.shape.some((extent, axis) => extent !== shape[axis] && extent !== 1)
  ) {
    throw new ShapeError(`expand: ${formatShape(x!.shape)} does not expand to ${formatShape(shape)}`, {
      op: 'expand',
      received: shape,
      fix: 'only axes of extent 1 can grow',
    });
  }
  return { shape, dtype: x!.dtype };
}

export function inferPad(
  [x]: readonly TensorType[],
  { low, high, interior }: PrimitiveAttributes['pad'],
): TensorType {
  const shape = x!.shape.map((extent, axis) =>
    paddedExtent(extent, low[axis]!, high[axis]!, interior[axis]!),
  );
  if (shape.some((extent) => extent < 0)) {
    throw new ShapeError(
      `pad: ${formatShape(x!.shape)} with low ${formatShape(low)} and high ${formatShape(high)} leaves a negative extent`,
      {
        op: 'pad',
        received: { low, high },
        fix: 'cut no more than there is',
      },
    );
  }
  return { shape, dtype: x!.dtype };
}

export function inferUnfold(
  [x]: readonly TensorType[],
  { axis, size, step, dilation }: PrimitiveAttributes['unfold'],
): TensorType {
  const windows = windowCount(x!.shape[axis]!, size, step, dilation);
  return { shape: [...x!.shape.map((extent, i) => (i === axis ? windows : extent)), size], dtype: x!.dtype };
}

const keepAxes = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));

export const inferReduce =
  (op: ReducePrimitive, allowed: readonly DType[]): Rule<ReducePrimitive> =>
  ([x], { axes }) => {
    requireDType(op, x!, allowed);
    const empty = axes.some((axis) => x!.shape[axis] === 0);
    if (empty && (op === 'reduceMax' || op === 'reduceMin')) {
      const name = op === 'reduceMax' ? 'max' : 'min';
      throw new ShapeError(
        `${name}: shape ${formatShape(x!.shape)} has nothing to reduce over axes ${formatShape(axes)}`,
        {
          op: name,
          received: x!.shape,
          fix: `the ${name} of no elements does not exist; check for an empty tensor first`,
        },
      );
    }
    return { shape: keepAxes(x!.shape, axes), dtype: x!.dtype };
  };

export const inferArgReduce =
  (op: 'argMax' | 'argMin', allowed: readonly DType[]): Rule<'argMax' | 'argMin'> =>
  ([x], { axis }) => {
    requireDType(op, x!, allowed);
    if (x!.shape[axis] === 0) {
      throw new ShapeError(`${op}: shape ${formatShape(x!.shape)} is empty along axis ${axis}`, {
        op,
        received: x!.shape,
        fix: 'the position of an extreme of no elements does not exist; check for an empty tensor first',
      });
    }
    return { shape: keepAxes(x!.shape, [axis]), dtype: 'int32' };
  };

function requireIndexable(op: string, x: TensorType, index: TensorType, axis: number): void {
  requireDType(op, index, ['int32', 'uint32', 'uint8']);
  if (
    x.shape.length !== index.shape.length ||
    x.shape.some((extent, i) => i !== axis && extent !== index.shape[i])
  ) {
    throw new ShapeError(
      `${op}: shapes ${formatShape(x.shape)} and ${formatShape(index.shape)} must be equal but for axis ${axis}`,
      {
        op,
        received: [x.shape, index.shape],
      },
    );
  }
}

export function inferGather(
  [x, index]: readonly TensorType[],
  { axis }: PrimitiveAttributes['gather'],
): TensorType {
  requireIndexable('gather', x!, index!, axis);
  return { shape: index!.shape, dtype: x!.dtype };
}

export function inferScatter(
  [base, index, updates]: readonly TensorType[],
  { axis, mode }: PrimitiveAttributes['scatter'],
): TensorType {
  if (mode !== 'set') requireDType('scatter', base!, ['float32', 'int32', 'uint32']);
  requireIndexable('scatter', base!, index!, axis);
  requireSame('scatter', [{ shape: index!.shape, dtype: base!.dtype }, updates!]);
  return base!;
}

export function inferDot([a, b]: readonly TensorType[]): TensorType {
  requireDType('dot', a!, ['float32', 'int32', 'uint32']);
  const rank = a!.shape.length;
  const fits =
    a!.dtype === b!.dtype &&
    rank >= 2 &&
    rank === b!.shape.length &&
    sameShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2)) &&
    a!.shape[rank - 1] === b!.shape[rank - 2];
  if (!fits)
    throw new InternalError(
      `dot: ${a!.dtype} ${formatShape(a!.shape)} with ${b!.dtype} ${formatShape(b!.shape)}`,
    );
  return { shape: [...a!.shape.slice(0, -1), b!.shape[rank - 1]!], dtype: a!.dtype };
}

/** Spatial extents of a convolution's result. */
export function convOutSize(inSize: Shape, kernelSize: Shape, a: PrimitiveAttributes['conv']): number[] {
  return inSize.map((extent, i) =>
    windowCount(
      paddedExtent(extent, a.padLow[i]!, a.padHigh[i]!, a.inputDilation[i]! - 1),
      kernelSize[i]!,
      a.stride[i]!,
      a.kernelDilation[i]!,
    ),
  );
}

export function inferConv(
  [x, w]: readonly TensorType[],
  attributes: PrimitiveAttributes['conv'],
): TensorType {
  requireDType('conv', x!, ['float32']);
  const [batch, channels, ...inSize] = x!.shape as [number, number, ...number[]];
  const [outChannels, inChannels, ...kernelSize] = w!.shape as [number, number, ...number[]];
  const { groups } = attributes;
  if (channels !== inChannels * groups || outChannels % groups !== 0 || inSize.length !== kernelSize.length) {
    throw new InternalError(`conv: ${formatShape(x!.shape)} with ${formatShape(w!.shape)}, groups ${groups}`);
  }
  return { shape: [batch, outChannels, ...convOutSize(inSize, kernelSize, attributes)], dtype: x!.dtype };
}

export function inferAttention([q, k, v, mask]: readonly TensorType[]): TensorType {
  for (const operand of [q, k, v]) requireDType('attention', operand!, ['float32']);
  if (mask) requireDType('attention', mask, ['float32', 'bool']);
  const [batch, keys] = [q!.shape.slice(0, -2), k!.shape.at(-2)!];
  const [queries, width] = q!.shape.slice(-2) as [number, number];
  const fits =
    q!.shape.length >= 2 &&
    sameShape(k!.shape, [...batch, keys, width]) &&
    sameShape(v!.shape, [...batch, keys, v!.shape.at(-1)!]) &&
    (!mask || sameShape(mask.shape, [...batch, queries, keys]));
  if (!fits) {
    const shapes = [q, k, v, ...(mask ? [mask] : [])].map((operand) => formatShape(operand!.shape));
    throw new InternalError(`attention: shapes ${shapes.join(', ')}`);
  }
  return { shape: [...batch, queries, v!.shape.at(-1)!], dtype: 'float32' };
}

export const inferAttentionGradient: Rule<'attentionGradient'> = (
  [query, key, value, gradient, mask],
  { of },
) => {
  const operands = { query: query!, key: key!, value: value!, mask };
  const result = inferAttention([query!, key!, value!, ...(mask ? [mask] : [])]);
  requireSame('attentionGradient', [result, gradient!]);
  requireDType('attentionGradient', gradient!, ['float32']);
  const shapes = of.map((name) => operands[name]!.shape);
  const all = shapes.reduce((n, shape) => n + sizeOf(shape), 0);
  return { shape: shapes.length === 1 ? shapes[0]! : [all], dtype: 'float32' };
};
