/** Small pieces of address arithmetic that all routines emit. Addresses and counts are i32; sizes are in bytes. */
import type { FunctionBuilder, Local, ValueType } from '../wasm/index.ts';

export const signatureOf = (params: number): { params: ValueType[]; results: ValueType[] } => ({
  params: new Array<ValueType>(params).fill('i32'),
  results: [],
});

/** [x] -> [x + local * factor]. */
export function addScaled(fn: FunctionBuilder, local: Local, factor: number): void {
  if (factor === 0) return;
  fn.get(local);
  if (factor !== 1) fn.i32(factor).op('i32.mul');
  fn.op('i32.add');
}

/** [x] -> [x + constant]. */
export function addConstant(fn: FunctionBuilder, constant: number): void {
  if (constant !== 0) fn.i32(constant).op('i32.add');
}

/** target = min(step, total - start): the size of a block that may be the last. */
export function emitBlockSize(
  fn: FunctionBuilder,
  target: Local,
  start: Local,
  step: number,
  total: number,
): void {
  if (total % step === 0) {
    fn.i32(step).set(target);
    return;
  }
  fn.i32(total).get(start).op('i32.sub').tee(target);
  fn.i32(step).get(target).i32(step).op('i32.lt_s').op('select').set(target);
}

/**
 * Splits `flat` into coordinates of `extents` (outermost first) and adds, to each of `sums`, coordinate times stride.
 * `flat` is used up.
 */
export function emitOffsets(
  fn: FunctionBuilder,
  flat: Local,
  extents: readonly number[],
  sums: readonly { readonly target: Local; readonly strides: readonly number[] }[],
): void {
  const coordinate = fn.local('i32');
  for (let d = extents.length - 1; d >= 0; d--) {
    const extent = extents[d]!;
    if (extent === 1) continue;
    if (d === 0) fn.get(flat).set(coordinate);
    else {
      fn.get(flat).i32(extent).op('i32.rem_u').set(coordinate);
      fn.get(flat).i32(extent).op('i32.div_u').set(flat);
    }
    for (const { target, strides } of sums) {
      if (strides[d] === 0) continue;
      fn.get(target);
      addScaled(fn, coordinate, strides[d]!);
      fn.set(target);
    }
  }
}

/** [] -> []: local += constant. */
export function advance(fn: FunctionBuilder, local: Local, by: number): void {
  if (by !== 0) fn.get(local).i32(by).op('i32.add').set(local);
}

/** Stores the first `lanes` lanes of a vector, and touches nothing behind them. */
export function emitStoreLanes(
  fn: FunctionBuilder,
  address: Local,
  vector: Local,
  lanes: number,
  offset = 0,
): void {
  if (lanes === 4) {
    fn.get(address).get(vector).store('v128.store', offset, 4);
    return;
  }
  if (lanes >= 2) fn.get(address).get(vector).storeLane('v128.store64_lane', 0, offset);
  if (lanes % 2 === 1) {
    fn.get(address)
      .get(vector)
      .storeLane('v128.store32_lane', lanes - 1, offset + (lanes - 1) * 4);
  }
}
