import type { DeviceBuffer } from '@tutti/core/backend';
import type { Block } from './pool.ts';

/** A buffer of this backend. */
export class WebglBuffer implements DeviceBuffer {
  readonly bytes: number;
  /** Where its contents are now: what is computed in place goes to another texture, which then takes this one's place. */
  block: Block;
  /** Tells buffers of two devices of this kind apart. */
  readonly owner: object;
  freed = false;

  constructor(bytes: number, block: Block, owner: object) {
    this.bytes = bytes;
    this.block = block;
    this.owner = owner;
  }
}
