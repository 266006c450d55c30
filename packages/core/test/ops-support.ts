import { expect } from 'vitest';
import { interpreterBackend } from '../src/testing/index.ts';
import { registerBackend, setDefaultDevice, type Tensor, tensor } from './all.ts';

/** A default device that computes with the reference interpreter. */
export async function useInterpreter(): Promise<void> {
  registerBackend(interpreterBackend());
  await setDefaultDevice('auto');
}

export const ints = (...values: number[]): Tensor => tensor(values, { dtype: 'int32' });

/** Reads a float tensor, with every value as a string that keeps NaN, Inf and -0 apart. */
export async function texts(x: Tensor): Promise<string[]> {
  return [...(await x.data())].map((value) => (Object.is(value, -0) ? '-0' : String(value)));
}

export async function near(x: Tensor, expected: readonly number[], digits = 6): Promise<void> {
  const data = [...(await x.data())];
  expect(data.length).toBe(expected.length);
  for (const [i, value] of data.entries()) expect(value, `element ${i}`).toBeCloseTo(expected[i]!, digits);
}
