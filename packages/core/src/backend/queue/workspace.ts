import type { Sized, SizePool } from './pool.ts';

/**
 * Scratch memory of programs. One block serves all: commands run one after the other, and what a program left there
 * means nothing to the next.
 */
export class Workspace<Block extends Sized> {
  readonly #pool: SizePool<Block>;
  #needed = 0;
  #block: Block | undefined;

  constructor(pool: SizePool<Block>) {
    this.#pool = pool;
  }

  /** Announces a program. The block grows when it is next used, and so never in the middle of a submission. */
  require(bytes: number): void {
    this.#needed = Math.max(this.#needed, bytes);
  }

  /** @throws OutOfMemoryError */
  get block(): Block {
    if (this.#block && this.#block.bytes >= this.#needed) return this.#block;
    if (this.#block) this.#pool.release(this.#block);
    this.#block = undefined; // it is not ours any more, whether there is memory for another or not
    this.#block = this.#pool.takeBytes(this.#needed);
    return this.#block;
  }
}
