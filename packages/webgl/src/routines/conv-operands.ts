/** The operands of a convolution, written anew into scratch memory as its core reads them. */
import {
  type ConvOperand,
  type Expression,
  ExpressionBuilder,
  type IndexVariable,
  sizeOf,
} from '@tutti/core/backend';
import type { GlslStage, Scratch, ShaderFeatures, StageBuffer } from '../program.ts';
import type { ConvPlan } from './conv-plan.ts';
import { copyStages } from './copy.ts';

export interface Written {
  readonly stages: readonly GlslStage[];
  readonly scratch: Scratch;
  readonly texels: number;
}

/** A dimension of what is written: its elements are `stride` apart in the operand. */
interface Dimension {
  readonly name: string;
  readonly extent: number;
  readonly stride: number;
}

/** Dimensions as one, where the outer goes on where the inner ends. */
function mergedDimensions(dimensions: readonly Dimension[]): readonly Dimension[] {
  const merged: Dimension[] = [];
  for (const dimension of dimensions) {
    if (dimension.extent === 1) continue;
    const outer = merged.at(-1);
    if (outer && outer.stride === dimension.stride * dimension.extent)
      merged[merged.length - 1] = { ...dimension, extent: outer.extent * dimension.extent };
    else merged.push(dimension);
  }
  return merged;
}

const at = (b: ExpressionBuilder, variable: IndexVariable): Expression =>
  variable.extent === 1 ? b.int(0) : b.index(variable);

/** What the innermost dimensions add to the index, and where there is an element at all. */
interface Inner {
  readonly space: readonly IndexVariable[];
  readonly index: Expression;
  readonly guard: Expression | undefined;
}

/** `outer` dimensions by their strides, then those of `makeInner`; row-major. */
function written(
  name: string,
  operand: ConvOperand,
  slot: number,
  scratch: number,
  outer: readonly Dimension[],
  makeInner: (b: ExpressionBuilder, indexOf: (name: string) => Expression) => Inner,
  rowShift: number | undefined,
  features: ShaderFeatures,
): Written {
  const b = new ExpressionBuilder();
  const space = outer.map(({ name: variable, extent }): IndexVariable => ({ name: variable, extent }));
  const indexOf = (variable: string): Expression => at(b, space.find(({ name: own }) => own === variable)!);
  const inner = makeInner(b, indexOf);
  let from = inner.index;
  for (const [i, { stride }] of outer.entries())
    from = b.alu('add', 'i32', b.alu('mul', 'i32', at(b, space[i]!), b.int(stride)), from);
  space.push(...inner.space);
  const value = b.load('f32', 0, from, inner.guard);
  const target: StageBuffer = { kind: 'scratch', index: scratch };
  const length = sizeOf(space);
  return {
    stages: copyStages({ name, from: operand.dtype, to: 'float32', space, value }, slot, target, features),
    scratch: rowShift === undefined ? { bytes: length * 4 } : { bytes: length * 4, rowShift },
    texels: length / 4,
  };
}

/** (batch, channel, z, y, phase, column) */
export function writePixels(plan: ConvPlan, scratch: number, features: ShaderFeatures): Written {
  const { anchor, inSize, lhs: strides, pixels } = plan;
  const { batch, groups, inChannels, lhs } = anchor;
  const outer = mergedDimensions([
    { name: 'b', extent: batch, stride: lhs.outer },
    { name: 'c', extent: groups * inChannels, stride: lhs.inner },
    { name: 'z', extent: inSize[0], stride: strides[0] },
    { name: 'y', extent: inSize[1], stride: strides[1] },
  ]);
  const makeInner = (b: ExpressionBuilder): Inner => {
    const column = { name: 'u', extent: 4 * pixels.pitch };
    const phase = { name: 'p', extent: pixels.phases };
    let position = b.index(column);
    if (pixels.stride > 1) position = b.alu('mul', 'i32', position, b.int(pixels.stride));
    if (pixels.phases > 1) position = b.alu('add', 'i32', position, b.index(phase));
    const { padLow } = pixels;
    if (padLow !== 0) position = b.alu('add', 'i32', position, b.int(-padLow));
    const most = (column.extent - 1) * pixels.stride + pixels.phases - 1 - padLow;
    const isLow = padLow > 0 ? b.alu('le', 'bool', b.int(0), position) : undefined;
    const isHigh = most >= inSize[2] ? b.alu('lt', 'bool', position, b.int(inSize[2])) : undefined;
    const scaled = strides[2] === 1 ? position : b.alu('mul', 'i32', position, b.int(strides[2]));
    return {
      space: pixels.phases > 1 ? [phase, column] : [column],
      index: lhs.offset === 0 ? scaled : b.alu('add', 'i32', scaled, b.int(lhs.offset)),
      guard: isLow && isHigh ? b.alu('and', 'bool', isLow, isHigh) : (isLow ?? isHigh),
    };
  };
  return written('pixels', lhs, 0, scratch, outer, makeInner, pixels.shift, features);
}

/**
 * (group, block of channels, input channel, z, y, x, output channel of the block), where rows of x are filled up. Without the last
 * dimension where blocks are of one channel.
 */
export function writeWeights(plan: ConvPlan, scratch: number, features: ShaderFeatures): Written {
  const { anchor, kernel, rows, channelBlocks, weights } = plan;
  const { groups, inChannels, outChannels, rhs } = anchor;
  const dimensions: readonly Dimension[] = [
    { name: 'g', extent: groups, stride: outChannels * rhs.outer },
    { name: 'o', extent: channelBlocks, stride: rows * rhs.outer },
    { name: 'i', extent: inChannels, stride: rhs.inner },
    { name: 'z', extent: kernel.size[0], stride: kernel.strides[0] },
    { name: 'y', extent: kernel.size[1], stride: kernel.strides[1] },
  ];
  const isRagged = channelBlocks * rows !== outChannels;
  const makeInner = (b: ExpressionBuilder, indexOf: (name: string) => Expression): Inner => {
    const isOne = weights.lanes === 'positions';
    const tap = { name: 'x', extent: isOne ? 4 * weights.pitch : weights.pitch / weights.vectors };
    const lane = { name: 'r', extent: isOne ? 1 : 4 * weights.vectors };
    const [x, r] = [at(b, tap), at(b, lane)];
    const index = b.alu(
      'add',
      'i32',
      b.alu('mul', 'i32', x, b.int(kernel.strides[2])),
      b.alu('mul', 'i32', r, b.int(rhs.outer)),
    );
    const guards: Expression[] = [];
    if (tap.extent > kernel.size[2]) guards.push(b.alu('lt', 'bool', x, b.int(kernel.size[2])));
    if (lane.extent > rows) guards.push(b.alu('lt', 'bool', r, b.int(rows)));
    if (isRagged) {
      const channel = b.alu('add', 'i32', b.alu('mul', 'i32', indexOf('o'), b.int(rows)), r);
      guards.push(b.alu('lt', 'bool', channel, b.int(outChannels)));
    }
    return {
      space: [tap, lane],
      index: b.alu('add', 'i32', index, b.int(kernel.offset)),
      guard: guards.length > 0 ? guards.reduce((all, guard) => b.alu('and', 'bool', all, guard)) : undefined,
    };
  };
  const outer = isRagged ? dimensions : mergedDimensions(dimensions);
  return written('weights', rhs, 1, scratch, outer, makeInner, undefined, features);
}
