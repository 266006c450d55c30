/**
 * Convolutions of a dilated input (the input gradients of strided convolutions) without multiplying by the zeros between.
 *
 * With input dilation d, only every d-th sum of output and kernel position falls on an input pixel. So the output is cut
 * into d lattices per axis, each of which sees its own part of the kernel:
 *
 *     y = r + d * j,  t = first + s * i,  s = d / gcd(d, kernelDilation)
 *     input position = j + i * (s * kernelDilation / d) + (r + first * kernelDilation - padLow) / d
 *
 * Each is a plain convolution whose results lie d apart. For stride 2 that is a quarter of the work in two dimensions.
 * Where no kernel position fits, results are zero. The epilogue runs at the end, over everything.
 */
import { type ConvAnchor, product, range } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import { forwardStages } from './conv-forward.ts';
import type { ResultView } from './conv-forward-plan.ts';
import { assemble, flatScratch, flatStage, needsFinish, sumsFitResult } from './finish.ts';

/** Part of an axis: output positions `residue` + d * j, kernel positions `first` + `step` * i. */
interface Lattice {
  readonly residue: number;
  readonly spacing: number;
  readonly outSize: number;
  readonly first: number;
  readonly step: number;
  readonly kernelSize: number;
  readonly kernelDilation: number;
  readonly padLow: number;
}

/** True where this routine applies: where the input is dilated, the stride is one. */
export const isDilated = (anchor: ConvAnchor): boolean =>
  sumsFitResult(anchor) &&
  anchor.inputDilation.some((d, axis) => d > 1 && anchor.inSize[axis]! > 1) &&
  anchor.inputDilation.every((d, axis) => d === 1 || anchor.stride[axis] === 1) &&
  product(anchor.inputDilation) <= 16;

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/** The lattices of an axis. Without dilation there is one, the axis itself. */
function latticesOf(anchor: ConvAnchor, axis: number): readonly Lattice[] {
  const spacing = anchor.inputDilation[axis]!;
  const [size, kernel] = [anchor.outSize[axis]!, anchor.kernelSize[axis]!];
  const [dilation, pad] = [anchor.kernelDilation[axis]!, anchor.padLow[axis]!];
  if (spacing === 1) {
    const whole = { residue: 0, spacing: 1, outSize: size, first: 0, step: 1, kernelSize: kernel };
    return [{ ...whole, kernelDilation: dilation, padLow: pad }];
  }
  const step = spacing / gcd(spacing, dilation);
  return range(Math.min(spacing, size)).map((residue) => {
    const first = range(kernel).find((t) => (residue + t * dilation - pad) % spacing === 0) ?? kernel;
    return {
      residue,
      spacing,
      outSize: Math.ceil((size - residue) / spacing),
      first,
      step,
      kernelSize: Math.ceil((kernel - first) / step),
      kernelDilation: (step * dilation) / spacing,
      padLow: -(residue + first * dilation - pad) / spacing,
    };
  });
}

export function dilatedProgram(anchor: ConvAnchor): WasmProgram {
  const { epilogue: _, ...plain } = anchor;
  const dims = anchor.inSize.length;
  const points = product(anchor.outSize);
  const elements = anchor.batch * anchor.groups * anchor.outChannels * points;
  const outStrides = range(dims).map((d) => product(anchor.outSize.slice(d + 1)));
  let combinations: readonly (readonly Lattice[])[] = [[]];
  for (const axis of range(dims)) {
    const lattices = latticesOf(anchor, axis);
    combinations = combinations.flatMap((before) => lattices.map((lattice) => [...before, lattice]));
  }
  const stages: Stage[] = [];
  let [scratch, workspace] = [flatScratch, 0];
  const used = combinations.filter((lattices) => lattices.every((lattice) => lattice.kernelSize > 0));
  if (used.length < combinations.length) {
    stages.push(
      flatStage({ ...plain, buffers: floatResult(anchor) }, elements, 0.1, (fn, { target, count }) => {
        fn.get(target).i32(0).get(count).i32(4).op('i32.mul').memoryFill();
      }),
    );
  }
  for (const lattices of used) {
    const part: ConvAnchor = {
      ...plain,
      outSize: lattices.map((l) => l.outSize),
      kernelSize: lattices.map((l) => l.kernelSize),
      kernelDilation: lattices.map((l) => l.kernelDilation),
      padLow: lattices.map((l) => l.padLow),
      inputDilation: lattices.map(() => 1),
      rhs: {
        ...anchor.rhs,
        offset: lattices.reduce((sum, l, d) => sum + l.first * anchor.rhs.spatial[d]!, anchor.rhs.offset),
        spatial: lattices.map((l, d) => l.step * anchor.rhs.spatial[d]!),
      },
    };
    const along = (fromLast: number): number => {
      const d = dims - 1 - fromLast;
      return d < 0 ? 0 : outStrides[d]! * lattices[d]!.spacing;
    };
    const view: ResultView = {
      of: anchor,
      whole: false,
      first: lattices.reduce((sum, l, d) => sum + l.residue * outStrides[d]!, 0),
      channel: points,
      z: along(2),
      y: along(1),
      x: along(0),
    };
    const { stages: own, memory } = forwardStages(part, view);
    stages.push(...own);
    scratch = Math.max(scratch, memory.scratch);
    // One part after another packs its weights into the same place: stages do not overlap.
    workspace = Math.max(workspace, memory.workspace);
  }
  if (needsFinish(anchor)) stages.push(flatStage(anchor, elements, 0, () => {}));
  return assemble(anchor, stages, { scratch, workspace }, `input dilated: ${used.length} lattices`);
}

/** The buffers of an anchor whose result holds nothing but sums. */
const floatResult = (anchor: ConvAnchor): ConvAnchor['buffers'] =>
  anchor.buffers.map((buffer, i) => (i === 2 ? { ...buffer, dtype: 'float32' as const } : buffer));
