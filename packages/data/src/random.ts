/**
 * Counter-based random numbers on the host: Threefry-2x32-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", 2011). A value depends on its key and its position alone, so that order of use and prefetching change nothing.
 */
const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const parity = 0x1bd11bda;

/** The two 32-bit words of Threefry-2x32-20 for a key of two words and a counter of two words. */
export function threefry(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const keys = [key0 | 0, key1 | 0, parity ^ key0 ^ key1] as const;
  let x = (counter0 + keys[0]) | 0;
  let y = (counter1 + keys[1]) | 0;
  for (let round = 0; round < 20; round++) {
    const by = rotations[round % 8]!;
    x = (x + y) | 0;
    y = ((y << by) | (y >>> (32 - by))) ^ x;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x = (x + keys[(injection % 3) as 0 | 1 | 2]) | 0;
      y = (y + keys[((injection + 1) % 3) as 0 | 1 | 2] + injection) | 0;
    }
  }
  return [x >>> 0, y >>> 0];
}

/** A sequence of random numbers that is the same for the same key. */
export class RandomStream {
  readonly #words: readonly number[];
  #key: readonly [number, number] | undefined;
  #position = 0;

  /** The key is made of all of the words; only their low 32 bits count. */
  constructor(...words: readonly number[]) {
    this.#words = words;
  }

  /** Uniform in [0, 1), with 53 random bits. */
  next(): number {
    // Made when it is first needed: the loader hands a stream to every sample, and most draw nothing.
    this.#key ??= keyOf(this.#words);
    const [high, low] = threefry(this.#key[0], this.#key[1], this.#position++, 0);
    return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
  }

  /** Uniform among 0, 1, .., count - 1. */
  integer(count: number): number {
    return Math.floor(this.next() * count);
  }
}

function keyOf(words: readonly number[]): [number, number] {
  let key: [number, number] = [0, 0];
  for (const [i, word] of words.entries()) key = threefry(key[0], key[1], word >>> 0, i);
  return key;
}

/** The numbers 0 .. length - 1 in an order that the seed and the epoch fix (Fisher and Yates). */
export function permutation(length: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  const random = new RandomStream(seed, epoch);
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}
