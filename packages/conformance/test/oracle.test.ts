import type { Tensor } from '@tutti/core';
import {
  type DType,
  fromBfloat16Bits,
  fromFloat16Bits,
  roundToBfloat16,
  roundToFloat16,
  toFloat16Bits,
} from '@tutti/core/backend';
import { apply, constant, fromHost } from '@tutti/core/graph';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  erf,
  evaluate,
  evaluateAll,
  fromBits,
  power,
  roundEven,
  roundTo,
  threefry2x32,
} from '../src/oracle/index.ts';
import { useGraphOnlyDevice } from './device.ts';

beforeAll(useGraphOnlyDevice);

const f32 = (values: number[], shape = [values.length]): Tensor =>
  fromHost(Float32Array.from(values), shape, 'float32');
const i32 = (values: number[], shape = [values.length]): Tensor =>
  fromHost(Int32Array.from(values), shape, 'int32');
const u32 = (values: number[], shape = [values.length]): Tensor =>
  fromHost(Uint32Array.from(values), shape, 'uint32');
const u8 = (values: number[], shape = [values.length]): Tensor =>
  fromHost(Uint8Array.from(values), shape, 'uint8');
const values = (t: Tensor): number[] => [...evaluate(t).values];
const cast = (t: Tensor, dtype: DType): Tensor => apply('cast', [t], { dtype });

describe('16-bit floats', () => {
  it('read every pattern as core does', () => {
    for (let bits = 0; bits < 65536; bits++) {
      expect(Object.is(fromBits(bits, 'float16'), fromFloat16Bits(bits))).toBe(true);
      expect(Object.is(fromBits(bits, 'bfloat16'), fromBfloat16Bits(bits))).toBe(true);
    }
  });

  it('round as core does, around every value and every tie', () => {
    for (let bits = 0; bits < 0x7c00; bits += 7) {
      const here = fromBits(bits, 'float16');
      const next = fromBits(bits + 1, 'float16');
      const tie = (here + next) / 2;
      for (const x of [
        here,
        tie,
        Math.fround(tie * (1 + 2 ** -22)),
        Math.fround(tie * (1 - 2 ** -22)),
        -tie,
      ]) {
        if (!Number.isFinite(x)) continue;
        expect(roundTo(x, 'float16')).toBe(roundToFloat16(x));
        expect(roundTo(x, 'bfloat16')).toBe(roundToBfloat16(Math.fround(x)));
      }
    }
    expect([65519, 65520, -65520, Number.NaN].map((x) => roundTo(x, 'float16'))).toEqual([
      65504,
      Infinity,
      -Infinity,
      Number.NaN,
    ]);
    expect(Object.is(roundTo(-1e-30, 'float16'), -0)).toBe(true);
  });

  it('round to float32 as the machine does', () => {
    for (const x of [
      1 / 3,
      1e-40,
      -1e-45,
      3.4028235677973366e38,
      3.4028235e38,
      1 + 2 ** -24,
      1 + 3 * 2 ** -24,
      7e-46,
    ]) {
      expect(Object.is(roundTo(x, 'float32'), Math.fround(x))).toBe(true);
    }
  });
});

describe('scalar functions', () => {
  it('erf agrees with published values to the last digits', () => {
    const table = [
      [1e-10, 1.1283791670955126e-10],
      [0.5, 0.5204998778130465],
      [1, 0.8427007929497149],
      [2, 0.9953222650189527],
      [3, 0.9999779095030014],
      [3.5, 0.9999992569016276],
    ] as const;
    for (const [x, expected] of table) {
      expect(Math.abs(erf(x) / expected - 1)).toBeLessThan(2e-15);
      expect(erf(-x)).toBe(-erf(x));
    }
    expect([erf(Infinity), erf(-Infinity), erf(Number.NaN), erf(-0)]).toEqual([1, -1, Number.NaN, -0]);
  });

  it('roundEven sends ties to even and keeps the sign of zero', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, -2.6, -0.2, -0].map(roundEven)).toEqual([
      0, 2, 2, -0, -2, 2, -3, -0, -0,
    ]);
  });

  it('power follows C99', () => {
    expect([power(1, Number.NaN), power(Number.NaN, 0), power(-1, Infinity), power(-8, 1 / 3)]).toEqual([
      1,
      1,
      1,
      Number.NaN,
    ]);
  });

  it('Threefry-2x32-20 gives the known answers of Random123', () => {
    const hex = (words: readonly number[]) =>
      words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
    const ones = 0xffffffff;
    expect(hex(threefry2x32([0, 0], [0, 0]))).toBe('6b200159 99ba4efe');
    expect(hex(threefry2x32([ones, ones], [ones, ones]))).toBe('1cb996fc bb002be7');
    expect(hex(threefry2x32([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3]))).toBe('c4923a9c 483df7a0');
  });
});

describe('integers', () => {
  const extremes = [0, 1, -1, 2, 7, -7, 31, 33, 65535, 123456789, 2 ** 31 - 1, -(2 ** 31)];
  const exact: Record<string, (a: bigint, b: bigint) => bigint> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    idiv: (a, b) => (b === 0n ? 0n : a / b),
    rem: (a, b) => (b === 0n ? 0n : a % b),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << (b & 31n),
    shr: (a, b) => a >> (b & 31n),
  };
  const make = { int32: i32, uint32: u32, uint8: u8 } as const;
  const narrow = {
    int32: (v: bigint) => Number(BigInt.asIntN(32, v)),
    uint32: (v: bigint) => Number(BigInt.asUintN(32, v)),
    uint8: (v: bigint) => Number(BigInt.asUintN(8, v)),
  } as const;

  it.each(['int32', 'uint32', 'uint8'] as const)('%s wraps as the dtype does', (dtype) => {
    const stored = [...values(make[dtype](extremes))];
    for (const [op, f] of Object.entries(exact)) {
      for (const a of stored) {
        const got = values(apply(op as 'add', [make[dtype](stored.map(() => a)), make[dtype](stored)], {}));
        expect(got, `${op} ${a}`).toEqual(stored.map((b) => narrow[dtype](f(BigInt(a), BigInt(b)))));
      }
    }
  });

  it('products and sums of many wrap', () => {
    expect(values(apply('reduceProd', [i32([65537, 65537, 3])], { axes: [0] }))).toEqual([
      Number(BigInt.asIntN(32, 65537n * 65537n * 3n)),
    ]);
    expect(values(apply('reduceSum', [u32([2 ** 32 - 1, 2])], { axes: [0] }))).toEqual([1]);
  });

  it('casts truncate, saturate and send NaN to 0', () => {
    const x = f32([1.9, -1.9, 3e9, -3e9, Number.NaN, Infinity, 300, -1]);
    expect(values(cast(x, 'int32'))).toEqual([1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 2 ** 31 - 1, 300, -1]);
    expect(values(cast(x, 'uint8'))).toEqual([1, 0, 255, 0, 0, 255, 255, 0]);
    expect(values(cast(i32([-1, 257]), 'uint8'))).toEqual([255, 1]);
    expect(values(cast(i32([-1]), 'uint32'))).toEqual([2 ** 32 - 1]);
    expect(values(cast(x, 'bool'))).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(values(cast(i32([2 ** 24 + 1]), 'float32'))).toEqual([2 ** 24]);
  });
});

describe('the graph', () => {
  it('moves, pads and windows', () => {
    const x = f32([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(values(apply('permute', [x], { axes: [1, 0] }))).toEqual([1, 4, 2, 5, 3, 6]);
    expect(values(apply('slice', [x], { start: [0, 0], size: [2, 2], step: [1, 2] }))).toEqual([1, 3, 4, 6]);
    expect(values(apply('flip', [x], { axes: [1] }))).toEqual([3, 2, 1, 6, 5, 4]);
    expect(values(apply('pad', [f32([1, 2, 3])], { low: [-1], high: [2], interior: [1], value: 9 }))).toEqual(
      [9, 2, 9, 3, 9, 9],
    );
    const windows = apply('unfold', [f32([0, 1, 2, 3, 4])], { axis: 0, size: 2, step: 1, dilation: 2 });
    expect(windows.shape).toEqual([3, 2]);
    expect(values(windows)).toEqual([0, 2, 1, 3, 2, 4]);
  });

  it('reduces, with NaN winning and the first position kept', () => {
    const x = f32([1, Number.NaN, 3, 3, 5, 5, 2, Number.NaN], [2, 4]);
    expect(values(apply('reduceMax', [x], { axes: [1] }))).toEqual([Number.NaN, Number.NaN]);
    expect(values(apply('argMax', [x], { axis: 1 }))).toEqual([1, 3]);
    expect(values(apply('argMax', [f32([3, 5, 5])], { axis: 0 }))).toEqual([1]);
    expect(values(apply('reduceSum', [f32([], [0, 2])], { axes: [0] }))).toEqual([0, 0]);
  });

  it('gathers and scatters, dropping what is out of range', () => {
    expect(values(apply('gather', [f32([10, 20, 30]), i32([2, -1, 3, 0])], { axis: 0 }))).toEqual([
      30, 0, 0, 10,
    ]);
    const out = apply('scatter', [f32([1, 1, 1]), i32([0, 0, 5]), f32([2, 3, 4])], { axis: 0, mode: 'add' });
    expect(values(out)).toEqual([6, 1, 1]);
  });

  it('contracts', () => {
    const [a, b] = [f32([1, 2, 3, 4], [2, 2]), f32([5, 6, 7, 8], [2, 2])];
    expect(values(apply('dot', [a, b], {}))).toEqual([19, 22, 43, 50]);
    const convolved = apply('conv', [f32([1, 2, 3, 4], [1, 1, 4]), f32([1, 10], [1, 1, 2])], {
      stride: [1],
      padLow: [1],
      padHigh: [0],
      inputDilation: [1],
      kernelDilation: [1],
      groups: 1,
    });
    expect(values(convolved)).toEqual([10, 21, 32, 43]);
  });

  it('survives a chain deeper than the stack', () => {
    let x = constant(0, 'float32');
    const one = constant(1, 'float32');
    for (let i = 0; i < 50_000; i++) x = apply('add', [x, one], {});
    expect(values(x)).toEqual([50_000]);
  });

  it('takes the values of leaves that it is given', () => {
    const x = f32([1, 2]);
    const y = apply('mul', [x, x], {});
    expect([...evaluate(y, { leaves: new Map([[x.node, [3, 4]]]) }).values]).toEqual([9, 16]);
    expect(evaluateAll([x, y])).toHaveLength(2);
  });

  it('reads 16-bit leaves as bits', () => {
    const x = fromHost(Uint16Array.from([1.5, -2].map(toFloat16Bits)), [2], 'float16');
    expect(values(cast(x, 'float32'))).toEqual([1.5, -2]);
  });

  it('overflows where float32 does', () => {
    const big = f32([3e38]);
    expect(values(apply('add', [big, big], {}))).toEqual([Infinity]);
  });
});
