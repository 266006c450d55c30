/** How results of a device are judged. */
import type { Kernel } from '../../backend/index.ts';
import { type BufferContents, readElement } from '../interpret.ts';

/** Below this, devices may take a float for zero. */
const leastNormal = 2 ** -126;

/**
 * - `alike`: which of two zeros max and min give is open, and with it the sign of many others
 * - `signed`: a zero has its sign, where it is not what became of a denormal float
 * - `exact`: denormal floats count as others
 */
export type Zeros = 'alike' | 'signed' | 'exact';

function sameValue(got: number, want: number, zeros: Zeros): boolean {
  if (Object.is(got, want)) return true;
  if (zeros === 'exact') return false;
  if (want !== 0 || zeros === 'alike')
    return got === want || (Math.abs(got) < leastNormal && Math.abs(want) < leastNormal);
  return false;
}

/** An element that is not as it should be. */
export interface Difference {
  readonly buffer: number;
  readonly index: number;
  readonly got: number;
  readonly want: number;
}

/** The first element that differs, of all buffers of a kernel or an anchor. NaNs are equal. */
export function findDifference(
  { buffers }: Pick<Kernel, 'buffers'>,
  got: readonly BufferContents[],
  want: readonly BufferContents[],
  zeros: Zeros = 'alike',
): Difference | undefined {
  for (const [buffer, { dtype, length }] of buffers.entries()) {
    for (let index = 0; index < length; index++) {
      const [a, b] = [readElement(dtype, got[buffer]!, index), readElement(dtype, want[buffer]!, index)];
      if (!sameValue(a, b, zeros)) return { buffer, index, got: a, want: b };
    }
  }
  return undefined;
}

/** A number as text that tells -0 from 0. */
export const shown = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** As `findDifference`, in words. */
export function difference(
  kernel: Pick<Kernel, 'buffers'>,
  got: readonly BufferContents[],
  want: readonly BufferContents[],
  zeros: Zeros = 'alike',
): string | undefined {
  const found = findDifference(kernel, got, want, zeros);
  return found && `b${found.buffer}[${found.index}] is ${shown(found.got)}, not ${shown(found.want)}`;
}

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);
const largest = 2 ** 128 - 2 ** 104;

/**
 * Distance from the exact value in units of the last place of its f32 neighbour. Infinities and NaN must be met exactly; one ULP
 * short of overflow is one ULP, not infinitely many.
 *
 * @param least Below this a float may be taken for zero, of either sign. 0: denormals count, and so does the sign.
 */
export function ulps(got: number, exact: number, least = 0): number {
  if (Number.isNaN(exact)) return Number.isNaN(got) ? 0 : Number.POSITIVE_INFINITY;
  const nearest = Math.fround(exact);
  if (Math.abs(nearest) < least && Math.abs(got) < least) return 0;
  if (!Number.isFinite(nearest) || !Number.isFinite(got)) {
    if (nearest === got) return 0;
    const short = Math.min(Math.abs(got), Math.abs(nearest)) === largest;
    return short && Math.sign(got) === Math.sign(nearest) ? 1 : Number.POSITIVE_INFINITY;
  }
  if (nearest === 0 && got === 0) return Object.is(nearest, got) ? 0 : Number.POSITIVE_INFINITY;
  floats[0] = nearest;
  const exponent = Math.max((bits[0]! >>> 23) & 0xff, 1) - 150;
  return Math.abs(got - exact) / 2 ** exponent;
}
