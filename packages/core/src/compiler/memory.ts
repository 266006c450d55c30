/** Static memory: which values of a plan can share a buffer, because one is dead before the other is made. */

export interface Lifetime {
  readonly bytes: number;
  /** Step that writes the value, and the last that reads it. */
  readonly from: number;
  readonly to: number;
}

export interface MemoryPlan {
  /** Bytes of each slot. */
  readonly slots: readonly number[];
  /** The slot of each value. */
  readonly slotOf: readonly number[];
}

/** Greedy by time: a value takes the free slot that fits it best, growing the largest one when none is big enough. */
export function planMemory(values: readonly Lifetime[]): MemoryPlan {
  const slots: number[] = [];
  const busyUntil: number[] = [];
  const slotOf = new Array<number>(values.length);
  const order = [...values.keys()].sort((a, b) => values[a]!.from - values[b]!.from);
  for (const index of order) {
    const { bytes, from, to } = values[index]!;
    const slot = bestSlot(slots, busyUntil, bytes, from);
    slots[slot] = Math.max(slots[slot] ?? 0, bytes);
    busyUntil[slot] = to;
    slotOf[index] = slot;
  }
  return { slots, slotOf };
}

function bestSlot(
  slots: readonly number[],
  busyUntil: readonly number[],
  bytes: number,
  from: number,
): number {
  let best = -1;
  for (const [slot, size] of slots.entries()) {
    if (busyUntil[slot]! >= from) continue;
    if (best < 0) best = slot;
    const fits = size >= bytes;
    const bestFits = slots[best]! >= bytes;
    // The smallest that fits; else the largest, which has to grow least.
    if (fits ? !bestFits || size < slots[best]! : !bestFits && size > slots[best]!) best = slot;
  }
  return best < 0 ? slots.length : best;
}
