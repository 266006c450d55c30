import type { DeviceBuffer } from '@tutti/core/backend';

/** Memory of the device: a whole buffer of one size class, or a part of a buffer that belongs to the user. */
export interface Block {
  readonly gpu: GPUBuffer;
  /** Where it begins in the buffer, in bytes. */
  readonly offset: number;
  readonly bytes: number;
  /** Tells it apart from all others, dead ones included; undefined for the user's. */
  readonly number: number | undefined;
}

/** A buffer of this backend. */
export class WebgpuBuffer implements DeviceBuffer {
  readonly bytes: number;
  readonly block: Block;
  /** Tells buffers of two devices of this kind apart. */
  readonly owner: object;
  freed = false;

  constructor(bytes: number, block: Block, owner: object) {
    this.bytes = bytes;
    this.block = block;
    this.owner = owner;
  }

  /**
   * Bytes that a binding spans. WebGPU has no empty bindings, and a view as an array of vectors needs 16 bytes; the rest
   * of the block belongs to nobody.
   */
  get bindingBytes(): number {
    return Math.max(16, Math.ceil(this.bytes / 16) * 16);
  }
}
