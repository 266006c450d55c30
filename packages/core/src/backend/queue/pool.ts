/** Memory of a device, kept for reuse. */
import { OutOfMemoryError, type TuttiError } from '../errors.ts';

/** What takes so many bytes of the device. */
export interface Sized {
  readonly bytes: number;
}

/** Where the blocks of a pool come from. A block has the shape that it was made for, and whatever else a backend keeps in it. */
export interface BlockSource<Shape extends Sized, Block extends Shape> {
  /** A block serves the requests that have its key. */
  keyOf(shape: Shape): number | string;
  /** Undefined where there is no memory for it. */
  make(shape: Shape): Block | undefined;
  /** Work that has been submitted still sees it. */
  destroy(block: Block): void;
  /** Waits until the memory of destroyed blocks can be had again; called when there was none for another. */
  reclaim?(): void;
  /** What is thrown when there is no memory even so. */
  exhausted?(shape: Shape): TuttiError;
}

export interface PoolLimits {
  /** So many bytes may be reserved in any case, and beyond that half more than were ever in use. */
  readonly reservedAnyway: number;
  /** Never more than this. Default: no limit. */
  readonly mostReserved?: number | undefined;
}

const slack = 1.5;

/**
 * A block that is released may be handed out at once: commands run in the order they were submitted, so whoever gets it
 * writes to it after its last reader is done.
 */
export class Pool<Shape extends Sized, Block extends Shape> {
  readonly #source: BlockSource<Shape, Block>;
  readonly #reservedAnyway: number;
  readonly #mostReserved: number;
  readonly #all = new Set<Block>();
  readonly #free = new Map<number | string, Block[]>();
  /** Free blocks by the time of their release, oldest first. */
  readonly #byAge = new Set<Block>();
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;
  #made = 0;

  constructor(source: BlockSource<Shape, Block>, { reservedAnyway, mostReserved = Infinity }: PoolLimits) {
    this.#source = source;
    this.#reservedAnyway = reservedAnyway;
    this.#mostReserved = mostReserved;
  }

  /** Bytes of all blocks, used and free. */
  get reserved(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  /** Bytes of the blocks that nobody has. */
  get kept(): number {
    return this.#freeBytes;
  }

  /** Blocks that have been made so far. */
  get allocations(): number {
    return this.#made;
  }

  /** @throws OutOfMemoryError */
  take(shape: Shape): Block {
    const kept = this.#free.get(this.#source.keyOf(shape))?.pop();
    if (kept) {
      this.#byAge.delete(kept);
      this.#freeBytes -= kept.bytes;
    }
    const block = kept ?? this.#make(shape);
    this.#usedBytes += block.bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return block;
  }

  release(block: Block): void {
    const key = this.#source.keyOf(block);
    const list = this.#free.get(key);
    if (list) list.push(block);
    else this.#free.set(key, [block]);
    this.#byAge.add(block);
    this.#usedBytes -= block.bytes;
    this.#freeBytes += block.bytes;
    this.#trim(this.#limit);
  }

  get #limit(): number {
    return Math.min(this.#mostReserved, Math.max(this.#reservedAnyway, slack * this.#peakBytes));
  }

  /** Destroys the blocks that have been free longest, until no more than `limit` bytes are reserved. */
  #trim(limit: number): void {
    for (const block of this.#byAge) {
      if (this.reserved <= limit) return;
      this.#byAge.delete(block);
      const key = this.#source.keyOf(block);
      const list = this.#free.get(key)!;
      list.splice(list.indexOf(block), 1);
      if (list.length === 0) this.#free.delete(key);
      this.#all.delete(block);
      this.#freeBytes -= block.bytes;
      this.#source.destroy(block);
    }
  }

  #make(shape: Shape): Block {
    this.#trim(this.#limit - shape.bytes);
    const block = this.#attempt(shape) ?? this.#makeOfLast(shape);
    this.#made++;
    this.#all.add(block);
    return block;
  }

  #attempt(shape: Shape): Block | undefined {
    return this.reserved + shape.bytes <= this.#mostReserved ? this.#source.make(shape) : undefined;
  }

  /** Gives up every block that nobody has, so that others can have the memory. */
  shrink(): void {
    this.#trim(0);
    this.#source.reclaim?.();
  }

  #makeOfLast(shape: Shape): Block {
    this.shrink();
    const block = this.#attempt(shape);
    if (block) return block;
    throw this.#source.exhausted?.(shape) ?? noMemory(shape);
  }

  /** Destroys every block, those in use as well. */
  dispose(): void {
    for (const block of this.#all) this.#source.destroy(block);
    this.#all.clear();
    this.#byAge.clear();
    this.#free.clear();
    this.#freeBytes = 0;
    this.#usedBytes = 0;
  }
}

const noMemory = ({ bytes }: Sized): OutOfMemoryError =>
  new OutOfMemoryError(`the device has no memory for ${bytes} bytes`, {
    received: bytes,
    fix: 'free tensors (scope, dispose), or use smaller batches',
  });

/** The smallest block of a size class: all are multiples of it. */
const leastBytes = 256;

/**
 * The size of the blocks that serve a request: four sizes between one power of two and the next, so that at most a
 * quarter is wasted, and values whose sizes differ by little share blocks.
 *
 * @param most Bytes of the largest block.
 */
export function sizeClass(bytes: number, most: number): number {
  if (bytes <= leastBytes) return leastBytes;
  const step = Math.max(leastBytes, 2 ** (Math.floor(Math.log2(bytes)) - 2));
  return Math.min(Math.ceil(bytes / step) * step, most - (most % 4));
}

/** A pool whose blocks differ in nothing but their sizes. */
export class SizePool<Block extends Sized> extends Pool<Sized, Block> {
  readonly #mostBytes: number;

  constructor(
    source: Omit<BlockSource<Sized, Block>, 'keyOf'>,
    { mostBytes, ...limits }: PoolLimits & { readonly mostBytes: number },
  ) {
    super(
      {
        keyOf: ({ bytes }) => bytes,
        make: (shape) => source.make(shape),
        destroy: (block) => source.destroy(block),
        reclaim: () => source.reclaim?.(),
        exhausted: (shape) => source.exhausted?.(shape) ?? noMemory(shape),
      },
      limits,
    );
    this.#mostBytes = mostBytes;
  }

  /** A block of the size class. @throws OutOfMemoryError */
  takeBytes(bytes: number): Block {
    return this.take({ bytes: sizeClass(bytes, this.#mostBytes) });
  }
}
