/** Where what a kernel made differs from what the interpreter did. */
import type { Kernel } from '@tutti/core/backend';
import { type BufferContents, readElement } from '@tutti/core/testing';

/** The first element that differs. NaNs are equal. */
export function difference(
  kernel: Pick<Kernel, 'buffers'>,
  got: readonly BufferContents[],
  want: readonly BufferContents[],
  zeros: 'alike' | 'signed' = 'alike',
): string | undefined {
  for (const [i, { dtype, length }] of kernel.buffers.entries()) {
    for (let k = 0; k < length; k++) {
      const [a, b] = [readElement(dtype, got[i]!, k), readElement(dtype, want[i]!, k)];
      if (!sameValue(a, b, zeros)) return `b${i}[${k}] is ${a}, not ${b}`;
    }
  }
  return undefined;
}

/** Below this, devices may take a float for zero. */
const leastNormal = 2 ** -126;

/** Which of two zeros max and min give is open, and with it the sign of many others. */
function sameValue(got: number, want: number, zeros: 'alike' | 'signed'): boolean {
  if (Object.is(got, want)) return true;
  if (want !== 0 || zeros === 'alike')
    return got === want || (Math.abs(got) < leastNormal && Math.abs(want) < leastNormal);
  return false;
}
