import type { SizePool } from '@tutti/core/backend';
import type { Block } from './buffer.ts';

/**
 * Scratch memory of programs. One block serves all: commands run one after the other, and what a program left there
 * means nothing to the next.
 */
export class Workspace {
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

  get block(): Block {
    if (this.#block && this.#block.bytes >= this.#needed) return this.#block;
    if (this.#block) this.#pool.release(this.#block);
    this.#block = undefined;
    this.#block = this.#pool.takeBytes(this.#needed);
    return this.#block;
  }
}
