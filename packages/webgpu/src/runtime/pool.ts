/** Memory of the device in size classes, kept for reuse. */
import type { Block } from './buffer.ts';

/** `STORAGE | COPY_SRC | COPY_DST`: the names are globals in browsers only. */
const usage = 0x80 | 0x04 | 0x08;

/** Blocks are at least so large, and multiples of it. */
const leastBytes = 256;
/** So many bytes may be reserved in any case, and beyond that this multiple of the most that was ever in use. */
const reservedAnyway = 128 * 1024 * 1024;
const slack = 1.5;

/**
 * The size of the blocks that serve a request: four sizes between one power of two and the next, so that at most a
 * quarter is wasted, and values whose sizes differ by little share blocks.
 */
export function sizeClass(bytes: number, most: number): number {
  if (bytes <= leastBytes) return leastBytes;
  const step = Math.max(leastBytes, 2 ** (Math.floor(Math.log2(bytes)) - 2));
  return Math.min(Math.ceil(bytes / step) * step, most - (most % 4));
}

/**
 * A block that is released may be handed out at once: commands run in the order they were submitted, so whoever gets it
 * writes to it after its last reader is done.
 */
export class Pool {
  readonly #create: (descriptor: GPUBufferDescriptor) => GPUBuffer;
  readonly #mostBytes: number;
  readonly #all = new Set<Block>();
  readonly #free = new Map<number, Block[]>();
  /** Free blocks by the time of their release, oldest first. */
  readonly #byAge = new Set<Block>();
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;
  #blocks = 0;

  /** @param mostBytes Bytes of the largest block. */
  constructor(mostBytes: number, create: (descriptor: GPUBufferDescriptor) => GPUBuffer) {
    this.#mostBytes = mostBytes;
    this.#create = create;
  }

  /** Bytes of all blocks, used and free. */
  get reserved(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  /** Blocks that have been made so far. */
  get allocations(): number {
    return this.#blocks;
  }

  take(bytes: number): Block {
    const size = sizeClass(bytes, this.#mostBytes);
    const block = this.#free.get(size)?.pop() ?? this.#make(size);
    if (this.#byAge.delete(block)) this.#freeBytes -= size;
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return block;
  }

  release(block: Block): void {
    const list = this.#free.get(block.bytes);
    if (list) list.push(block);
    else this.#free.set(block.bytes, [block]);
    this.#byAge.add(block);
    this.#usedBytes -= block.bytes;
    this.#freeBytes += block.bytes;
    this.#trim(0);
  }

  /** Destroys the blocks that have been free longest, until `wanted` more bytes may be reserved. */
  #trim(wanted: number): void {
    const limit = Math.max(reservedAnyway, slack * this.#peakBytes) - wanted;
    for (const block of this.#byAge) {
      if (this.reserved <= limit) return;
      this.#byAge.delete(block);
      const list = this.#free.get(block.bytes)!;
      list.splice(list.indexOf(block), 1);
      this.#all.delete(block);
      this.#freeBytes -= block.bytes;
      // Work that has been submitted still sees it.
      block.gpu.destroy();
    }
  }

  #make(size: number): Block {
    this.#trim(size);
    this.#blocks++;
    const block = { gpu: this.#create({ size, usage }), offset: 0, bytes: size, number: this.#blocks };
    this.#all.add(block);
    return block;
  }

  /** Destroys every block, those in use as well. */
  dispose(): void {
    for (const block of this.#all) block.gpu.destroy();
    this.#all.clear();
    this.#byAge.clear();
    this.#free.clear();
    this.#freeBytes = 0;
    this.#usedBytes = 0;
  }
}
