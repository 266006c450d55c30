import type { OwnedBuffer } from '@tutti/core/backend';

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
export type WebgpuBuffer = OwnedBuffer<Block>;
