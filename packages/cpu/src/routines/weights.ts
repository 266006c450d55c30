/**
 * Packs convolution weights for the micro-kernel, once for each run of a program.
 *
 *     target (group, tile of output channels, k, channel in the tile)       k = (input channel, tap z, y, x)
 *
 * Channels that do not exist stay unwritten: their rows are never computed. A unit is one tile.
 */
import { type ConvAnchor, ceilDiv } from '@tutti/core/backend';
import type { FunctionBuilder, Local, ModuleBuilder } from '../wasm/index.ts';
import { addConstant, addScaled, signatureOf } from './emit.ts';
import { workspaceSlot } from './finish.ts';
import type { Geometry } from './geometry.ts';

export function emitPackWeights(
  fn: FunctionBuilder,
  module: ModuleBuilder,
  anchor: ConvAnchor,
  geometry: Geometry,
  rows: number,
): void {
  const [begin, end, args] = fn.params as readonly [Local, Local, Local];
  const { outChannels, inChannels, rhs } = anchor;
  const tiles = ceilDiv(outChannels, rows);
  const [tile, source, target] = [fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const edge = outChannels % rows;
  fn.loopRange(begin, begin, end, 1, () => {
    fn.get(begin).i32(tiles).op('i32.rem_u').set(tile);
    fn.get(args).load('i32.load', 4);
    addConstant(fn, rhs.offset * 4);
    addScaled(fn, tile, rows * rhs.outer * 4);
    fn.get(begin)
      .i32(tiles)
      .op('i32.div_u')
      .i32(outChannels * rhs.outer * 4)
      .op('i32.mul')
      .op('i32.add')
      .set(source);
    fn.get(args).load('i32.load', workspaceSlot(anchor));
    addScaled(fn, begin, rows * inChannels * geometry.taps * 4);
    fn.set(target);
    const pack = (count: number): void => {
      fn.get(source)
        .get(target)
        .call(emitPackTile(module, anchor, geometry, rows, count));
    };
    if (edge === 0) pack(rows);
    else {
      fn.get(tile)
        .i32(tiles - 1)
        .op('i32.eq')
        .if();
      pack(edge);
      fn.else();
      pack(rows);
      fn.end();
    }
  });
}

function emitPackTile(
  module: ModuleBuilder,
  anchor: ConvAnchor,
  { z, y, x }: Geometry,
  rows: number,
  count: number,
): number {
  const { inner, outer } = anchor.rhs;
  const shape = [
    anchor.inChannels,
    inner,
    outer,
    z.kernelSize,
    z.rhs,
    y.kernelSize,
    y.rhs,
    x.kernelSize,
    x.rhs,
  ];
  return module.helper(`pack weights ${shape.join(' ')} ${rows} ${count}`, signatureOf(2), (fn) => {
    const [source, target] = fn.params as readonly [Local, Local];
    const axes = [
      { size: anchor.inChannels, stride: inner },
      { size: z.kernelSize, stride: z.rhs },
      { size: y.kernelSize, stride: y.rhs },
      { size: x.kernelSize, stride: x.rhs },
    ];
    const level = (depth: number, from: Local): void => {
      const axis = axes[depth];
      if (!axis) {
        for (let r = 0; r < count; r++) {
          fn.get(target)
            .get(from)
            .load('i32.load', r * outer * 4)
            .store('i32.store', r * 4);
        }
        fn.get(target)
          .i32(rows * 4)
          .op('i32.add')
          .set(target);
        return;
      }
      if (axis.size === 1) {
        level(depth + 1, from);
        return;
      }
      const [at, i] = [fn.local('i32'), fn.local('i32')];
      fn.get(from).set(at);
      fn.loopRange(i, 0, axis.size, 1, () => {
        level(depth + 1, at);
        fn.get(at)
          .i32(axis.stride * 4)
          .op('i32.add')
          .set(at);
      });
    };
    level(0, source);
  });
}
