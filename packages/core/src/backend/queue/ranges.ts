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

export const freedError = (): DisposedError =>
  new DisposedError('the buffer has been freed', {
    fix: 'ask for it again: a buffer is valid as long as its tensor is not disposed of',
  });

/** What a device fails with that was disposed of. @param name As programs ask for it. */
export const disposedDevice = (name: string): DisposedError =>
  new DisposedError(`the ${name} device has been disposed`, {
    fix:
      `its tensors are gone: open it again with await setDefaultDevice('${name}'), and make them anew ` +
      '(after unregisterBackend, call registerBackend first)',
  });
