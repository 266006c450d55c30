/**
 * What a convolution looks like to its core (conv-core.ts): lattices of results (each a plain convolution, see core's geometry), blocks of
 * sums, and how its operands lie once they are written anew (conv-operands.ts).
 */
import {
  type ConvAnchor,
  type ConvAxes,
  type ConvAxis,
  type ConvPart,
  ceilDiv,
  convParts,
  isInside,
  powerAbove,
  product,
  range,
} from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import { shiftOf } from './text.ts';

/** Numbers for the axes z, y, x. */
export type Three = readonly [z: number, y: number, x: number];

/** A plain convolution, whose kernel positions are `first + step * i` of the whole kernel. */
export interface Lattice {
  readonly axes: ConvAxes;
  readonly first: Three;
  readonly step: Three;
}

/** Where kernel positions lie in the anchor's rhs. */
export interface Kernel3 {
  readonly offset: number;
  readonly size: Three;
  readonly strides: Three;
}

export interface ConvPlan {
  readonly anchor: ConvAnchor;
  readonly lattices: readonly Lattice[];
  /** Lattices along each axis. */
  readonly spread: Three;
  readonly kernel: Kernel3;
  /** Extents of lhs and its strides, in elements. */
  readonly inSize: Three;
  readonly lhs: Three;
  /** Results of a lattice along each axis, and of the whole. */
  readonly points: Three;
  readonly outSize: Three;
  /** Channels of a block, and blocks of channels in a group. */
  readonly rows: number;
  readonly channelBlocks: number;
  /** Texels of four results in a row. */
  readonly columnBlocks: number;
  readonly pixels: PixelLayout;
  readonly weights: WeightLayout;
  /** Sums are cut along the channels and along the kernel's rows. */
  readonly parts: readonly [channels: number, taps: number];
  readonly chunks: readonly [channels: number, taps: number];
  readonly blocks: number;
  /** log2 of the texels in a row of the textures of sums. */
  readonly shift: number;
}

/**
 * Rows of the input, filled up with zeros on both sides, and taken apart by the stride: column u of phase p is the pixel
 * `u * stride + p - padLow`, so that neighbouring results find neighbouring pixels.
 */
export interface PixelLayout {
  readonly stride: number;
  readonly padLow: number;
  readonly phases: number;
  /** Texels of a phase: a power of two, so that no row of a texture cuts it. */
  readonly pitch: number;
  readonly shift: number;
}

/**
 * Texels by block of output channels, input channel and row of the kernel, which has `pitch` texels: four channels of one position, or
 * four positions along the row where a block is a single channel.
 */
export interface WeightLayout {
  readonly lanes: 'channels' | 'positions';
  /** Texels of a position; 1 where a texel has several. */
  readonly vectors: number;
  readonly pitch: number;
}

/** Sums of a fragment: all that a device has outputs for in software, fewer on a GPU, which has many fragments to keep registers for. */
const mostRows = { software: 8, hardware: 4 };
const fewFragments = { software: 256, hardware: 16384 };
/** Rows of the kernel, over all channels, below which another part is not worth its sums. */
const leastRows = { software: 16, hardware: 8 };
const mostParts = 32;
/** So many lattices make a shader too long. */
const mostLattices = 9;

const three = (values: readonly number[], missing: number): Three =>
  [...range(3 - values.length).map(() => missing), ...values] as unknown as Three;
const each = (of: (d: 0 | 1 | 2) => number): Three => [of(0), of(1), of(2)];

/** Undefined for more axes than three, and for more lattices than are worth it. */
export function planConv(anchor: ConvAnchor, features: ShaderFeatures): ConvPlan | undefined {
  const geometry = geometryOf(anchor);
  if (!geometry) return undefined;
  const { lattices, points } = geometry;
  const { batch, groups, inChannels, outChannels } = anchor;
  const device = features.software ? 'software' : 'hardware';
  const columnBlocks = ceilDiv(points[2], 4);
  const most = Math.min(mostRows[device], features.maxOutputs);
  const rows = ceilDiv(outChannels, ceilDiv(outChannels, most));
  const channelBlocks = ceilDiv(outChannels, rows);
  const lanes = rows === 1 ? 'positions' : 'channels';
  const vectors = ceilDiv(rows, 4);
  const fragments = lattices.length * batch * groups * channelBlocks * points[0] * points[1] * columnBlocks;
  const taps = Math.max(1, ...lattices.map(({ axes }) => axes[1].kernelSize));
  const [channels, down] = partsOf(fragments, inChannels, lattices.length === 1 ? taps : 1, device);
  const parts = [ceilDiv(inChannels, channels), ceilDiv(taps, down)] as const;
  const blocks = parts[0] * parts[1] * fragments;
  const pixels = pixelLayout(geometry, anchor, columnBlocks);
  const width = geometry.kernel.size[2];
  const pitch = powerAbove(lanes === 'positions' ? ceilDiv(width, 4) : width * vectors);
  if (Math.max(pixels.pitch, pitch) > 2 ** features.rowShift) return undefined;
  return {
    anchor,
    ...geometry,
    rows,
    channelBlocks,
    columnBlocks,
    pixels,
    weights: { lanes, vectors, pitch },
    parts,
    chunks: [channels, down],
    blocks,
    shift: shiftOf(blocks, columnBlocks),
  };
}

/** Channels and rows of the kernel in a part. */
function partsOf(
  fragments: number,
  channels: number,
  taps: number,
  device: 'software' | 'hardware',
): readonly [number, number] {
  const rows = channels * taps;
  const wanted = Math.min(
    Math.floor(fewFragments[device] / fragments),
    Math.floor(rows / leastRows[device]),
    mostParts,
  );
  const byChannels = Math.max(1, Math.min(wanted, channels));
  const byTaps = Math.max(1, Math.min(Math.floor(wanted / byChannels), taps));
  return [ceilDiv(channels, byChannels), taps === 1 ? 2 ** 20 : ceilDiv(taps, byTaps)];
}

type Geometry = Pick<ConvPlan, 'lattices' | 'spread' | 'kernel' | 'inSize' | 'lhs' | 'points' | 'outSize'>;

function geometryOf(anchor: ConvAnchor): Geometry | undefined {
  const parts = convParts(anchor);
  if (!parts || parts.length > mostLattices) return undefined;
  const [part] = parts;
  return part && parts.length === 1 ? single(part) : several(anchor);
}

/** Neighbouring axes may be one. */
function single({ axes, rhsOffset }: ConvPart): Geometry {
  const sizes = (of: (axis: ConvAxis) => number): Three => each((d) => of(axes[d]));
  const outSize = sizes((axis) => axis.outSize);
  return {
    lattices: [{ axes, first: [0, 0, 0], step: [1, 1, 1] }],
    spread: [1, 1, 1],
    kernel: {
      offset: rhsOffset,
      size: sizes((axis) => axis.kernelSize),
      strides: sizes((axis) => axis.rhs),
    },
    inSize: sizes((axis) => axis.inSize),
    lhs: sizes((axis) => axis.lhs),
    points: outSize,
    outSize,
  };
}

/** Kernel positions by their number in the whole kernel, which takes the place of the anchor's own strides. */
function several(anchor: ConvAnchor): Geometry {
  const size = three(anchor.kernelSize, 1);
  const numbers: Three = [size[1] * size[2], size[2], 1];
  const spatial = anchor.kernelSize.map((_, i) => numbers[3 - anchor.kernelSize.length + i]!);
  const parts = convParts({ ...anchor, rhs: { ...anchor.rhs, offset: 0, spatial } }, false)!;
  const lattices = parts.map(({ axes, rhsOffset }): Lattice => {
    const first: Three = [
      Math.floor(rhsOffset / numbers[0]),
      Math.floor((rhsOffset % numbers[0]) / numbers[1]),
      rhsOffset % numbers[1],
    ];
    return { axes, first, step: each((d) => axes[d].rhs / numbers[d] || 1) };
  });
  const { axes } = lattices[0]!;
  const outSize = three(anchor.outSize, 1);
  const steps = each((d) => axes[d].out / product(outSize.slice(d + 1)) || 1);
  return {
    lattices,
    spread: each((d) => Math.min(steps[d], outSize[d])),
    kernel: { offset: anchor.rhs.offset, size, strides: three(anchor.rhs.spatial, 0) },
    inSize: three(anchor.inSize, 1),
    lhs: three(anchor.lhs.spatial, 0),
    points: each((d) => axes[d].outSize),
    outSize,
  };
}

function pixelLayout(
  { lattices, inSize }: Geometry,
  { batch, groups, inChannels }: ConvAnchor,
  columnBlocks: number,
): PixelLayout {
  const axes = lattices.map((lattice) => lattice.axes[2]).filter(({ kernelSize }) => kernelSize > 0);
  const stride = Math.max(1, ...axes.map((axis) => (axis.outSize > 1 ? axis.stride : 1)));
  const padLow = Math.max(...axes.map((axis) => axis.padLow), Number.NEGATIVE_INFINITY);
  const layout = { stride, padLow: Number.isFinite(padLow) ? padLow : 0 };
  const places = axes.flatMap((axis) => range(axis.kernelSize).map((tap) => placeOf(layout, axis, tap)));
  const phases = Math.max(1, ...places.map(({ phase }) => phase + 1));
  const reach = Math.max(0, ...places.map(({ column }) => column));
  const pitch = powerAbove(columnBlocks + ceilDiv(reach, 4));
  const texels = batch * groups * inChannels * inSize[0] * inSize[1] * phases * pitch;
  return { ...layout, phases, pitch, shift: Math.max(Math.log2(pitch), shiftOf(texels, pitch)) };
}

/** The phase of the pixels that a kernel position meets, and the column of the first of them. */
export function placeOf(
  { stride, padLow }: Pick<PixelLayout, 'stride' | 'padLow'>,
  axis: ConvAxis,
  tap: number,
): { readonly phase: number; readonly column: number } {
  const at = tap * axis.dilation + padLow - axis.padLow;
  return { phase: at % stride, column: Math.floor(at / stride) };
}

/** Whether results of a lattice meet zeros beside the rows of pixels. */
export const isFilled = ({ axes }: Lattice): boolean => axes[2].kernelSize > 0 && !isInside(axes[2]);

/** Whether no kernel position ever meets a pixel. */
export const isEmpty = ({ axes }: Lattice): boolean => axes.some(({ kernelSize }) => kernelSize === 0);
