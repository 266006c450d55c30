/** Convolution anchors for tests of routines. */
import {
  type BufferParam,
  type ConvAnchor,
  type DType,
  type Expression,
  ExpressionBuilder,
  product,
} from '../backend/index.ts';

/**
 * - `bias`: max(0, sum + bias of the channel) + an element's own number
 * - `scale`: times a scalar
 * - `mask`: where an element's own bool holds, else its own float16
 */
export type ConvEpilogueKind = 'bias' | 'scale' | 'mask';

export interface ConvOptions {
  readonly batch?: number;
  readonly groups?: number;
  readonly inChannels?: number;
  readonly outChannels?: number;
  readonly inSize: readonly number[];
  readonly kernelSize: readonly number[];
  readonly outSize?: readonly number[];
  readonly stride?: readonly number[];
  readonly padLow?: readonly number[];
  readonly padHigh?: readonly number[];
  readonly inputDilation?: readonly number[];
  readonly kernelDilation?: readonly number[];
  /** The channel before the batch in memory, or the input channel before the output channel. */
  readonly swapLhs?: boolean;
  readonly swapRhs?: boolean;
  /** Kernel positions run backwards through memory. */
  readonly flip?: boolean;
  /** Elements of x are two apart along the last axis. */
  readonly spread?: boolean;
  readonly dtypes?: readonly [lhs: DType, rhs: DType, out: DType];
  readonly epilogue?: ConvEpilogueKind;
}

/** Strides of a contiguous block whose innermost elements are `step` apart. */
function stridesOf(size: readonly number[], step: number): { strides: number[]; total: number } {
  const strides: number[] = [];
  let total = step;
  for (const extent of [...size].reverse()) {
    strides.unshift(total);
    total *= extent;
  }
  return { strides, total };
}

export function convAnchor(options: ConvOptions): ConvAnchor {
  const { batch = 1, groups = 1, inChannels = 1, outChannels = 1, inSize, kernelSize } = options;
  const all = (value: number): number[] => inSize.map(() => value);
  const stride = options.stride ?? all(1);
  const padLow = options.padLow ?? all(0);
  const padHigh = options.padHigh ?? padLow;
  const inputDilation = options.inputDilation ?? all(1);
  const kernelDilation = options.kernelDilation ?? all(1);
  const fitting = inSize.map((size, d) => {
    const padded = (size - 1) * inputDilation[d]! + 1 + padLow[d]! + padHigh[d]!;
    const window = (kernelSize[d]! - 1) * kernelDilation[d]! + 1;
    return Math.max(0, Math.floor((padded - window) / stride[d]!) + 1);
  });
  const outSize = options.outSize ?? fitting;
  const x = stridesOf(inSize, options.spread ? 2 : 1);
  const w = stridesOf(kernelSize, 1);
  const flip = options.flip && w.total > 0;
  const [channels, out] = [groups * inChannels, groups * outChannels];
  const [lhs, rhs, result] = options.dtypes ?? ['float32', 'float32', 'float32'];
  const elements = batch * out * product(outSize);
  const buffers: BufferParam[] = [
    { dtype: lhs, length: 3 + x.total * batch * channels, access: 'read' },
    { dtype: rhs, length: 1 + w.total * out * inChannels, access: 'read' },
    { dtype: result, length: elements, access: 'write' },
  ];
  if (options.epilogue === 'bias') {
    buffers.push({ dtype: 'float32', length: out, access: 'read' });
    buffers.push({ dtype: 'float32', length: elements, access: 'read' });
  }
  if (options.epilogue === 'mask') {
    buffers.push({ dtype: 'bool', length: elements, access: 'read' });
    buffers.push({ dtype: 'float16', length: elements, access: 'read' });
  }
  return {
    kind: 'conv',
    name: 'conv',
    batch,
    groups,
    inChannels,
    outChannels,
    inSize,
    outSize,
    kernelSize,
    stride,
    padLow,
    inputDilation,
    kernelDilation,
    lhs: {
      dtype: lhs,
      offset: 3,
      spatial: x.strides,
      ...(options.swapLhs
        ? { outer: x.total, inner: x.total * batch }
        : { outer: x.total * channels, inner: x.total }),
    },
    rhs: {
      dtype: rhs,
      offset: 1 + (flip ? w.total - 1 : 0),
      spatial: flip ? w.strides.map((each) => -each) : w.strides,
      ...(options.swapRhs
        ? { outer: w.total, inner: w.total * out }
        : { outer: w.total * inChannels, inner: w.total }),
    },
    type: 'f32',
    buffers,
    scalars: options.epilogue === 'scale' ? ['f32'] : [],
    ...(options.epilogue ? { epilogue: epilogueOf(options.epilogue, [batch, out, product(outSize)]) } : {}),
  };
}

/** What an epilogue makes of a sum. `first` is the number of its first buffer. */
export function convFinished(
  b: ExpressionBuilder,
  kind: ConvEpilogueKind | undefined,
  sum: Expression,
  first: number,
  element: Expression,
  channel: Expression,
): Expression {
  switch (kind) {
    case 'bias': {
      const biased = b.alu('add', 'f32', sum, b.load('f32', first, channel));
      const rectified = b.alu('max', 'f32', biased, b.const('f32', 0));
      return b.alu('add', 'f32', rectified, b.load('f32', first + 1, element));
    }
    case 'mask':
      return b.alu('where', 'f32', b.load('bool', first, element), sum, b.load('f32', first + 1, element));
    case 'scale':
      return b.alu('mul', 'f32', sum, b.scalar('f32', 0));
    default:
      return sum;
  }
}

function epilogueOf(kind: ConvEpilogueKind, sizes: readonly number[]): NonNullable<ConvAnchor['epilogue']> {
  const b = new ExpressionBuilder();
  const all = ['n', 'o', 'p'].map((name, i) => ({ name, extent: sizes[i]! }));
  const space = all.filter(({ extent }) => extent > 1);
  const [n, o, p] = all.map((variable) => (variable.extent > 1 ? b.index(variable) : b.int(0))) as [
    Expression,
    Expression,
    Expression,
  ];
  const mul = (x: Expression, y: number): Expression => b.alu('mul', 'i32', x, b.int(y));
  const image = b.alu('add', 'i32', mul(n, sizes[1]!), o);
  const element = b.alu('add', 'i32', mul(image, sizes[2]!), p);
  return { space, value: convFinished(b, kind, b.accumulator('f32', 0), 3, element, o) };
}
