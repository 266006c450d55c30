import type { GpuDevice } from './device.ts';

/** Bytes up to this are padded on the host: a second write to the queue costs more than copying them. */
const padOnHost = 64 * 1024;

/**
 * Writes `bytes` bytes, a multiple of 4, at an offset that is one too. The data may lack up to three of them at the end,
 * where zeros are written.
 */
export function writeWords(
  device: GpuDevice,
  target: GPUBuffer,
  offset: number,
  data: Uint8Array,
  bytes: number,
): void {
  const write = (at: number, part: Uint8Array): void =>
    device.watch('while data was written', () =>
      device.queue.writeBuffer(target, at, part as Uint8Array<ArrayBuffer>),
    );
  if (data.byteLength === bytes) {
    write(offset, data);
    return;
  }
  const whole = bytes <= padOnHost ? 0 : bytes - 4;
  if (whole > 0) write(offset, data.subarray(0, whole));
  const padded = new Uint8Array(bytes - whole);
  padded.set(data.subarray(whole));
  write(offset + whole, padded);
}
