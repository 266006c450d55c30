import { OutOfMemoryError } from '@tutti/core/backend';
import { maximumPages } from '../wasm/index.ts';

const pageBytes = 65536;
/** Reserved address space is cheap where it works at all; 8 MiB keep small programs from growing at once. */
const initialPages = 128;

/** The one memory that holds every buffer, and views of it that are renewed when it grows. */
export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** In pages, as declared. Every module that imports the memory must allow this much. */
  readonly maximum: number;
  /** Times that memory was taken from the system. */
  growths = 1;
  #bytes: Uint8Array;
  #words: Int32Array;

  constructor(shared: boolean) {
    this.shared = shared;
    let maximum = maximumPages;
    for (;;) {
      try {
        this.memory = new WebAssembly.Memory({ initial: initialPages, maximum, shared });
        break;
      } catch (cause) {
        // Some phones refuse to reserve 4 GiB of addresses but grant less.
        maximum /= 2;
        if (maximum < initialPages) {
          throw new OutOfMemoryError('the WebAssembly engine gives no memory at all', {
            fix: 'close other pages or raise the process memory limit',
            cause,
          });
        }
      }
    }
    this.maximum = maximum;
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.#words = new Int32Array(this.memory.buffer);
  }

  /** Valid until the memory grows: ask again after every allocation. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** As `bytes`, in 32-bit words. */
  get words(): Int32Array {
    return this.#words;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get limit(): number {
    return this.maximum * pageBytes;
  }

  /**
   * Grows by at least `bytes`. Grows by a quarter where that is more, so that the number of growths stays
   * logarithmic, and by less where the engine does not grant so much. False when not even `bytes` are to be had.
   */
  grow(bytes: number): boolean {
    const least = Math.ceil(bytes / pageBytes);
    const current = this.size / pageBytes;
    const room = this.maximum - current;
    if (least > room) return false;
    const wish = Math.min(room, Math.max(least, Math.ceil(current / 4)));
    for (const pages of wish > least ? [wish, least] : [least]) {
      try {
        this.memory.grow(pages);
      } catch {
        continue;
      }
      this.#bytes = new Uint8Array(this.memory.buffer);
      this.#words = new Int32Array(this.memory.buffer);
      this.growths++;
      return true;
    }
    return false;
  }
}
