/** What is refused of buffers. */
import type { DeviceBuffer } from '../backend.ts';
import { ArgumentError, DisposedError } from '../errors.ts';

/** @throws ArgumentError where a buffer does not have these bytes. */
export function checkRange(buffer: DeviceBuffer, byteOffset: number, bytes: number): void {
  if (byteOffset >= 0 && bytes >= 0 && byteOffset + bytes <= buffer.bytes) return;
  throw new ArgumentError(
    `bytes ${byteOffset} to ${byteOffset + bytes} are outside a buffer of ${buffer.bytes}`,
    { received: [byteOffset, bytes] },
  );
}

export const freedError = (): DisposedError => new DisposedError('the buffer has been freed');
