/** A convolution with random operands, and its result by the contract's formula in float64. */
import { type ConvAnchor, type DType, ExpressionBuilder, product } from '../../backend/index.ts';
import { type ConvOptions, convAnchor, convFinished } from '../conv-anchor.ts';
import {
  type BufferContents,
  bufferContents,
  interpretKernel,
  readElement,
  writeElement,
} from '../interpret.ts';
import { mapKernel, variable } from '../kernel-cases/case.ts';
import { generator } from '../random-kernel.ts';
import type { AnchorCase } from './case.ts';

export type ConvCase = AnchorCase<ConvAnchor>;

/** How far a value of a dtype may be off when it was rounded to it, in parts of itself. */
const rounding: Readonly<Partial<Record<DType, number>>> = { float16: 2e-3, bfloat16: 1.6e-2 };

/** The value of the anchor's scalar, if it has one. */
const scalar = 0.75;

/** @param poison About so many elements of the kernel are not finite, and one of the input. */
export function convCase(name: string, options: ConvOptions, seed = 1, poison = 0): ConvCase {
  const anchor = convAnchor(options);
  const scalars = anchor.scalars.map(() => scalar);
  const contents = (): BufferContents[] => operandsOf(anchor, seed, poison);
  let expected: Expected | undefined;
  const check = (got: readonly BufferContents[]): string | undefined => {
    expected ??= expectedOf(options, anchor, contents(), scalars);
    const wrong = differenceOf(anchor, got, expected);
    return wrong && `${name}: ${wrong}`;
  };
  return { name, anchor, scalars, contents, check };
}

function operandsOf(anchor: ConvAnchor, seed: number, poison: number): BufferContents[] {
  const next = generator(seed);
  return anchor.buffers.map(({ dtype, length }, slot) => {
    const contents = bufferContents(dtype, length);
    for (let i = 0; i < length; i++) {
      const special = poison > 0 && slot < 2 && next() * length < (slot === 0 ? 1 : poison);
      const value = special ? [Infinity, -Infinity, NaN][Math.floor(next() * 3)]! : next() * 2 - 1;
      writeElement(dtype, contents, i, value);
    }
    return contents;
  });
}

interface Expected {
  readonly want: BufferContents;
  /** How far each element may be off: a millionth of the magnitudes of its terms and of itself, and what its dtype rounds. */
  readonly slack: Float64Array;
}

function expectedOf(
  options: ConvOptions,
  anchor: ConvAnchor,
  buffers: readonly BufferContents[],
  scalars: readonly number[],
): Expected {
  const { length, dtype } = anchor.buffers[2]!;
  const [sums, slack] = [new Float64Array(length), new Float64Array(length)];
  forEachConvTerm(anchor, (out, x, w) => {
    const term =
      readElement(anchor.lhs.dtype, buffers[0]!, x) * readElement(anchor.rhs.dtype, buffers[1]!, w);
    sums[out]! += term;
    if (Number.isFinite(term)) slack[out]! += Math.abs(term) * 1e-6;
  });
  const want = bufferContents(dtype, length);
  finish(options, anchor, sums, buffers, scalars, want);
  for (const i of slack.keys())
    slack[i]! += 1e-6 + (rounding[dtype] ?? 1e-6) * Math.abs(readElement(dtype, want, i));
  return { want, slack };
}

function differenceOf(
  { buffers }: ConvAnchor,
  results: readonly BufferContents[],
  { want, slack }: Expected,
): string | undefined {
  const { dtype, length } = buffers[2]!;
  for (let i = 0; i < length; i++) {
    const [a, b] = [readElement(dtype, results[2]!, i), readElement(dtype, want, i)];
    if (Object.is(a, b) || a === b) continue;
    if (Number.isFinite(b) && Math.abs(a - b) <= slack[i]!) continue;
    return `element ${i} is ${a}, not ${b}`;
  }
  return undefined;
}

/** All terms of a convolution, by the contract's formula: an element of the result, one of x and one of w. */
export function forEachConvTerm(
  anchor: ConvAnchor,
  visit: (out: number, x: number, w: number) => void,
): void {
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
  const flat = variable('i', length);
  const points = product(anchor.outSize);
  const image = b.alu('idiv', 'i32', b.index(flat), b.int(points));
  const channel = b.alu('rem', 'i32', image, b.int(anchor.groups * anchor.outChannels));
  const sum = b.load('f32', 1, b.index(flat));
  const value = convFinished(b, options.epilogue, sum, 2, b.index(flat), channel);
  const kernel = mapKernel(
    'finish',
    [
      { dtype, length, access: 'write' },
      { dtype: 'float32', length, access: 'read' },
      ...anchor.buffers.slice(3),
    ],
    [flat],
    [{ buffer: 0, index: b.index(flat), value, mode: 'set' }],
  );
  interpretKernel(
    { ...kernel, scalars: anchor.scalars },
    [want, Float32Array.from(sums), ...buffers.slice(3)],
    scalars,
  );
}
