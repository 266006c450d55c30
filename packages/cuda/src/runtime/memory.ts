/** Memory of the device in size classes, kept for reuse. */
import { describeBytes, OutOfMemoryError, type Sized, SizePool } from '@tutti/core/backend';
import type { Block } from './buffer.ts';
import type { Clock } from './clock.ts';
import type { CudaDevice } from './device.ts';

/** The driver takes some 100 µs for an allocation that it cannot serve from what it has; and a GPU has gigabytes. */
const reservedAnyway = 256 * 1024 * 1024;

export function devicePool(device: CudaDevice, clock: Clock): SizePool<Block> {
  const { memoryLimit: limit, info } = device;
  const pool: SizePool<Block> = new SizePool<Block>(
    {
      make: ({ bytes }) => {
        try {
          // It is there for what is submitted after this, and for nothing that overtakes it.
          const address = device.call(allocating, (native) => native.allocate(bytes));
          return { address, bytes, lastUse: clock.tick() };
        } catch (error) {
          if (error instanceof OutOfMemoryError) return undefined;
          throw error;
        }
      },
      destroy: ({ address }) => {
        if (device.health.failure) return; // the device takes it along
        device.call('while memory was released', (native) => native.free(address));
      },
      reclaim: () => device.call(allocating, (native) => native.trim()),
      exhausted: (request) => exhausted(device, pool, request),
    },
    { reservedAnyway, mostReserved: limit, mostBytes: info.capabilities.bytesPerBuffer },
  );
  return pool;
}

const allocating = 'while memory was allocated';

/** Called when nothing is free in the pool any more. */
function exhausted(device: CudaDevice, pool: SizePool<Block>, { bytes }: Sized): OutOfMemoryError {
  const { free, total } = device.call(allocating, (native) => native.memoryInfo());
  const limit = device.memoryLimit;
  const limited = limit !== undefined && pool.reserved + bytes > limit;
  const here = `${describeBytes(pool.reserved)} are in use by tensors and programs`;
  const there = `${describeBytes(free)} of ${describeBytes(total)} are free on the GPU`;
  return new OutOfMemoryError(
    limited
      ? `${describeBytes(bytes)} more would exceed the memory limit of ${describeBytes(limit)}: ${here}, ${there}`
      : `the GPU has no memory for ${describeBytes(bytes)}: ${there}, ${here}`,
    {
      received: { wanted: bytes, free, total, inUse: pool.reserved, limit },
      fix:
        'free tensors (scope, dispose), use smaller batches, ' +
        (limited
          ? 'raise the limit (`memoryLimit`)'
          : 'or end other programs that use the GPU (nvidia-smi lists them)'),
    },
  );
}
