/**
 * The geometry of a convolution, always with three spatial axes (z, y, x; missing ones have size one), and how an axis
 * of the input is laid out so that what a micro-kernel reads together lies together.
 *
 * Along an axis, output position p and kernel position t meet the padded input at q = p * stride + t * dilation. For
 * one of the two (the *runner*: it walks through memory) consecutive positions shall be neighbours, so q is split into a
 * phase (q mod step) and an index (q div step), where step is the runner's own stride. The other one then only shifts.
 */
import type { ConvAnchor } from '@tutti/core/backend';

export interface Axis {
  readonly inSize: number;
  readonly outSize: number;
  readonly kernelSize: number;
  readonly stride: number;
  readonly padLow: number;
  readonly inputDilation: number;
  readonly kernelDilation: number;
  /** Element strides of the operands. */
  readonly lhs: number;
  readonly rhs: number;
}

export interface Geometry {
  readonly z: Axis;
  readonly y: Axis;
  readonly x: Axis;
  /** Kernel positions. */
  readonly taps: number;
  /** Output positions. */
  readonly points: number;
}

export function geometryOf(anchor: ConvAnchor): Geometry {
  const dims = anchor.inSize.length;
  const axis = (d: number): Axis => {
    const at = dims - 3 + d;
    if (at < 0) {
      const one = {
        inSize: 1,
        outSize: 1,
        kernelSize: 1,
        stride: 1,
        padLow: 0,
        inputDilation: 1,
        kernelDilation: 1,
      };
      return { ...one, lhs: 0, rhs: 0 };
    }
    return {
      inSize: anchor.inSize[at]!,
      outSize: anchor.outSize[at]!,
      kernelSize: anchor.kernelSize[at]!,
      // A stride that is never taken is one: then no phases are made for it.
      stride: anchor.outSize[at] === 1 ? 1 : anchor.stride[at]!,
      padLow: anchor.padLow[at]!,
      inputDilation: anchor.inputDilation[at]!,
      kernelDilation: anchor.kernelSize[at] === 1 ? 1 : anchor.kernelDilation[at]!,
      lhs: anchor.lhs.spatial[at]!,
      rhs: anchor.rhs.spatial[at]!,
    };
  };
  const [z, y, x] = [axis(0), axis(1), axis(2)];
  return {
    z,
    y,
    x,
    taps: z.kernelSize * y.kernelSize * x.kernelSize,
    points: z.outSize * y.outSize * x.outSize,
  };
}

/** Input indices along an axis for one phase: index u = first + j * step holds input p = from + j * by, j < count. */
export interface PhaseRun {
  readonly first: number;
  readonly step: number;
  readonly from: number;
  readonly by: number;
  readonly count: number;
}

export interface AxisLayout {
  readonly step: number;
  /** The phases that occur, ascending. */
  readonly phases: readonly number[];
  /** Indices per phase. */
  readonly length: number;
  /** For each shift: which phase (by its place in `phases`) and how many indices on. */
  readonly shifts: readonly { readonly phase: number; readonly index: number }[];
}

/** The layout for a runner with `count` positions `step` apart and the given shifts of the other side. */
export function layoutAxis(step: number, count: number, shifts: readonly number[]): AxisLayout {
  const phases = [...new Set(shifts.map((shift) => shift % step))].sort((a, b) => a - b);
  const placed = shifts.map((shift) => ({
    phase: phases.indexOf(shift % step),
    index: Math.floor(shift / step),
  }));
  return { step, phases, shifts: placed, length: count + Math.max(...placed.map((s) => s.index)) };
}

/** What of the input lies in one phase. */
export function phaseRun(axis: Axis, layout: AxisLayout, phase: number): PhaseRun {
  let first = -1;
  let second = -1;
  let count = 0;
  const inputOf = (u: number): number => {
    const q = u * layout.step + phase - axis.padLow;
    return q >= 0 && q % axis.inputDilation === 0 && q / axis.inputDilation < axis.inSize
      ? q / axis.inputDilation
      : -1;
  };
  for (let u = 0; u < layout.length; u++) {
    if (inputOf(u) < 0) continue;
    if (count === 0) first = u;
    else if (count === 1) second = u;
    count++;
  }
  if (count === 0) return { first: 0, step: 1, from: 0, by: 1, count: 0 };
  const step = count > 1 ? second - first : 1;
  return { first, step, from: inputOf(first), by: count > 1 ? inputOf(second) - inputOf(first) : 1, count };
}
