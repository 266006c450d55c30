/** The buffers that a device has given out. */
import type { DeviceBuffer } from '../backend.ts';
import { DeviceError } from '../errors.ts';
import { checkRange, freedError } from './ranges.ts';

/** Where the memory of buffers comes from. */
export interface BufferMemory<Block> {
  /** @throws OutOfMemoryError */
  take(bytes: number): Block;
  release(block: Block): void;
}

/** A buffer, with what a backend knows of its memory. */
export class OwnedBuffer<Block> implements DeviceBuffer {
  readonly bytes: number;
  /** Where its contents are now. */
  block: Block;
  /** Tells buffers of two devices apart. */
  readonly owner: object;
  /** The memory belongs to somebody else. */
  readonly lent: boolean;
  freed = false;

  constructor(bytes: number, block: Block, owner: object, lent: boolean) {
    this.bytes = bytes;
    this.block = block;
    this.owner = owner;
    this.lent = lent;
  }
}

export class Buffers<Block> {
  readonly #memory: BufferMemory<Block>;
  #bytes = 0;
  #count = 0;

  constructor(memory: BufferMemory<Block>) {
    this.#memory = memory;
  }

  /** Bytes of the buffers that live. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Buffers that live. */
  get count(): number {
    return this.#count;
  }

  /** @throws OutOfMemoryError */
  allocate(bytes: number): OwnedBuffer<Block> {
    const block = this.#memory.take(bytes);
    this.#bytes += bytes;
    this.#count++;
    return new OwnedBuffer(bytes, block, this, false);
  }

  /** @throws DeviceError, DisposedError */
  free(buffer: DeviceBuffer): void {
    const own = this.own(buffer);
    own.freed = true;
    if (own.lent) return;
    this.#bytes -= own.bytes;
    this.#count--;
    this.#memory.release(own.block);
  }

  /** A buffer whose memory belongs to somebody else: it is neither counted nor ever released here. */
  borrow(bytes: number, block: Block): OwnedBuffer<Block> {
    return new OwnedBuffer(bytes, block, this, true);
  }

  /** A buffer as one of this device. @throws DeviceError, DisposedError */
  own(buffer: DeviceBuffer): OwnedBuffer<Block> {
    if (!(buffer instanceof OwnedBuffer) || buffer.owner !== this)
      throw new DeviceError('the buffer belongs to another device');
    if (buffer.freed) throw freedError();
    return buffer;
  }

  /** One of this device that has these bytes. @throws DeviceError, DisposedError, ArgumentError */
  within(buffer: DeviceBuffer, byteOffset: number, bytes: number): OwnedBuffer<Block> {
    const own = this.own(buffer);
    checkRange(own, byteOffset, bytes);
    return own;
  }

  /** Forgets them all: the device, and with it their memory, has gone. */
  clear(): void {
    this.#bytes = 0;
    this.#count = 0;
  }
}
