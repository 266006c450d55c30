/**
 * Convolutions with few output positions and a long sum: the gradients of weights, above all. There the batch has become
 * the channels and the output the kernel, so that thousands of kernel positions meet a handful of output positions.
 *
 *     sums (rows, outChannels) = pixels (rows, k) x weights (k, outChannels)
 *     rows = (batch, output position)       k = (channel, kernel position)
 *
 * A step is one channel and a few rows of kernel positions. Its pixels stay where they are, or are copied with padding;
 * the micro-kernel finds them through two tables of offsets, one for rows and one for k. Its weights are packed into
 * panels of output channels as they are used. Sums lie transposed, (rows, outChannels), in the workspace.
 *
 * The steps are cut into a fixed number of chunks, each with its own sums, so that there are enough units; a second stage
 * adds the chunks in order, turns the sums into (batch, outChannels, position), and runs the epilogue.
 */
import { type ConvAnchor, ceilDiv, range, roundUp } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { planReduce, type ReducePlan } from './conv-reduce-plan.ts';
import { ReduceStage } from './conv-reduce-stage.ts';
import { addScaled, emitBlockSize, emitOffsets } from './emit.ts';
import { assemble, emitFinish, finishCost, sumsFitResult, workspaceSlot } from './finish.ts';
import { packSlack } from './pack.ts';
import { emitRepair, emitSee, meetsPadding } from './padding.ts';
import { cyclesPerNanosecond } from './units.ts';

/** Output channels that one unit of the second stage finishes. */
const finishChannels = 32;

/** Cycles of this routine, to compare it with others. */
export function reduceCycles(anchor: ConvAnchor): number {
  const plan = planReduce(anchor);
  const elements = anchor.batch * anchor.groups * anchor.outChannels * plan.geometry.points;
  return (plan.time + elements * finishTime(plan)) * cyclesPerNanosecond;
}

/** Nanoseconds to add up and turn one element. */
const finishTime = (plan: ReducePlan): number => plan.chunks * 0.6 + 1;

export function reduceProgram(anchor: ConvAnchor): WasmProgram {
  const plan = planReduce(anchor);
  const { geometry, tile, relayout, chunks } = plan;
  const { batch, groups, outChannels } = anchor;
  const { points, x } = geometry;
  const blocks = ceilDiv(batch, plan.batch) * ceilDiv(outChannels, plan.outChannels);
  const units = chunks * groups * blocks;
  const width = tile.vectors * 4;
  const rowTable = roundUp(plan.batch * points * 4, 64);
  const kTable = roundUp(plan.kernelRows * x.kernelSize * 4, 64);
  const panel = roundUp((plan.kernelRows * x.kernelSize + 8) * width * 4 + packSlack, 64);
  const pixels = relayout ? plan.batch * geometry.z.outSize * relayout.planeBytes + packSlack : 0;
  const multiply: Stage = {
    units,
    grain: 1,
    cost: plan.time / units,
    emit: (fn, module) => new ReduceStage(fn, module, anchor, plan, { rowTable, kTable, panel }).emit(),
  };
  const channels = Math.min(outChannels, finishChannels);
  const finish: Stage = {
    units: batch * groups * ceilDiv(outChannels, channels),
    grain: 1,
    cost: channels * points * (finishTime(plan) + finishCost(anchor)),
    emit: (fn, module) => emitFinishStage(fn, module, anchor, plan, channels),
  };
  const variant =
    `few positions; tile ${tile.rows}x${width}, ${plan.kernelRows} kernel rows, ${chunks} chunks, ` +
    `blocks ${plan.batch}x${plan.outChannels}${relayout ? ', pixels copied' : ''}`;
  return assemble(
    anchor,
    [multiply, finish],
    {
      scratch: Math.max(rowTable + kTable + panel + pixels, channels * points * 4 + 64),
      workspace: chunks * groups * batch * points * roundUp(outChannels, 4) * 4 + 64,
    },
    variant,
  );
}

/** result[b, g, o, point] = epilogue(sum over chunks of sums[chunk, g, b, point, o]); a unit is a run of channels. */
function emitFinishStage(
  fn: FunctionBuilder,
  module: ModuleBuilder,
  anchor: ConvAnchor,
  plan: ReducePlan,
  channels: number,
): void {
  const { batch, groups, outChannels } = anchor;
  const { points } = plan.geometry;
  const [begin, end, args, scratch] = fn.params as readonly [Local, Local, Local, Local];
  const [flat, image, group, channel, count] = range(5).map(() => fn.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [source, at, from, to, target] = range(5).map(() => fn.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const [first, length, o, point, chunk] = range(5).map(() => fn.local('i32')) as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const padded = meetsPadding(plan.geometry);
  const [sum, seen] = [fn.local('f32'), fn.local('i32')];
  const row = roundUp(outChannels, 4);
  fn.loopRange(begin, begin, end, 1, () => {
    fn.get(begin).set(flat);
    for (const local of [image, group, channel]) fn.i32(0).set(local);
    emitOffsets(
      fn,
      flat,
      [batch, groups, ceilDiv(outChannels, channels)],
      [
        { target: image, strides: [1, 0, 0] },
        { target: group, strides: [0, 1, 0] },
        { target: channel, strides: [0, 0, channels] },
      ],
    );
    emitBlockSize(fn, count, channel, channels, outChannels);
    fn.get(count).i32(points).op('i32.mul').set(length);
    fn.get(image)
      .i32(groups * outChannels * points)
      .op('i32.mul');
    addScaled(fn, group, outChannels * points);
    addScaled(fn, channel, points);
    fn.set(first);
    if (sumsFitResult(anchor))
      fn.get(args).load('i32.load', 8).get(first).i32(4).op('i32.mul').op('i32.add').set(target);
    else fn.get(scratch).set(target);
    fn.get(args).load('i32.load', workspaceSlot(anchor));
    addScaled(fn, group, batch * points * row * 4);
    addScaled(fn, image, points * row * 4);
    addScaled(fn, channel, 4);
    fn.set(source).get(target).set(to).i32(0).set(seen);
    fn.loopRange(o, 0, count, 1, () => {
      fn.get(source).set(at);
      fn.loopRange(point, 0, points, 1, () => {
        fn.get(at).tee(from).load('f32.load').set(sum);
        fn.loopRange(chunk, 1, plan.chunks, 1, () => {
          fn.get(from)
            .i32(groups * batch * points * row * 4)
            .op('i32.add')
            .tee(from)
            .load('f32.load');
          fn.get(sum).op('f32.add').set(sum);
        });
        fn.get(to).get(sum).store('f32.store');
        fn.get(to).i32(4).op('i32.add').set(to);
        fn.get(at)
          .i32(row * 4)
          .op('i32.add')
          .set(at);
      });
      fn.get(source).i32(4).op('i32.add').set(source);
      if (padded) emitSee(fn, sum, seen);
    });
    if (padded) {
      const results = { channel: points, y: 0, x: 1 };
      const layout = { of: anchor, width: points, row: 0, channel: points * 4, results };
      fn.get(seen).if();
      fn.get(args).get(target).get(first).get(count).i32(1).call(emitRepair(module, layout));
      fn.end();
    }
    emitFinish(fn, module, anchor, { args, source: target, begin: first, count: length });
  });
}
