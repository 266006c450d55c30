/** Adds up the partial sums of chunks of k, in the order of the chunks, so that the result never depends on threads. */
import type { FunctionBuilder, Local } from '../wasm/index.ts';
import { addConstant, addScaled } from './emit.ts';

/** target[0, count) = the sum over chunks of workspace[chunk, first + i], in the order of the chunks. */
export function emitSumChunks(
  fn: FunctionBuilder,
  at: {
    readonly args: Local;
    readonly target: Local;
    readonly first: Local;
    readonly count: Local;
    /** Where `args` holds the address of the workspace; bytes behind it to the first chunk. */
    readonly slot: number;
    readonly skip?: number;
    readonly chunks: number;
    readonly elements: number;
  },
): void {
  const [source, to, left, part] = [fn.local('i32'), fn.local('i32'), fn.local('i32'), fn.local('i32')];
  const chunk = fn.local('i32');
  const sum = fn.local('v128');
  const single = fn.local('f32');
  fn.get(at.args).load('i32.load', at.slot);
  addScaled(fn, at.first, 4);
  addConstant(fn, at.skip ?? 0);
  fn.set(source).get(at.target).set(to);
  fn.get(at.count).set(left);
  const run = (lanes: 4 | 1): void => {
    fn.get(left).i32(lanes).op('i32.ge_s').if();
    const again = fn.loop();
    fn.get(source).set(part);
    if (lanes === 4) fn.get(part).load('v128.load', 0, 4).set(sum);
    else fn.get(part).load('f32.load').set(single);
    fn.loopRange(chunk, 1, at.chunks, 1, () => {
      fn.get(part)
        .i32(at.elements * 4)
        .op('i32.add')
        .set(part);
      if (lanes === 4) fn.get(sum).get(part).load('v128.load', 0, 4).op('f32x4.add').set(sum);
      else fn.get(single).get(part).load('f32.load').op('f32.add').set(single);
    });
    if (lanes === 4) fn.get(to).get(sum).store('v128.store', 0, 4);
    else fn.get(to).get(single).store('f32.store');
    for (const local of [source, to])
      fn.get(local)
        .i32(lanes * 4)
        .op('i32.add')
        .set(local);
    fn.get(left).i32(lanes).op('i32.sub').tee(left).i32(lanes).op('i32.ge_s').brIf(again);
    fn.end().end();
  };
  run(4);
  run(1);
}
