/** Routines on 16-bit operands compute what they compute on the same values in float32, to the bit. */
import { type ContractionAnchor, fromBfloat16Bits, fromFloat16Bits } from '@tutti/core/backend';
import { convAnchor, dotAnchor, generator } from '@tutti/core/testing';
import { describe, expect, it } from 'vitest';
import { routine } from '../src/routines/index.ts';
import { bytesOf, executeAllWays } from './routines-harness.ts';

const dtypes = ['float16', 'bfloat16', 'float32'] as const;
const decode = { float16: fromFloat16Bits, bfloat16: fromBfloat16Bits };

function verify(anchor: ContractionAnchor, special: boolean): void {
  const random = generator(3);
  const operands = [0, 1].map((slot) => {
    const { dtype, length } = anchor.buffers[slot]!;
    const bits = Uint16Array.from({ length }, () => {
      if (special) return Math.floor(random() * 65536);
      // Between 2^-4 and 2 in size, either sign.
      const exponent =
        dtype === 'float16' ? (11 + Math.floor(random() * 5)) << 10 : (123 + Math.floor(random() * 5)) << 7;
      return exponent | Math.floor(random() * 128) | (random() < 0.5 ? 0x8000 : 0);
    });
    const halves = dtype === 'float16' || dtype === 'bfloat16';
    const values = Float32Array.from(bits, halves ? decode[dtype] : fromBfloat16Bits);
    return { values: bytesOf(values), bytes: halves ? new Uint8Array(bits.buffer) : bytesOf(values) };
  });
  const out = new Uint8Array(anchor.buffers[2]!.length * 4);
  const got = executeAllWays(routine(anchor)!, [operands[0]!.bytes, operands[1]!.bytes, out]);
  const wide = {
    ...anchor,
    lhs: { ...anchor.lhs, dtype: 'float32' },
    rhs: { ...anchor.rhs, dtype: 'float32' },
    buffers: anchor.buffers.map((b) => ({ ...b, dtype: 'float32' })),
  } as ContractionAnchor;
  const want = executeAllWays(routine(wide)!, [operands[0]!.values, operands[1]!.values, out]);
  const [x, y] = [got, want].map((bytes) => Float32Array.from(new Float32Array(bytes.slice().buffer)));
  expect(x).toEqual(y);
}

describe.each(dtypes.flatMap((a) => dtypes.map((b) => [a, b] as const)))('%s by %s', (a, b) => {
  it('multiplies', () => {
    for (const [m, n, k, special] of [
      [33, 20, 17, false],
      [1, 70, 130, false],
      [4, 3, 9000, false],
      [3, 2, 1, true],
    ] as const)
      verify(dotAnchor(m, n, k, { dtypes: [a, b, 'float32'], layouts: ['padded', 'rows'] }), special);
  });

  it('convolves', () => {
    const layer = {
      batch: 2,
      inChannels: 3,
      outChannels: 4,
      inSize: [9, 9],
      kernelSize: [3, 3],
      padLow: [1, 1],
    };
    verify(convAnchor({ ...layer, swapRhs: true, dtypes: [a, b, 'float32'] }), false);
  });
});
