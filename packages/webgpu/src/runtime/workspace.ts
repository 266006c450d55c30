import type { Block } from './buffer.ts';
import type { Pool } from './pool.ts';

/**
 * Scratch memory of programs. One block serves all: commands run one after the other, and what a program left there
 * means nothing to the next.
 */
export class Workspace {
  readonly #pool: Pool;
  #needed = 0;
  #block: Block | undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Announces a program. The block grows when it is next used, and so never in the middle of a submission. */
  require(bytes: number): void {
    this.#needed = Math.max(this.#needed, bytes);
  }

  get block(): Block {
    if (this.#block && this.#block.bytes >= this.#needed) return this.#block;
    if (this.#block) this.#pool.release(this.#block);
    this.#block = this.#pool.take(this.#needed);
    return this.#block;
  }
}
