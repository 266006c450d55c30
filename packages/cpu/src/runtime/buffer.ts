import type { DeviceBuffer } from '@tutti/core/backend';
import type { Block } from './allocator.ts';

/** A buffer of this backend: a block of linear memory and who uses it. */
export class CpuBuffer implements DeviceBuffer {
  readonly bytes: number;
  readonly block: Block;
  /** Tells buffers of two devices of this kind apart. */
  readonly owner: object;
  freed = false;
  /** Number of the last submission that uses the buffer, or its memory's former owner. */
  lastUse: number;

  constructor(bytes: number, block: Block, owner: object) {
    this.bytes = bytes;
    this.block = block;
    this.owner = owner;
    this.lastUse = block.busyUntil;
  }

  get address(): number {
    return this.block.address;
  }
}
