/**
 * Copies rows of input planes into scratch memory, padded with zeros and split into phases, so that the micro-kernel
 * reads every (output position, kernel position) at a constant distance, with no bounds to check.
 *
 *     target (plane, phase y, phase x, row, pitch)        plane = (channel, kernel position in z)
 *
 * Rows are written in ascending order by whole vectors; what runs over the end of one is overwritten by the next. Where
 * rows both begin and end with padding the two share it: the pitch is smaller than a row. A plane's size is an odd number
 * of cache lines, so that the same place in many planes falls into different sets of the cache.
 */
import { roundUp } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { advance, signatureOf } from './emit.ts';
import { type Axis, type AxisLayout, type PhaseRun, phaseRun } from './geometry.ts';

export interface Relayout {
  /** x and y axes of the planes; z only says which planes exist. */
  readonly y: Axis;
  readonly x: Axis;
  readonly z: Axis;
  readonly yLayout: AxisLayout;
  readonly xLayout: AxisLayout;
  /** Rows written per phase. */
  readonly rows: number;
  /** Elements between rows. */
  readonly pitch: number;
  readonly regionBytes: number;
  readonly planeBytes: number;
  /** Elements between channels of the input. */
  readonly channel: number;
  /** Planes per channel (kernel positions in z). */
  readonly zTaps: number;
}

export function planRelayout(
  axes: { readonly z: Axis; readonly y: Axis; readonly x: Axis },
  yLayout: AxisLayout,
  xLayout: AxisLayout,
  rows: number,
  channel: number,
  zTaps: number,
): Relayout {
  const runs = xLayout.phases.map((phase) => phaseRun(axes.x, xLayout, phase));
  const leading = Math.min(...runs.map((run) => run.first));
  const trailing = Math.min(
    ...runs.map((run) => xLayout.length - run.first - (run.count - 1) * run.step - 1),
  );
  const shared = runs.some((run) => run.count === 0) ? 0 : Math.min(leading, trailing);
  const pitch = xLayout.length - shared;
  const regionBytes = (rows * pitch + shared + 4) * 4;
  const lines = roundUp(regionBytes * yLayout.phases.length * xLayout.phases.length, 64) / 64;
  return {
    ...axes,
    yLayout,
    xLayout,
    rows,
    pitch,
    regionBytes,
    planeBytes: (lines | 1) * 64,
    channel,
    zTaps,
  };
}

/** Bytes from the start of a plane to where shifts (ty, tx) begin. */
export function shiftBytes(plan: Relayout, ty: number, tx: number): number {
  const y = plan.yLayout.shifts[ty]!;
  const x = plan.xLayout.shifts[tx]!;
  const region = y.phase * plan.xLayout.phases.length + x.phase;
  return region * plan.regionBytes + (y.index * plan.pitch + x.index) * 4;
}

/**
 * A function (source, target, channels, row, depth): `source` is the first channel's first element, `row` the index
 * (not the phase) of the first row wanted, `depth` the output position in z.
 */
export function emitRelayout(module: ModuleBuilder, plan: Relayout): number {
  return module.helper(`relayout ${JSON.stringify(plan)}`, signatureOf(5), (fn) => {
    const [source, target, channels, row, depth] = fn.params as readonly [Local, Local, Local, Local, Local];
    const [channel, tz, plane, pz, u] = [
      fn.local('i32'),
      fn.local('i32'),
      fn.local('i32'),
      fn.local('i32'),
      fn.local('i32'),
    ];
    const [q, from, to, exists] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
    const { y, z } = plan;
    fn.loopRange(channel, 0, channels, 1, () => {
      fn.loopRange(tz, 0, plan.zTaps, 1, () => {
        fn.get(depth).i32(z.stride).op('i32.mul').get(tz).i32(z.kernelDilation).op('i32.mul').op('i32.add');
        fn.i32(z.padLow).op('i32.sub').set(q);
        emitInside(fn, q, z, pz);
        fn.set(exists);
        fn.get(source)
          .get(pz)
          .i32(z.lhs * 4)
          .op('i32.mul')
          .op('i32.add')
          .set(plane);
        for (const [ry, phase] of plan.yLayout.phases.entries()) {
          const firstRegion = ry * plan.xLayout.phases.length;
          fn.get(target)
            .i32(firstRegion * plan.regionBytes)
            .op('i32.add')
            .set(to);
          fn.loopRange(u, 0, plan.rows, 1, () => {
            fn.get(row).get(u).op('i32.add').i32(plan.yLayout.step).op('i32.mul');
            fn.i32(phase - y.padLow)
              .op('i32.add')
              .set(q);
            emitInside(fn, q, y, from);
            fn.get(exists).op('i32.and').if();
            fn.get(from)
              .i32(y.lhs * 4)
              .op('i32.mul')
              .get(plane)
              .op('i32.add')
              .set(from);
            for (const [rx, xPhase] of plan.xLayout.phases.entries()) {
              emitRow(fn, plan, phaseRun(plan.x, plan.xLayout, xPhase), from, to, rx * plan.regionBytes);
            }
            fn.else();
            for (const rx of plan.xLayout.phases.keys()) emitZeros(fn, to, rx * plan.regionBytes, plan.pitch);
            fn.end();
            advance(fn, to, plan.pitch * 4);
          });
          const tail = plan.regionBytes / 4 - plan.rows * plan.pitch - 4;
          for (const rx of plan.xLayout.phases.keys()) emitZeros(fn, to, rx * plan.regionBytes, tail);
        }
        advance(fn, target, plan.planeBytes);
      });
      advance(fn, source, plan.channel * 4);
    });
  });
}

/** [] -> [1 where the padded position q holds an input index, which goes to `index`]. */
export function emitInside(fn: FunctionBuilder, q: Local, axis: Axis, index: Local): void {
  // Below zero the unsigned quotient is large, and fails the comparison as it should.
  fn.get(q);
  if (axis.inputDilation > 1) fn.i32(axis.inputDilation).op('i32.div_u');
  fn.tee(index).i32(axis.inSize).op('i32.lt_u');
  if (axis.inputDilation > 1) {
    fn.get(q).i32(axis.inputDilation).op('i32.rem_u').op('i32.eqz').op('i32.and');
    fn.get(q).i32(0).op('i32.ge_s').op('i32.and');
  }
}

/** Runs `body(offset)` for 0, 16, .. bytes of `elements` floats: in line when short, else in a loop. */
function emitVectors(
  fn: FunctionBuilder,
  elements: number,
  pointers: readonly Local[],
  body: (locals: readonly Local[], offset: number) => void,
): void {
  const vectors = Math.ceil(elements / 4);
  if (vectors <= 24) {
    for (let i = 0; i < vectors; i++) body(pointers, i * 16);
    return;
  }
  const moving = pointers.map((pointer) => {
    const local = fn.local('i32');
    fn.get(pointer).set(local);
    return local;
  });
  const left = fn.local('i32');
  fn.i32(vectors).set(left);
  const again = fn.loop();
  body(moving, 0);
  for (const local of moving) advance(fn, local, 16);
  fn.get(left).i32(1).op('i32.sub').tee(left).brIf(again);
  fn.end();
}

function emitZeros(fn: FunctionBuilder, to: Local, at: number, elements: number): void {
  if (elements <= 0) return;
  emitVectors(fn, elements, [to], ([target], offset) => {
    fn.get(target!)
      .f32x4(0)
      .store('v128.store', at + offset, 4);
  });
}

/** One row of one phase: zeros, input, zeros. */
function emitRow(
  fn: FunctionBuilder,
  plan: Relayout,
  run: PhaseRun,
  from: Local,
  to: Local,
  at: number,
): void {
  const hop = run.by * plan.x.lhs;
  const start = run.from * plan.x.lhs * 4;
  if (run.count > 0 && run.step === 1 && (hop === 1 || run.count === 1)) {
    emitZeros(fn, to, at, run.first);
    const target = at + run.first * 4;
    emitVectors(fn, run.count, [from, to], ([source, sink], offset) => {
      fn.get(sink!)
        .get(source!)
        .load('v128.load', start + offset, 4)
        .store('v128.store', target + offset, 4);
    });
    emitZeros(fn, to, target + run.count * 4, plan.pitch - run.first - run.count);
    return;
  }
  const last = run.first + (run.count - 1) * run.step;
  if (run.step > 1 || run.count === 0) emitZeros(fn, to, at, plan.pitch);
  else emitZeros(fn, to, at, run.first);
  if (run.count === 0) return;
  const [source, sink, left] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  fn.get(from).set(source).get(to).set(sink).i32(run.count).set(left);
  const again = fn.loop();
  fn.get(sink)
    .get(source)
    .load('i32.load', start)
    .store('i32.store', at + run.first * 4);
  advance(fn, source, hop * 4);
  advance(fn, sink, run.step * 4);
  fn.get(left).i32(1).op('i32.sub').tee(left).brIf(again);
  fn.end();
  if (run.step === 1) emitZeros(fn, to, at + (last + 1) * 4, plan.pitch - last - 1);
}
