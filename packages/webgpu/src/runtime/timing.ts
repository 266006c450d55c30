/** How long commands take. */
import type { GpuDevice } from './device.ts';
import type { Encoder } from './encoder.ts';
import type { Readback } from './readback.ts';

/** Writes one command; with timestamps, noting when it began and ended. */
export type Encode<C> = (command: C, timestamps?: GPUComputePassTimestampWrites) => void;

/** A query set holds at most 4096 times, two for each command. */
const mostCommands = 2048;
/** `QUERY_RESOLVE | COPY_SRC`: the names are globals in browsers only. */
const usage = 0x200 | 0x04;

/** Milliseconds of each command by the device's own clock. */
export async function timeOnDevice<C>(
  commands: readonly C[],
  device: GpuDevice,
  encoder: Encoder,
  readback: Readback,
  encode: Encode<C>,
): Promise<readonly number[]> {
  const parts: Promise<readonly number[]>[] = [];
  for (let first = 0; first < commands.length; first += mostCommands) {
    parts.push(timePart(commands.slice(first, first + mostCommands), device, encoder, readback, encode));
  }
  return (await Promise.all(parts)).flat();
}

async function timePart<C>(
  commands: readonly C[],
  { device }: GpuDevice,
  encoder: Encoder,
  readback: Readback,
  encode: Encode<C>,
): Promise<readonly number[]> {
  const count = commands.length * 2;
  const querySet = device.createQuerySet({ type: 'timestamp', count });
  const times = device.createBuffer({ label: 'times', size: count * 8, usage });
  try {
    for (const [i, command] of commands.entries()) {
      encode(command, { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 });
    }
    encoder.resolve(querySet, count, times);
    encoder.submit();
    const bytes = readback.read(times, 0, count * 8);
    readback.flush();
    const nanoseconds = new BigUint64Array((await bytes).buffer);
    return commands.map((_, i) => Math.max(0, Number(nanoseconds[2 * i + 1]! - nanoseconds[2 * i]!) / 1e6));
  } finally {
    querySet.destroy();
    times.destroy();
  }
}

/** Milliseconds of each command by the host's clock, from the end of one to the end of the next. */
export async function timeByFences<C>(
  commands: readonly C[],
  { queue }: GpuDevice,
  encoder: Encoder,
  encode: Encode<C>,
): Promise<readonly number[]> {
  const ends: Promise<number>[] = [];
  const note = (): void => {
    ends.push(queue.onSubmittedWorkDone().then(() => performance.now()));
  };
  note();
  for (const command of commands) {
    encode(command);
    encoder.submit();
    note();
  }
  const times = await Promise.all(ends);
  return commands.map((_, i) => times[i + 1]! - times[i]!);
}
