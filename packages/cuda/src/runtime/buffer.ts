import type { OwnedBuffer } from '@tutti/core/backend';

/** Memory of the device, of one size class. */
export interface Block {
  /** A multiple of 256. */
  readonly address: number;
  readonly bytes: number;
  /** The time after which nothing that was asked for so far touches it, but for uploads that overtake the work. */
  lastUse: number;
}

/** A buffer of this backend. */
export type CudaBuffer = OwnedBuffer<Block>;
