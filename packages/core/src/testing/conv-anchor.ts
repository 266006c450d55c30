/** Convolution anchors for tests of routines, and what they must give. */
import {
  type BufferParam,
  type ConvAnchor,
  type DType,
  type Expression,
  ExpressionBuilder,
} from '../backend/index.ts';
import {
  type BufferContents,
  bufferContents,
  interpretKernel,
  readElement,
  writeElement,
} from './interpret.ts';
import { generator } from './random-kernel.ts';

/**
 * - `bias`: max(0, sum + bias of the channel) + an element's own number
 * - `scale`: times a scalar
 * - `mask`: where an element's own bool holds, else its own float16
 */
type EpilogueKind = 'bias' | 'scale' | 'mask';

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
  readonly epilogue?: EpilogueKind;
}

const product = (values: readonly number[]): number => values.reduce((a, b) => a * b, 1);

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
function finished(
  b: ExpressionBuilder,
  kind: EpilogueKind | undefined,
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

function epilogueOf(kind: EpilogueKind, sizes: readonly number[]): NonNullable<ConvAnchor['epilogue']> {
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
  return { space, value: finished(b, kind, b.accumulator('f32', 0), 3, element, o) };
}

/** All (output element, x element, w element) of a convolution, by the contract's formula. */
function forEachTerm(anchor: ConvAnchor, visit: (out: number, x: number, w: number) => void): void {
  const { batch, groups, inChannels, outChannels, inSize, outSize, kernelSize, lhs, rhs } = anchor;
  const positions = (sizes: readonly number[]): number[][] =>
    sizes.reduce<number[][]>(
      (before, size) => before.flatMap((p) => Array.from({ length: size }, (_, i) => [...p, i])),
      [[]],
    );
  const taps = positions(kernelSize);
  for (const [point, y] of positions(outSize).entries()) {
    for (const t of taps) {
      const p = y.map(
        (at, d) =>
          (at * anchor.stride[d]! + t[d]! * anchor.kernelDilation[d]! - anchor.padLow[d]!) /
          anchor.inputDilation[d]!,
      );
      if (!p.every((at, d) => Number.isInteger(at) && at >= 0 && at < inSize[d]!)) continue;
      const pixel = p.reduce((sum, at, d) => sum + at * lhs.spatial[d]!, lhs.offset);
      const weight = t.reduce((sum, at, d) => sum + at * rhs.spatial[d]!, rhs.offset);
      for (let b = 0; b < batch; b++) {
        for (let o = 0; o < groups * outChannels; o++) {
          const first = Math.floor(o / outChannels) * inChannels;
          const out = (b * groups * outChannels + o) * product(outSize) + point;
          for (let i = 0; i < inChannels; i++)
            visit(
              out,
              pixel + b * lhs.outer + (first + i) * lhs.inner,
              weight + o * rhs.outer + i * rhs.inner,
            );
        }
      }
    }
  }
}

export interface ConvCase {
  readonly anchor: ConvAnchor;
  readonly buffers: readonly BufferContents[];
  readonly scalars: readonly number[];
  readonly want: BufferContents;
  /** How far each sum may be off. */
  readonly slack: Float64Array;
}

/** @param poison About so many elements of the kernel are not finite, and one of the input. */
export function convCase(options: ConvOptions, seed: number, poison = 0): ConvCase {
  const anchor = convAnchor(options);
  const next = generator(seed);
  const buffers = anchor.buffers.map(({ dtype, length }, slot) => {
    const contents = bufferContents(dtype, length);
    for (let i = 0; i < length; i++) {
      const special = poison > 0 && slot < 2 && next() * length < (slot === 0 ? 1 : poison);
      const value = special ? [Infinity, -Infinity, NaN][Math.floor(next() * 3)]! : next() * 2 - 1;
      writeElement(dtype, contents, i, value);
    }
    return contents;
  });
  const { length, dtype } = anchor.buffers[2]!;
  const sums = new Float64Array(length);
  const slack = new Float64Array(length);
  forEachTerm(anchor, (out, x, w) => {
    const term =
      readElement(anchor.lhs.dtype, buffers[0]!, x) * readElement(anchor.rhs.dtype, buffers[1]!, w);
    sums[out]! += term;
    slack[out]! += Math.abs(term) * 1e-6;
  });
  const scalars = anchor.scalars.map(() => 0.75);
  const rounding = { float16: 2e-3, bfloat16: 1.6e-2 }[dtype as string] ?? 1e-6;
  const want = bufferContents(dtype, length);
  finish(options, anchor, sums, buffers, scalars, want);
  for (const i of slack.keys()) slack[i]! += 1e-6 + rounding * Math.abs(readElement(dtype, want, i));
  return { anchor, buffers, scalars, want, slack };
}

/** The epilogue by the interpreter, over sums that were made above. */
function finish(
  options: ConvOptions,
  anchor: ConvAnchor,
  sums: Float64Array,
  buffers: readonly BufferContents[],
  scalars: readonly number[],
  want: BufferContents,
): void {
  const { dtype, length } = anchor.buffers[2]!;
  const b = new ExpressionBuilder();
  const flat = { name: 'i', extent: length };
  const points = product(anchor.outSize);
  const channel = b.alu(
    'rem',
    'i32',
    b.alu('idiv', 'i32', b.index(flat), b.int(points)),
    b.int(anchor.groups * anchor.outChannels),
  );
  const sum = b.load('f32', 1, b.index(flat));
  const value = finished(b, options.epilogue, sum, 2, b.index(flat), channel);
  interpretKernel(
    {
      kind: 'kernel',
      name: 'finish',
      buffers: [
        { dtype, length, access: 'write' },
        { dtype: 'float32', length, access: 'read' },
        ...anchor.buffers.slice(3),
      ],
      scalars: anchor.scalars,
      space: [flat],
      phases: [
        {
          kind: 'map',
          loops: [],
          order: 'parallel',
          stores: [{ buffer: 0, index: b.index(flat), value, mode: 'set' }],
        },
      ],
    },
    [want, Float32Array.from(sums), ...buffers.slice(3)],
    scalars,
  );
}

/** Where the buffers after a run differ from what they must be. */
export function convDifference(
  { anchor, want, slack }: ConvCase,
  results: readonly BufferContents[],
): string | undefined {
  const { dtype, length } = anchor.buffers[2]!;
  for (let i = 0; i < length; i++) {
    const [a, b] = [readElement(dtype, results[2]!, i), readElement(dtype, want, i)];
    if (Object.is(a, b) || a === b) continue;
    if (Number.isFinite(b) && Math.abs(a - b) <= slack[i]!) continue;
    return `element ${i} is ${a}, not ${b}`;
  }
  return undefined;
}
