/**
 * The geometry of a convolution, always with three spatial axes (z, y, x; missing ones have size one), and without dilated inputs.
 *
 * With input dilation d, only every so many-th sum of output and kernel position falls on an input pixel. So the output is cut into
 * lattices, each of which sees its own part of the kernel, and each is a plain convolution whose results lie apart:
 *
 *     y = r + Y * j,  Y = d / gcd(d, stride);   t = first + T * i,  T = d / gcd(d, kernelDilation)
 *     input position = j * (Y * stride / d) + i * (T * kernelDilation / d) + (r * stride + first * kernelDilation - padLow) / d
 *
 * For an input gradient of stride 2 that is a quarter of the work in two dimensions. Where no kernel position fits, sums are empty.
 */
import type { ConvAnchor } from '../routine.ts';
import { ceilDiv, product, range } from './numbers.ts';

/** Input position = output position * stride + kernel position * dilation - padLow. */
export interface ConvAxis {
  readonly inSize: number;
  readonly outSize: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padLow: number;
  /** Element strides of the operands, and of the whole result. */
  readonly lhs: number;
  readonly rhs: number;
  readonly out: number;
}

export type ConvAxes = readonly [z: ConvAxis, y: ConvAxis, x: ConvAxis];

/** A plain convolution that makes all results, or a lattice of them. */
export interface ConvPart {
  readonly axes: ConvAxes;
  readonly lhsOffset: number;
  readonly rhsOffset: number;
  readonly outOffset: number;
  /** Results along every axis are neighbours, and all there are. */
  readonly dense: boolean;
}

/** So many lattices are worth a stage each. */
const mostParts = 36;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** An axis of a part, and what its offset is in the kernel and in the result. */
interface Lattice {
  readonly axis: ConvAxis;
  readonly first: number;
  readonly residue: number;
}

const absent: ConvAxis = {
  inSize: 1,
  outSize: 1,
  kernelSize: 1,
  stride: 1,
  dilation: 1,
  padLow: 0,
  lhs: 0,
  rhs: 0,
  out: 0,
};

/**
 * The parts of a convolution; undefined for more than three axes, and where parts are too many.
 *
 * @param isMerged Neighbouring axes become one where that changes nothing.
 */
export function convParts(anchor: ConvAnchor, isMerged = true): readonly ConvPart[] | undefined {
  const dims = anchor.inSize.length;
  if (dims > 3) return undefined;
  const lattices = range(dims).map((d) => latticesOf(anchor, d));
  if (product(lattices.map(({ length }) => length)) > mostParts) return undefined;
  let combinations: readonly (readonly Lattice[])[] = [[]];
  for (const along of lattices)
    combinations = combinations.flatMap((before) => along.map((lattice) => [...before, lattice]));
  return combinations.map((chosen): ConvPart => {
    const axes = [...range(3 - dims).map(() => absent), ...chosen.map(({ axis }) => axis)];
    const sum = (of: (lattice: Lattice, d: number) => number): number =>
      chosen.reduce((total, lattice, d) => total + of(lattice, d), 0);
    const all = axes as unknown as ConvAxes;
    return {
      axes: isMerged ? merged(all) : all,
      lhsOffset: anchor.lhs.offset,
      rhsOffset: anchor.rhs.offset + sum(({ first }, d) => first * anchor.rhs.spatial[d]!),
      outOffset: sum(({ residue }, d) => residue * outStride(anchor, d)),
      dense: combinations.length === 1,
    };
  });
}

const outStride = ({ outSize }: ConvAnchor, d: number): number => product(outSize.slice(d + 1));

function latticesOf(anchor: ConvAnchor, d: number): readonly Lattice[] {
  const inSize = anchor.inSize[d]!;
  const [outSize, kernelSize] = [anchor.outSize[d]!, anchor.kernelSize[d]!];
  const padLow = anchor.padLow[d]!;
  // What is never taken is one.
  const spacing = inSize > 1 ? anchor.inputDilation[d]! : 1;
  const stride = anchor.stride[d]!;
  const dilation = anchor.kernelDilation[d]!;
  const outStep = spacing / gcd(spacing, stride);
  const kernelStep = spacing / gcd(spacing, dilation);
  return range(Math.min(outStep, outSize)).map((residue): Lattice => {
    const at = (t: number): number => residue * stride + t * dilation - padLow;
    const found = range(Math.min(kernelStep, kernelSize)).find((t) => at(t) % spacing === 0);
    const first = found ?? 0;
    const size = ceilDiv(outSize - residue, outStep);
    const taps = found === undefined ? 0 : ceilDiv(kernelSize - first, kernelStep);
    return {
      residue,
      first,
      axis: {
        inSize,
        outSize: size,
        kernelSize: taps,
        stride: size > 1 ? (outStep * stride) / spacing : 1,
        dilation: taps > 1 ? (kernelStep * dilation) / spacing : 1,
        padLow: found === undefined ? 0 : -at(first) / spacing + 0,
        lhs: anchor.lhs.spatial[d]!,
        rhs: anchor.rhs.spatial[d]! * kernelStep,
        out: outStride(anchor, d) * outStep,
      },
    };
  });
}

/** Neighbouring axes as one where that changes nothing: longer rows make better tiles. */
function merged([z, y, x]: ConvAxes): ConvAxes {
  const yx = joined(y, x);
  if (!yx) return [z, y, x];
  const zyx = joined(z, yx);
  return zyx ? [absent, absent, zyx] : [absent, z, yx];
}

function joined(outer: ConvAxis, inner: ConvAxis): ConvAxis | undefined {
  if (isAbsent(outer)) return inner;
  const inside = [outer, inner].every(({ padLow, dilation }) => padLow === 0 && dilation === 1);
  if (!inside || outer.lhs !== inner.lhs * inner.inSize) return undefined;
  const both = {
    ...inner,
    inSize: outer.inSize * inner.inSize,
    outSize: outer.outSize * inner.outSize,
    kernelSize: outer.kernelSize * inner.kernelSize,
  };
  // Kernels of size one: every pixel by itself.
  const pointwise = [outer, inner].every(
    (a) => a.kernelSize === 1 && a.stride === 1 && a.outSize === a.inSize,
  );
  if (pointwise && outer.out === inner.out * inner.outSize) return both;
  // One result, of the whole input.
  const whole = [outer, inner].every((a) => a.outSize === 1 && a.kernelSize === a.inSize);
  if (whole && outer.rhs === inner.rhs * inner.kernelSize) return both;
  return undefined;
}

const isAbsent = ({ inSize, outSize, kernelSize, padLow }: ConvAxis): boolean =>
  inSize === 1 && outSize === 1 && kernelSize === 1 && padLow === 0;

/** The least and the greatest input position that results and kernel positions meet. */
export function reach({ outSize, kernelSize, stride, dilation, padLow }: ConvAxis): {
  low: number;
  high: number;
} {
  return { low: -padLow, high: (outSize - 1) * stride + (kernelSize - 1) * dilation - padLow };
}

/** True where kernel positions meet nothing but pixels. */
export function isInside(axis: ConvAxis): boolean {
  const { low, high } = reach(axis);
  return low >= 0 && high < axis.inSize;
}

export const isPadded = ({ axes }: ConvPart): boolean => axes.some((axis) => !isInside(axis));

/** Kernel positions. */
export const tapsOf = ({ axes }: ConvPart): number => product(axes.map(({ kernelSize }) => kernelSize));
/** Results of a channel. */
export const pointsOf = ({ axes }: ConvPart): number => product(axes.map(({ outSize }) => outSize));
