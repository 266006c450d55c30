/**
 * Convolution as a matrix product that is never written out.
 *
 *     sums (outChannels, columns) = weights (outChannels, k) x pixels (k, columns)      k = (channel, tap z, y, x)
 *
 * Columns run through the rows of the output at the pitch of the input's rows, so that for every k the pixels of
 * neighbouring columns are neighbours in memory: the micro-kernel reads them in place, at an offset from a table with one
 * entry for each k. The few columns between the end of one row and the start of the next are computed for nothing and
 * dropped when rows are gathered into the result. Compared with packing patches this reads 48 KiB of pixels where the
 * patches of a 3x3 kernel would be 9 times as much, and writes nothing.
 *
 * A unit is (batch, z, group, block of output rows, block of output channels). Pixels come
 * - directly from the input where it needs no padding, has stride one, and its channels do not fall on the same sets of
 *   the cache;
 * - else from `relayout`: a block of channels at a time is copied to scratch with its padding, split into phases for
 *   strides above one, with zeros in between for input dilation.
 *
 * Weights are read in place where each output channel's k are neighbours (the forward pass), else packed in a first stage.
 * Sums go straight into the result where the pitch is the output's width (1x1 kernels, mostly).
 */
import { type ConvAnchor, ceilDiv, roundUp } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import { planForward, type ResultView, sumsRow } from './conv-forward-plan.ts';
import { ForwardStage } from './conv-forward-stage.ts';
import { assemble, finishCost } from './finish.ts';
import { geometryOf } from './geometry.ts';
import { cyclesPerNanosecond } from './units.ts';
import { emitPackWeights } from './weights.ts';

/** Most kernel positions whose offsets are written in line. */
const mostTaps = 2048;

/** Cycles of this routine, to compare it with others. */
export function forwardCycles(anchor: ConvAnchor): number {
  if (geometryOf(anchor).taps > mostTaps) return Number.POSITIVE_INFINITY;
  const plan = planForward(anchor);
  const packing = plan.packWeights
    ? anchor.groups * anchor.outChannels * anchor.inChannels * plan.geometry.taps * 0.5
    : 0;
  return (plan.time + packing) * cyclesPerNanosecond;
}

export function forwardProgram(anchor: ConvAnchor): WasmProgram {
  const { stages, memory, variant } = forwardStages(anchor);
  return assemble(anchor, stages, memory, variant);
}

/** The stages of a convolution whose results go to `lattice`, or everywhere. */
export function forwardStages(
  anchor: ConvAnchor,
  lattice?: ResultView,
): { stages: readonly Stage[]; memory: { scratch: number; workspace: number }; variant: string } {
  const plan = planForward(anchor, lattice);
  const { geometry } = plan;
  const { batch, groups, outChannels, inChannels } = anchor;
  const blocks = ceilDiv(outChannels, plan.outChannels);
  const units = batch * geometry.z.outSize * groups * ceilDiv(geometry.y.outSize, plan.rows) * blocks;
  const elements = batch * groups * outChannels * geometry.points;
  const tableBytes = roundUp(plan.channels * geometry.taps * 4, 64);
  const pixelBytes = plan.relayout
    ? roundUp(plan.channels * geometry.z.kernelSize * plan.relayout.planeBytes + 256, 64)
    : 0;
  const sumsBytes = plan.inResult ? 0 : plan.outChannels * sumsRow(plan) * 4 + 64;
  const cost = (plan.time + elements * finishCost(anchor)) / units;
  const block: Stage = {
    units,
    // Small units go out several at a time.
    grain: Math.max(1, Math.min(Math.floor(10_000 / cost), ceilDiv(units, 32))),
    cost,
    emit: (fn, module) => new ForwardStage(fn, module, anchor, plan, { tableBytes, pixelBytes }).emit(),
  };
  const stages: Stage[] = [];
  let workspace = 0;
  if (plan.packWeights) {
    const rows = roundUp(outChannels, plan.tile.rows);
    workspace = groups * rows * inChannels * geometry.taps * 4 + 64;
    stages.push({
      units: groups * ceilDiv(outChannels, plan.tile.rows),
      grain: 1,
      cost: plan.tile.rows * inChannels * geometry.taps * 0.5,
      emit: (fn, module) => emitPackWeights(fn, module, anchor, geometry, plan.tile.rows),
    });
  }
  stages.push(block);
  const { tile, channels } = plan;
  const variant =
    `tile ${tile.rows}x${tile.vectors * 4}, rows ${plan.rows} at ${plan.pitch}, channels ${channels} to ${plan.outChannels}` +
    `${plan.relayout ? ', pixels copied' : ''}${plan.packWeights ? ', weights packed' : ''}`;
  return { stages, memory: { scratch: tableBytes + pixelBytes + sumsBytes, workspace }, variant };
}
