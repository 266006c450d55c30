/**
 * Loads and stores: between elements of a dtype in memory, and scalars or four lanes.
 *
 * Narrow dtypes widen to 32-bit lanes as they are loaded. Contiguous lanes are one wide access; a stride of two is two
 * accesses and a shuffle; anything else goes lane by lane, which loads straight into the lanes. An address is split into an
 * `Emit` and a constant offset, so that neighbouring accesses share the arithmetic.
 */
import { type DType, dtypeInfo, type ScalarType } from '@tutti/core/backend';
import type { LoadLaneOp, LoadOp, StoreLaneOp } from '../wasm/index.ts';
import type { Code, Emit } from './code.ts';
import { vectorMath } from './math/index.ts';
import { throughLane } from './scalar-alu.ts';

/** Where an access is: [address] + offset bytes, the offset not negative. */
export interface Spot {
  readonly address: Emit;
  readonly offset: number;
}

/** Adds bytes to a spot. A negative sum cannot be an immediate offset. */
export function moved(code: Code, spot: Spot, bytes: number): Spot {
  const offset = spot.offset + bytes;
  if (offset >= 0) return { address: spot.address, offset };
  return { address: code.op('i32.add', spot.address, code.i32(offset)), offset: 0 };
}

const scalarLoad: Readonly<Record<DType, LoadOp>> = {
  float32: 'f32.load',
  float16: 'i32.load16_u',
  bfloat16: 'i32.load16_u',
  int32: 'i32.load',
  uint32: 'i32.load',
  uint8: 'i32.load8_u',
  bool: 'i32.load8_u',
};

export function loadScalar(code: Code, dtype: DType, spot: Spot): Emit {
  const raw: Emit = () => {
    spot.address();
    code.fn.load(scalarLoad[dtype], spot.offset);
  };
  if (dtype === 'float16') return throughLane(code, 'fromFloat16', [raw], 'i32', 'f32');
  if (dtype === 'bfloat16') return code.op('f32.reinterpret_i32', code.op('i32.shl', raw, code.i32(16)));
  if (dtype === 'bool') return code.op('i32.ne', raw, code.i32(0));
  return raw;
}

export function storeScalar(code: Code, dtype: DType, spot: Spot, value: Emit): void {
  const { fn } = code;
  spot.address();
  if (dtype === 'float16' || dtype === 'bfloat16') {
    throughLane(code, dtype === 'float16' ? 'toFloat16' : 'toBfloat16', [value], 'f32', 'i32')();
    fn.store('i32.store16', spot.offset);
    return;
  }
  value();
  if (dtypeInfo[dtype].bytes === 1) fn.store('i32.store8', spot.offset);
  else fn.store(dtype === 'float32' ? 'f32.store' : 'i32.store', spot.offset);
}

/** From the dtype's bits in 32-bit lanes to its scalar type. */
function widen(code: Code, dtype: DType, bits: Emit): Emit {
  if (dtype === 'float16') return vectorMath(code, 'fromFloat16', bits);
  if (dtype === 'bfloat16') return vectorMath(code, 'fromBfloat16', bits);
  if (dtype === 'bool') return code.op('i32x4.ne', bits, code.i32x4(0));
  return bits;
}

/** The dtype's bits in 32-bit lanes. */
function narrow(code: Code, dtype: DType, value: Emit): Emit {
  if (dtype === 'float16') return vectorMath(code, 'toFloat16', value);
  if (dtype === 'bfloat16') return vectorMath(code, 'toBfloat16', value);
  if (dtype === 'bool') return code.op('v128.and', value, code.i32x4(1));
  return value;
}

/** Four elements that follow each other. May read up to 64 bytes behind the last element of the buffer. */
export function loadContiguous(code: Code, dtype: DType, spot: Spot): Emit {
  const { fn } = code;
  const { bytes } = dtypeInfo[dtype];
  return widen(code, dtype, () => {
    spot.address();
    if (bytes === 4) fn.load('v128.load', spot.offset, 4);
    else if (bytes === 2) fn.load('v128.load16x4_u', spot.offset, 2);
    else
      fn.load('v128.load32_zero', spot.offset, 1)
        .op('i16x8.extend_low_i8x16_u')
        .op('i32x4.extend_low_i16x8_u');
  });
}

/** Four elements, two apart, of four bytes: every second of eight that follow each other. */
function loadPairs(code: Code, spot: Spot): Emit {
  return () => {
    const address = code.keep(spot.address, 'i32');
    address();
    code.fn.load('v128.load', spot.offset, 4);
    address();
    code.fn.load('v128.load', spot.offset + 16, 4).shuffle32(0, 2, 4, 6);
  };
}

const loadLane: Readonly<Record<number, LoadLaneOp>> = {
  1: 'v128.load8_lane',
  2: 'v128.load16_lane',
  4: 'v128.load32_lane',
};
const storeLane: Readonly<Record<number, StoreLaneOp>> = {
  1: 'v128.store8_lane',
  2: 'v128.store16_lane',
  4: 'v128.store32_lane',
};

/** One element for each lane, from four spots. Lanes whose `only` is false stay zero and are not read. */
export function loadLanes(
  code: Code,
  dtype: DType,
  spots: readonly Spot[],
  only?: (lane: number) => Emit,
): Emit {
  const { fn } = code;
  const { bytes } = dtypeInfo[dtype];
  return widen(code, dtype, () => {
    const bits = fn.local('v128');
    fn.i32x4(0).set(bits);
    for (const [lane, spot] of spots.entries()) {
      if (only) {
        only(lane)();
        fn.if();
      }
      spot.address();
      fn.get(bits)
        .loadLane(loadLane[bytes]!, lane * (4 / bytes), spot.offset)
        .set(bits);
      if (only) fn.end();
    }
    fn.get(bits);
  });
}

/** Four elements `step` bytes apart from `spot` on. */
export function loadStrided(code: Code, dtype: DType, spot: Spot, step: number): Emit {
  const { bytes } = dtypeInfo[dtype];
  if (step === bytes) return loadContiguous(code, dtype, spot);
  if (bytes === 4 && step === 8) return loadPairs(code, spot);
  if (bytes === 4 && step === -4) {
    const load = loadContiguous(code, dtype, moved(code, spot, -12));
    return () => {
      const v = code.keep(load);
      v();
      v();
      code.fn.shuffle32(3, 2, 1, 0);
    };
  }
  return () => {
    const address = code.keep(spot.address, 'i32');
    const spots = [0, 1, 2, 3].map((lane) => moved(code, { address, offset: spot.offset }, lane * step));
    loadLanes(code, dtype, spots)();
  };
}

/** Four elements that follow each other; nothing else is written. */
export function storeContiguous(code: Code, dtype: DType, spot: Spot, value: Emit): void {
  const { fn } = code;
  const { bytes } = dtypeInfo[dtype];
  spot.address();
  if (bytes === 4) {
    value();
    fn.store('v128.store', spot.offset, 4);
    return;
  }
  const bits = dtype === 'uint8' ? code.op('v128.and', value, code.i32x4(0xff)) : narrow(code, dtype, value);
  const packed = code.keep(() => {
    bits();
    // The second operand of `narrow` fills the upper half, which is not stored.
    fn.i32x4(0).op('i16x8.narrow_i32x4_u');
    if (bytes === 1) fn.i32x4(0).op('i8x16.narrow_i16x8_u');
  });
  packed();
  if (bytes === 2) fn.storeLane('v128.store64_lane', 0, spot.offset);
  else fn.storeLane('v128.store32_lane', 0, spot.offset);
}

/** Each lane to its own spot; lanes whose `only` is false are skipped. `value` is a cheap `Emit`. */
export function storeLanes(
  code: Code,
  dtype: DType,
  spots: readonly Spot[],
  value: Emit,
  only?: (lane: number) => Emit,
): void {
  const { fn } = code;
  const { bytes } = dtypeInfo[dtype];
  const bits = code.keep(narrow(code, dtype, value));
  for (const [lane, spot] of spots.entries()) {
    if (only) {
      only(lane)();
      fn.if();
    }
    spot.address();
    bits();
    fn.storeLane(storeLane[bytes]!, lane * (4 / bytes), spot.offset);
    if (only) fn.end();
  }
}

export const scalarTypeOf = (dtype: DType): ScalarType => dtypeInfo[dtype].scalar;
