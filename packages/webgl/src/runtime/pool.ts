/** Memory of the device: textures, kept for reuse. */
import { OutOfMemoryError } from '@tutti/core/backend';
import type { Target } from '../gpu/draw.ts';

export const texelBytes = 16;

/** Texels that hold so many bytes. There is no texture without a texel. */
export const texelsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / texelBytes));

/** A texture of the pool. */
export interface Block extends Target {
  /** All of them: rows are full, so that there may be more than were asked for. */
  readonly texels: number;
  readonly bytes: number;
}

/** What makes textures, and lets them go. */
export interface TextureMaker {
  /** Undefined where there is no memory for it. */
  create(width: number, height: number): Target | undefined;
  destroy(target: Target): void;
}

/** So many bytes may be reserved in any case, and beyond that this multiple of the most that was ever in use. */
const reservedAnyway = 64 * 1024 * 1024;
const slack = 1.5;

const sizeOf = ({ width, height }: Pick<Block, 'width' | 'height'>): string => `${width}x${height}`;

/**
 * A texture that is released may be handed out at once: commands run in the order they were submitted, so whoever gets it draws to it
 * after its last reader is done. Textures serve requests of exactly their size.
 */
export class Pool {
  readonly #maker: TextureMaker;
  readonly #rowTexels: number;
  readonly #all = new Set<Block>();
  readonly #free = new Map<string, Block[]>();
  /** Free blocks by the time of their release, oldest first. */
  readonly #byAge = new Set<Block>();
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;
  #made = 0;

  constructor(rowTexels: number, maker: TextureMaker) {
    this.#rowTexels = rowTexels;
    this.#maker = maker;
  }

  /** Bytes of all textures, used and free. */
  get reserved(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  /** Textures that have been made so far. */
  get allocations(): number {
    return this.#made;
  }

  /** @param rowTexels Texels in a row, where that is not what it is for all buffers. @throws OutOfMemoryError */
  take(texels: number, rowTexels: number = this.#rowTexels): Block {
    const width = Math.min(texels, rowTexels);
    const height = Math.ceil(texels / width);
    const kept = this.#free.get(sizeOf({ width, height }))?.pop();
    if (kept) {
      this.#byAge.delete(kept);
      this.#freeBytes -= kept.bytes;
    }
    const block = kept ?? this.#make(width, height);
    this.#usedBytes += block.bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return block;
  }

  release(block: Block): void {
    const size = sizeOf(block);
    const list = this.#free.get(size);
    if (list) list.push(block);
    else this.#free.set(size, [block]);
    this.#byAge.add(block);
    this.#usedBytes -= block.bytes;
    this.#freeBytes += block.bytes;
    this.#trim(Math.max(reservedAnyway, slack * this.#peakBytes));
  }

  /** Destroys the textures that have been free longest, until no more than `limit` bytes are reserved. */
  #trim(limit: number): void {
    for (const block of this.#byAge) {
      if (this.reserved <= limit) return;
      this.#byAge.delete(block);
      const size = sizeOf(block);
      const list = this.#free.get(size)!;
      list.splice(list.indexOf(block), 1);
      if (list.length === 0) this.#free.delete(size);
      this.#all.delete(block);
      this.#freeBytes -= block.bytes;
      this.#maker.destroy(block); // work that has been submitted still sees it
    }
  }

  #make(width: number, height: number): Block {
    const texels = width * height;
    const bytes = texels * texelBytes;
    this.#trim(Math.max(reservedAnyway, slack * this.#peakBytes) - bytes);
    let target = this.#maker.create(width, height);
    if (!target) {
      this.#trim(0);
      target = this.#maker.create(width, height);
    }
    if (!target) {
      throw new OutOfMemoryError(`the GPU has no memory for a texture of ${bytes} bytes`, {
        received: bytes,
        fix: 'free tensors (scope, dispose), use smaller batches, or close other pages',
      });
    }
    this.#made++;
    const block = { ...target, texels, bytes };
    this.#all.add(block);
    return block;
  }

  /** Destroys every texture, those in use as well. */
  dispose(): void {
    for (const block of this.#all) this.#maker.destroy(block);
    this.#all.clear();
    this.#byAge.clear();
    this.#free.clear();
    this.#freeBytes = 0;
    this.#usedBytes = 0;
  }
}
