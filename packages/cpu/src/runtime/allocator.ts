/**
 * Hands out pieces of the linear memory: segregated fit with immediate coalescing, after Masmano et al., "TLSF: a new
 * dynamic memory allocator for real-time systems" (2004). Bookkeeping lies in JavaScript, not in the memory itself.
 *
 * Memory that queued work still uses when it is freed is *parked*. It may go to a new owner of the same size at once:
 * the queue runs in order, so the new owner's work comes after. What is not queued is a write by the host; a block
 * therefore remembers the last submission that may touch it, and a host write before that has to be queued as well.
 * When that submission has finished, a parked block joins its free neighbours. (Joined earlier, it would make all of
 * them busy.)
 */

/** All sizes and addresses are multiples of this. */
export const alignment = 64;
/** Readable bytes behind each buffer's end, promised to vector loads. */
export const spareBytes = 64;

export interface Block {
  readonly address: number;
  /** In bytes, with the spare ones. */
  readonly size: number;
  /** Number of the last submission that may touch the block. */
  readonly busyUntil: number;
}

/** What the allocator asks of its surroundings. */
export interface AllocatorHost {
  /** Adds at least so many bytes and returns the new end of memory; the old end when it cannot. */
  grow(bytes: number): number;
  /** Number of the last submission that has finished. */
  completed(): number;
  /** Waits for everything that is queued: the last resort before memory is declared to be out. */
  wait(): void;
}

class Node implements Block {
  address: number;
  size: number;
  state: 'used' | 'parked' | 'free' = 'free';
  busyUntil = 0;
  /** Neighbours in memory. */
  before: Node | undefined;
  after: Node | undefined;
  /** Neighbours in the free list of a class, or among the parked blocks of a size. */
  previous: Node | undefined;
  next: Node | undefined;

  constructor(address: number, size: number) {
    this.address = address;
    this.size = size;
  }
}

/** Sizes of less than 32 granules have a class each; above, 16 classes share each power of two. */
const exactClasses = 32;
const classesPerOctave = 16;
const classCount = exactClasses + 22 * classesPerOctave;
/** Blocks of the size's own class, which may be too small, that are tried: bounded, so that allocation is fast. */
const tries = 16;

function classOf(size: number): number {
  const granules = size / alignment;
  if (granules < exactClasses) return granules;
  const octave = 31 - Math.clz32(granules);
  return (
    exactClasses + (octave - 5) * classesPerOctave + ((granules >>> (octave - 4)) & (classesPerOctave - 1))
  );
}

export class Allocator {
  readonly #host: AllocatorHost;
  readonly #lists: (Node | undefined)[] = new Array<undefined>(classCount).fill(undefined);
  readonly #occupied = new Uint32Array(classCount / 32);
  /** Parked blocks by size, latest first; and all of them in the order in which they were parked. */
  readonly #parked = new Map<number, Node>();
  #parkedOrder: Node[] = [];
  #end: number;
  #last: Node | undefined;

  /** @param end First address not in memory yet. */
  constructor(end: number, host: AllocatorHost) {
    this.#host = host;
    // No block has address 0, so that a zero in an argument block is never a buffer.
    this.#end = alignment;
    this.#extend(end);
  }

  /**
   * A block with `bytes` bytes and the spare ones, or undefined when there is no memory. An `idle` one may be written by
   * the host at once; another only when `busyUntil` has finished.
   */
  allocate(bytes: number, idle = false): Block | undefined {
    const size = Math.ceil((bytes + spareBytes) / alignment) * alignment;
    const parked = idle ? undefined : this.#parked.get(size);
    if (parked) {
      this.#unpark(parked);
      parked.state = 'used';
      return parked;
    }
    this.#settle();
    const node = this.#find(size) ?? this.#findByGrowing(size) ?? this.#findByWaiting(size);
    if (!node) return undefined;
    this.#unlink(node);
    node.state = 'used';
    this.#trim(node, size);
    return node;
  }

  /** Gives a block back. `busyUntil` is the last submission that may still touch it. */
  release(block: Block, busyUntil: number): void {
    const node = block as Node;
    node.busyUntil = Math.max(node.busyUntil, busyUntil);
    if (node.busyUntil <= this.#host.completed()) {
      this.#free(node);
      return;
    }
    node.state = 'parked';
    const head = this.#parked.get(node.size);
    node.next = head;
    if (head) head.previous = node;
    this.#parked.set(node.size, node);
    this.#parkedOrder.push(node);
  }

  /** Frees the parked blocks whose time has come. */
  #settle(): void {
    if (this.#parkedOrder.length === 0) return;
    const completed = this.#host.completed();
    let settled = 0;
    for (const node of this.#parkedOrder) {
      // A block that was taken again is here twice if it was parked again: either place may settle it.
      if (node.state === 'parked') {
        if (node.busyUntil > completed) break;
        this.#unpark(node);
        this.#free(node);
      }
      settled++;
    }
    if (settled > 0) this.#parkedOrder.splice(0, settled);
  }

  #unpark(node: Node): void {
    if (node.previous) node.previous.next = node.next;
    else if (node.next) this.#parked.set(node.size, node.next);
    else this.#parked.delete(node.size);
    if (node.next) node.next.previous = node.previous;
    node.previous = node.next = undefined;
  }

  #free(block: Node): void {
    let node = block;
    node.state = 'free';
    if (node.after?.state === 'free') {
      this.#unlink(node.after);
      node = this.#merge(node, node.after);
    }
    if (node.before?.state === 'free') {
      this.#unlink(node.before);
      node = this.#merge(node.before, node);
    }
    this.#link(node);
  }

  #find(size: number): Node | undefined {
    const own = classOf(size);
    let left = tries;
    for (let node = this.#lists[own]; node && left > 0; node = node.next, left--) {
      if (node.size >= size) return node;
    }
    // Blocks of a higher class are all large enough.
    const index = this.#nextOccupied(own + 1);
    return index < classCount ? this.#lists[index] : undefined;
  }

  #findByGrowing(size: number): Node | undefined {
    const reusable = this.#last?.state === 'free' ? this.#last.size : 0;
    const end = this.#host.grow(size - reusable);
    if (end <= this.#end) return undefined;
    this.#extend(end);
    return this.#last;
  }

  #findByWaiting(size: number): Node | undefined {
    if (this.#parkedOrder.length > 0) {
      this.#host.wait();
      this.#settle();
    }
    // Every block of the class, however many: nothing else is left.
    for (let node = this.#lists[classOf(size)]; node; node = node.next) if (node.size >= size) return node;
    return this.#find(size);
  }

  #nextOccupied(from: number): number {
    for (let index = from >>> 5; index < this.#occupied.length; index++) {
      const mask = index === from >>> 5 ? -1 << (from & 31) : -1;
      const bits = this.#occupied[index]! & mask;
      if (bits) return index * 32 + 31 - Math.clz32(bits & -bits);
    }
    return classCount;
  }

  /** Takes the memory up to `end` as a free block, joined to the last one if that is free. */
  #extend(end: number): void {
    const node = new Node(this.#end, end - this.#end);
    this.#end = end;
    node.before = this.#last;
    if (this.#last) this.#last.after = node;
    this.#last = node;
    this.#free(node);
  }

  #merge(low: Node, high: Node): Node {
    low.size += high.size;
    low.busyUntil = Math.max(low.busyUntil, high.busyUntil);
    low.after = high.after;
    if (high.after) high.after.before = low;
    if (this.#last === high) this.#last = low;
    return low;
  }

  /** Cuts what is too much off the end of a block and makes it a free block. */
  #trim(node: Node, size: number): void {
    if (node.size === size) return;
    const rest = new Node(node.address + size, node.size - size);
    node.size = size;
    rest.busyUntil = node.busyUntil;
    rest.before = node;
    rest.after = node.after;
    if (node.after) node.after.before = rest;
    node.after = rest;
    if (this.#last === node) this.#last = rest;
    this.#link(rest);
  }

  #link(node: Node): void {
    const index = classOf(node.size);
    const head = this.#lists[index];
    node.previous = undefined;
    node.next = head;
    if (head) head.previous = node;
    this.#lists[index] = node;
    this.#occupied[index >>> 5]! |= 1 << (index & 31);
  }

  #unlink(node: Node): void {
    const index = classOf(node.size);
    if (node.previous) node.previous.next = node.next;
    else this.#lists[index] = node.next;
    if (node.next) node.next.previous = node.previous;
    if (!this.#lists[index]) this.#occupied[index >>> 5]! &= ~(1 << (index & 31));
    node.previous = node.next = undefined;
  }
}
