/**
 * Padding adds no term to a sum, but routines multiply the zeros that `relayout` writes. With finite weights that is the
 * same; a weight that is infinite or NaN makes a NaN of zero.
 *
 * As routines compute it, every sum of an output channel has a product with every weight of the channel. So one such weight
 * leaves no finite sum, and one sum of each channel tells whether to look at the others. Those that are NaN are computed
 * once more, term by term, without the terms that lie in padding or between the elements of a dilated input.
 */
import type { ConvAnchor } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, advance, emitOffsets, signatureOf } from './emit.ts';
import { type Axis, type Geometry, geometryOf } from './geometry.ts';
import { emitInside } from './relayout.ts';

/** True where a kernel position may meet padding, or a place between the elements of a dilated input. */
export const meetsPadding = ({ z, y, x }: Geometry): boolean =>
  [z, y, x].some((axis) => {
    const last = (axis.outSize - 1) * axis.stride + (axis.kernelSize - 1) * axis.kernelDilation - axis.padLow;
    return axis.padLow > 0 || axis.inputDilation > 1 || last >= axis.inSize;
  });

/** [] -> []: sets bits of `seen` (an i32) where the float `sum` is not finite. */
export function emitSee(fn: FunctionBuilder, sum: Local, seen: Local): void {
  fn.get(sum).get(sum).op('f32.sub').op('i32.reinterpret_f32').get(seen).op('i32.or').set(seen);
}

/** Where a block of sums lies, and which results they are. */
export interface SumsLayout {
  /** The convolution whose results they are. */
  readonly of: ConvAnchor;
  /** Sums in a row. */
  readonly width: number;
  /** Bytes from one row to the next, and from one channel to the next. */
  readonly row: number;
  readonly channel: number;
  /** Elements from one result to the next. */
  readonly results: { readonly channel: number; readonly y: number; readonly x: number };
}

/**
 * A function (args, sums, first, channels, rows): computes those of a block's sums once more that are NaN. `first` is the
 * flat index of the first result.
 */
export function emitRepair(module: ModuleBuilder, layout: SumsLayout): number {
  const { of, width, results } = layout;
  const exact = emitExactSums(module, of);
  const key = [width, layout.row, layout.channel, results.channel, results.y, results.x, exact].join(' ');
  return module.helper(`repair ${key}`, signatureOf(5), (fn) => {
    const [args, sums, first, channels, rows] = fn.params as readonly [Local, Local, Local, Local, Local];
    const [channel, row, at, index] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
    fn.loopRange(channel, 0, channels, 1, () => {
      fn.get(sums).set(at).get(first).set(index);
      fn.loopRange(row, 0, rows, 1, () => {
        fn.get(args).get(at).get(index).i32(width).i32(results.x).call(exact);
        advance(fn, at, layout.row);
        advance(fn, index, results.y);
      });
      advance(fn, sums, layout.channel);
      advance(fn, first, results.channel);
    });
  });
}

/**
 * A function (args, target, first, count, step): computes those of `count` neighbouring sums at `target` once more that are
 * NaN. They belong to the results `first`, `first` + `step`, ..
 */
function emitExactSums(module: ModuleBuilder, anchor: ConvAnchor): number {
  const geometry = geometryOf(anchor);
  const { batch, groups, inChannels, outChannels, lhs, rhs } = anchor;
  const key = JSON.stringify([geometry, batch, groups, inChannels, outChannels, lhs, rhs]);
  return module.helper(`exact sums ${key}`, signatureOf(5), (fn) => {
    const [args, target, first, count, step] = fn.params as readonly [Local, Local, Local, Local, Local];
    const [i, sum] = [fn.local('i32'), fn.local('f32')];
    fn.loopRange(i, 0, count, 1, () => {
      fn.get(target).load('f32.load').tee(sum).get(sum).op('f32.ne').if();
      fn.get(target);
      emitSum(fn, anchor, geometry, args, first);
      fn.store('f32.store').end();
      advance(fn, target, 4);
      fn.get(first).get(step).op('i32.add').set(first);
    });
  });
}

/** [] -> [the sum of result `index`]: in f64, of the terms that exist. */
function emitSum(
  fn: FunctionBuilder,
  anchor: ConvAnchor,
  { z, y, x }: Geometry,
  args: Local,
  index: Local,
): void {
  const { batch, groups, inChannels, outChannels, lhs, rhs } = anchor;
  const [flat, source, weights] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const places = [z, y, x].map((axis) => ({ axis, low: fn.local('i32') }));
  fn.get(args).load('i32.load', 0);
  addConstant(fn, lhs.offset * 4);
  fn.set(source).get(args).load('i32.load', 4);
  addConstant(fn, rhs.offset * 4);
  fn.set(weights).get(index).set(flat);
  for (const { axis, low } of places) fn.i32(-axis.padLow).set(low);
  emitOffsets(
    fn,
    flat,
    [batch, groups, outChannels, z.outSize, y.outSize, x.outSize],
    [
      { target: source, strides: [lhs.outer * 4, inChannels * lhs.inner * 4, 0, 0, 0, 0] },
      { target: weights, strides: [0, outChannels * rhs.outer * 4, rhs.outer * 4, 0, 0, 0] },
      ...places.map(({ axis, low }, d) => ({
        target: low,
        strides: [0, 0, 0, ...places.map((_, other) => (other === d ? axis.stride : 0))],
      })),
    ],
  );
  const [channel, sum] = [fn.local('i32'), fn.local('f64')];
  fn.f64(0).set(sum);
  // A sum that is NaN stays so: there is nothing more to learn.
  const done = fn.block();
  fn.loopRange(channel, 0, inChannels, 1, () => {
    emitTaps(fn, places, source, weights, (pixel, weight) => {
      fn.get(pixel).load('f32.load').op('f64.promote_f32');
      fn.get(weight).load('f32.load').op('f64.promote_f32').op('f64.mul');
      fn.get(sum).op('f64.add').tee(sum).get(sum).op('f64.ne').brIf(done);
    });
    advance(fn, source, lhs.inner * 4);
    advance(fn, weights, rhs.inner * 4);
  });
  fn.end().get(sum).op('f32.demote_f64');
}

/** Runs `body` with the addresses of both operands of every term of one channel, for output positions from `low` on. */
function emitTaps(
  fn: FunctionBuilder,
  places: readonly { readonly axis: Axis; readonly low: Local }[],
  source: Local,
  weights: Local,
  body: (pixel: Local, weight: Local) => void,
): void {
  const place = places[0];
  if (!place) {
    body(source, weights);
    return;
  }
  const { axis, low } = place;
  const [tap, q, at] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const [pixel, weight] = [fn.local('i32'), fn.local('i32')];
  fn.loopRange(tap, 0, axis.kernelSize, 1, () => {
    fn.get(low);
    addScaled(fn, tap, axis.kernelDilation);
    fn.set(q);
    emitInside(fn, q, axis, at);
    fn.if();
    fn.get(source);
    addScaled(fn, at, axis.lhs * 4);
    fn.set(pixel).get(weights);
    addScaled(fn, tap, axis.rhs * 4);
    fn.set(weight);
    emitTaps(fn, places.slice(1), pixel, weight, body);
    fn.end();
  });
}
