/** Memory of the device in size classes, kept for reuse. */
import { SizePool } from '@tutti/core/backend';
import type { Block } from './buffer.ts';

/** `STORAGE | COPY_SRC | COPY_DST`: the names are globals in browsers only. */
const usage = 0x80 | 0x04 | 0x08;

const reservedAnyway = 128 * 1024 * 1024;

export interface BufferMaker {
  create(descriptor: GPUBufferDescriptor): GPUBuffer;
  destroy(gpu: GPUBuffer): void;
}

/** @param mostBytes Bytes of the largest block. */
export function bufferPool(mostBytes: number, maker: BufferMaker): SizePool<Block> {
  let blocks = 0;
  return new SizePool<Block>(
    {
      // Where there is no memory, WebGPU says so later.
      make: ({ bytes }) => ({
        gpu: maker.create({ size: bytes, usage }),
        offset: 0,
        bytes,
        number: ++blocks,
      }),
      destroy: ({ gpu }) => maker.destroy(gpu),
    },
    { reservedAnyway, mostBytes },
  );
}
