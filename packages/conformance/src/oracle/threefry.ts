/**
 * Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011),
 * written from the paper's description, without unrolling.
 */
const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

const rotateLeft = (word: number, distance: number): number =>
  ((word << distance) | (word >>> (32 - distance))) >>> 0;

/** Encrypts the counter (2 words) with the key (2 words). */
export function threefry2x32(
  key: readonly [number, number],
  counter: readonly [number, number],
): readonly [number, number] {
  const schedule = [key[0], key[1], (0x1bd11bda ^ key[0] ^ key[1]) >>> 0];
  let x0 = (counter[0] + schedule[0]!) >>> 0;
  let x1 = (counter[1] + schedule[1]!) >>> 0;
  for (let round = 0; round < 20; round++) {
    x0 = (x0 + x1) >>> 0;
    x1 = (rotateLeft(x1, rotations[round % 8]!) ^ x0) >>> 0;
    if (round % 4 !== 3) continue;
    const injection = (round + 1) / 4;
    x0 = (x0 + schedule[injection % 3]!) >>> 0;
    x1 = (x1 + schedule[(injection + 1) % 3]! + injection) >>> 0;
  }
  return [x0, x1];
}
