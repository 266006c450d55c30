/** Amounts of memory in messages, and the most that a buffer may have. */
import { OutOfMemoryError } from './errors.ts';

/** As a program has it, and as people read it: `838860800 bytes (800.0 MiB)`. */
export const describeBytes = (bytes: number): string =>
  bytes < 2 ** 16 ? `${bytes} bytes` : `${bytes} bytes (${(bytes / 2 ** 20).toFixed(1)} MiB)`;

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** As people know sizes of devices: `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Number((bytes / 1024 ** unit).toFixed(1))} ${units[unit]}`;
}

/**
 * For `allocate`: refuses what is no size of a buffer, and what is more than the device's `bytesPerBuffer`. The runtime says what
 * the memory was for.
 *
 * @throws OutOfMemoryError
 */
export function checkBufferSize(bytes: number, most: number, fix: string): void {
  if (bytes >= 0 && bytes <= most && Number.isInteger(bytes)) return;
  throw new OutOfMemoryError(
    `a buffer of ${describeBytes(bytes)} is not possible; this device takes up to ${describeBytes(most)}`,
    { received: bytes, fix },
  );
}
