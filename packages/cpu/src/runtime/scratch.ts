import { OutOfMemoryError } from '@tutti/core/backend';
import { type Allocator, alignment, type Block, spareBytes } from './allocator.ts';

/** Scratch memory: a piece for each thread, as large as the largest program in use asks for. */
export class Scratch {
  readonly #allocator: Allocator;
  readonly #threads: number;
  #block: Block | undefined;
  /** Bytes between the pieces of neighbouring threads. */
  stride = 0;

  /** @param threads Workers; the main thread has one piece more, behind theirs. */
  constructor(allocator: Allocator, threads: number) {
    this.#allocator = allocator;
    this.#threads = threads;
  }

  get address(): number {
    return this.#block?.address ?? 0;
  }

  get mainAddress(): number {
    return this.address + this.#threads * this.stride;
  }

  /** Makes sure that each piece has so many bytes from submission `serial` on. */
  reserve(bytes: number, serial: number): void {
    if (bytes === 0 || bytes + spareBytes <= this.stride) return;
    const stride = Math.ceil((bytes + spareBytes) / alignment) * alignment;
    const block = this.#allocator.allocate(stride * (this.#threads + 1));
    if (!block) {
      throw new OutOfMemoryError(`no memory is left for ${bytes} bytes of scratch per thread`, {
        received: bytes,
      });
    }
    if (this.#block) this.#allocator.release(this.#block, serial);
    this.#block = block;
    this.stride = stride;
  }
}
