/** 16-bit floats on the host. */
import { expect, it } from 'vitest';
import { fromBfloat16Bits, fromFloat16Bits, widenBfloat16, widenFloat16 } from '../src/backend/index.ts';

const all = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);

it.each([
  ['float16', widenFloat16, fromFloat16Bits],
  ['bfloat16', widenBfloat16, fromBfloat16Bits],
] as const)('every %s is widened among many as it is alone', (_, widen, one) => {
  const values = widen(all);
  const wrong = [...all].filter((bits) => !Object.is(values[bits], one(bits)));
  expect(values).toHaveLength(2 ** 16);
  expect(wrong).toEqual([]);
});
