import { OutOfMemoryError } from '@tutti/core/backend';
import { type Allocator, alignment, type Block } from './allocator.ts';

const pageBytes = 1 << 16;

interface Page {
  readonly block: Block;
  readonly bytes: number;
  used: number;
  /** The last submission that reads arguments in this page. */
  lastUse: number;
}

/** Memory for the arguments of commands that run once: filled page by page, a page is reused when its submissions have run. */
export class ArgumentArena {
  readonly #allocator: Allocator;
  #page: Page | undefined;
  /** Full pages, oldest first. */
  #full: Page[] = [];

  constructor(allocator: Allocator) {
    this.#allocator = allocator;
  }

  /** The address of `bytes` bytes that the host may write now, and submission `serial` may read. */
  take(bytes: number, serial: number, completed: number): number {
    const size = Math.ceil(bytes / alignment) * alignment;
    let page = this.#page;
    if (page && page.lastUse <= completed) page.used = 0;
    if (!page || page.used + size > page.bytes) {
      if (page) this.#full.push(page);
      page = this.#nextPage(size, completed);
      this.#page = page;
    }
    const address = page.block.address + page.used;
    page.used += size;
    page.lastUse = serial;
    return address;
  }

  #nextPage(size: number, completed: number): Page {
    const oldest = this.#full[0];
    if (oldest && oldest.lastUse <= completed && oldest.bytes >= size) {
      this.#full.shift();
      oldest.used = 0;
      return oldest;
    }
    const bytes = Math.max(pageBytes, size);
    const block = this.#allocator.allocate(bytes, true);
    if (!block) throw new OutOfMemoryError('no memory is left for the arguments of commands');
    return { block, bytes, used: 0, lastUse: 0 };
  }
}
