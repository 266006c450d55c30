/** What a device is checked with, and how a check fails. */
import {
  type Backend,
  type Command,
  type DeviceBuffer,
  type DispatchCommand,
  InternalError,
  type Program,
  type TuttiError,
} from '../../backend/index.ts';

/** An open device, and programs that its tests have written by hand for it: over n elements of int32, where n is a multiple of 4. */
export interface CheckedDevice {
  readonly backend: Backend;
  /** `b[i] = a[i] * 3 + scalar`, wrapping; the more turns, the longer it takes. */
  readonly affine: (n: number, turns?: number) => Program;
  /** `a[i] += 1` */
  readonly increment: (n: number) => Program;
  /** `b[i] = a[n - 1 - i] + i`, by two stages with memory of the program's own between them. */
  readonly reversed: (n: number) => Program;
  /** `b[i]` takes the i-th of eight scalars, of the types f32, i32, u32, bool, f32, f32, i32 and bool, as it is in memory. */
  readonly storeScalars: () => Program;
}

/** Opens a device of its own; whoever gives this disposes of what it opened. */
export type OpenDevice = () => Promise<CheckedDevice>;

/**
 * One promise of the contract. A backend's tests run all of them, whatever else they do:
 *
 *     test.each(deviceChecks)('$name', ({ run }) => run(open));
 */
export interface DeviceCheck {
  readonly name: string;
  /** @throws InternalError that says what is wrong. */
  readonly run: (open: OpenDevice) => Promise<void>;
}

export const bytesOf = (values: ArrayLike<number>): Uint8Array =>
  new Uint8Array(Int32Array.from(values).buffer);

export const intsOf = (bytes: Uint8Array): number[] => [...new Int32Array(bytes.slice().buffer)];

/** A new buffer of these int32. */
export function upload(backend: Backend, values: ArrayLike<number>): DeviceBuffer {
  const buffer = backend.allocate(values.length * 4);
  backend.write(buffer, bytesOf(values));
  return buffer;
}

/** All of a buffer, as int32. */
export const download = async (backend: Backend, buffer: DeviceBuffer): Promise<number[]> =>
  intsOf(await backend.read(buffer, 0, buffer.bytes));

export const dispatch = (
  program: Program,
  buffers: readonly DeviceBuffer[],
  values: readonly number[] = [],
): DispatchCommand => ({ kind: 'dispatch', program, buffers, scalars: values });

export const copy = (source: DeviceBuffer, target: DeviceBuffer, bytes: number): Command => ({
  kind: 'copy',
  source,
  target,
  bytes,
});

/** The program, once it can be submitted. */
export async function ready(program: Program): Promise<Program> {
  await program.ready;
  return program;
}

/** @throws InternalError */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new InternalError(what);
}

/** @throws InternalError with the first element that differs. */
export function same(what: string, got: ArrayLike<number>, want: ArrayLike<number>): void {
  holds(got.length === want.length, `${what}: ${got.length} elements, not ${want.length}`);
  for (let i = 0; i < want.length; i++)
    holds(got[i] === want[i], `${what}: element ${i} is ${got[i]}, not ${want[i]}`);
}

/** What is done must fail with this code. */
export async function refused(what: string, code: string, action: () => unknown): Promise<void> {
  let failure: unknown;
  try {
    await action();
  } catch (error) {
    failure = error;
  }
  const found = (failure as TuttiError | undefined)?.code;
  holds(
    found === `TUTTI_${code}`,
    `${what} ends with ${failure ? `${found}: ${failure}` : 'no error'}, not ${code}`,
  );
}

/** Integers below a limit, the same in every run. */
export function integers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** What `affine` makes of a value. */
export const affineOf = (value: number, scalar: number): number => (Math.imul(value, 3) + scalar) | 0;

/** @throws InternalError where buffers are left. */
export function nothingLeft({ backend }: CheckedDevice): void {
  const { bytes, buffers } = backend.memory();
  same('bytes and buffers that are left', [bytes, buffers], [0, 0]);
}
