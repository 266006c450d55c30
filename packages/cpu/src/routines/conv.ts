/** Convolutions: chooses the routine by the shape's class. */
import { type ConvAnchor, type DotAnchor, product } from '@tutti/core/backend';
import type { WasmProgram } from '../program.ts';
import { dilatedProgram, isDilated } from './conv-dilated.ts';
import { forwardCycles, forwardProgram } from './conv-forward.ts';
import { reduceCycles, reduceProgram } from './conv-reduce.ts';
import { dotRoutine } from './dot.ts';
import { zeroProgram } from './finish.ts';

export function convRoutine(anchor: ConvAnchor): WasmProgram | undefined {
  const dims = anchor.inSize.length;
  if (anchor.type !== 'f32' || anchor.lhs.dtype !== 'float32' || anchor.rhs.dtype !== 'float32')
    return undefined;
  if (dims < 1 || dims > 3) return undefined;
  const elements = anchor.batch * anchor.groups * anchor.outChannels * product(anchor.outSize);
  const terms = anchor.inChannels * product(anchor.kernelSize) * product(anchor.inSize);
  if (elements === 0 || terms === 0) return zeroProgram(anchor, elements);
  const dot = asDot(anchor);
  if (dot) return dotRoutine(dot);
  if (isDilated(anchor)) return dilatedProgram(anchor);
  // Equal work goes forward: it needs no second stage.
  return reduceCycles(anchor) * 1.15 < forwardCycles(anchor) ? reduceProgram(anchor) : forwardProgram(anchor);
}

/**
 * One output position, under a kernel of the input's size: a matrix product (batch, k) x (k, outChannels), where each
 * operand's k, channels and positions together, are evenly spaced.
 */
function asDot(anchor: ConvAnchor): DotAnchor | undefined {
  const { lhs, rhs, inSize, kernelSize, inChannels, groups } = anchor;
  if (groups !== 1 || anchor.outSize.some((size) => size !== 1)) return undefined;
  if (inSize.some((size, d) => size !== kernelSize[d] || anchor.padLow[d] !== 0)) return undefined;
  if (inSize.some((size, d) => size > 1 && anchor.inputDilation[d] !== anchor.kernelDilation[d]))
    return undefined;
  const left = evenStride([inChannels, ...inSize], [lhs.inner, ...lhs.spatial]);
  const right = evenStride([inChannels, ...kernelSize], [rhs.inner, ...rhs.spatial]);
  if (left === undefined || right === undefined || right < 0) return undefined;
  const { name, type, buffers, scalars, epilogue } = anchor;
  return {
    kind: 'dot',
    name,
    type,
    buffers,
    scalars,
    ...(epilogue ? { epilogue } : {}),
    batch: [],
    m: anchor.batch,
    n: anchor.outChannels,
    k: inChannels * product(inSize),
    lhs: { dtype: lhs.dtype, offset: lhs.offset, batch: [], row: lhs.outer, column: left },
    rhs: { dtype: rhs.dtype, offset: rhs.offset, batch: [], row: right, column: rhs.outer },
  };
}

/** The one stride with which all positions of `sizes` follow each other, if there is one. */
function evenStride(sizes: readonly number[], strides: readonly number[]): number | undefined {
  let stride: number | undefined;
  let next = 0;
  for (let d = sizes.length - 1; d >= 0; d--) {
    if (sizes[d] === 1) continue;
    if (stride === undefined) stride = strides[d]!;
    else if (strides[d] !== next) return undefined;
    next = strides[d]! * sizes[d]!;
  }
  return stride ?? 0;
}
