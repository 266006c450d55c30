import { describe, expect, it } from 'vitest';
import { Allocator, type Block } from '../src/runtime/allocator.ts';

/** A small deterministic generator, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const limit = 1 << 26;
function make() {
  const host = {
    end: 1 << 16,
    growths: 0,
    waits: 0,
    done: 0,
    submitted: 0,
    grow(bytes: number): number {
      const wanted = host.end + Math.ceil(Math.max(bytes, host.end / 4) / 65536) * 65536;
      if (wanted > limit) return host.end;
      host.growths++;
      host.end = wanted;
      return wanted;
    },
    completed: () => host.done,
    wait(): void {
      host.waits++;
      host.done = host.submitted;
    },
  };
  return { host, allocator: new Allocator(host.end, host) };
}

describe('allocator', () => {
  it('aligns to 64 bytes, keeps spare bytes, never uses address 0', () => {
    const { allocator } = make();
    for (const bytes of [0, 1, 63, 64, 65, 1000]) {
      const block = allocator.allocate(bytes)!;
      expect(block.address % 64).toBe(0);
      expect(block.address).toBeGreaterThan(0);
      expect(block.size).toBeGreaterThanOrEqual(bytes + 64);
    }
  });

  it('joins neighbours, so that everything freed is one block again', () => {
    const { allocator, host } = make();
    const blocks = Array.from({ length: 100 }, () => allocator.allocate(300)!);
    for (const order of [0, 2, 1]) {
      for (const [i, block] of blocks.entries()) if (i % 3 === order) allocator.release(block, 0);
    }
    const whole = allocator.allocate((1 << 16) - 64 - 64);
    expect(whole).toBeDefined();
    expect(host.growths).toBe(0);
  });

  it('says no when memory cannot grow', () => {
    const { allocator } = make();
    expect(allocator.allocate(limit)).toBeUndefined();
    expect(allocator.allocate(limit / 2)).toBeDefined();
  });

  it('gives memory that is still in use only to owners of the same size, and never as idle', () => {
    const { allocator, host } = make();
    const first = allocator.allocate(1000)!;
    allocator.allocate(0);
    host.submitted = 9;
    allocator.release(first, 7);
    expect(allocator.allocate(1000, true)!.address).not.toBe(first.address);
    expect(allocator.allocate(900)!.address).not.toBe(first.address);
    const again = allocator.allocate(1000)!;
    expect([again.address, again.busyUntil]).toEqual([first.address, 7]);
    allocator.release(again, 3);
    host.done = 7;
    expect(allocator.allocate(800, true)!.address).toBe(first.address);
  });

  it('waits for queued work before it says that memory is out', () => {
    const { allocator, host } = make();
    const big = allocator.allocate(limit / 2)!;
    host.submitted = 3;
    allocator.release(big, 3);
    expect(host.waits).toBe(0);
    expect(allocator.allocate(limit / 2 + 1000)).toBeDefined();
    expect(host.waits).toBe(1);
  });

  it('does not grow for ever when small pieces are always in use', () => {
    const { allocator, host } = make();
    for (let step = 1; step < 10_000; step++) {
      const block = allocator.allocate(4, true)!;
      host.submitted = step;
      allocator.release(block, step);
      host.done = step - 3;
    }
    expect(host.growths).toBe(0);
  });

  it.each([1, 2, 3, 4])('agrees with a reference model in a random run (seed %i)', (seed) => {
    const below = random(seed);
    const { allocator, host } = make();
    const live: Block[] = [];
    /** When the last user of each 64-byte granule is done, by the model. */
    const busy = new Map<number, number>();
    let used = 0;
    for (let step = 1; step <= 20_000; step++) {
      host.submitted = step;
      host.done = Math.max(host.done, step - below(100));
      if (live.length > 0 && (below(100) < 48 || used > limit / 4)) {
        const [block] = live.splice(below(live.length), 1) as [Block];
        used -= block.size;
        const until = Math.max(0, step - below(150));
        for (let at = block.address; at < block.address + block.size; at += 64) {
          busy.set(at, Math.max(busy.get(at) ?? 0, until));
        }
        allocator.release(block, until);
        continue;
      }
      const bytes = below(4) === 0 ? below(200_000) : 100 * below(50);
      const idle = below(5) === 0;
      const block = allocator.allocate(bytes, idle);
      if (!block) throw new Error('memory is out');
      expect(block.size).toBeGreaterThanOrEqual(bytes + 64);
      expect(block.address + block.size).toBeLessThanOrEqual(host.end);
      for (let at = block.address; at < block.address + block.size; at += 64) {
        const until = busy.get(at) ?? 0;
        if (until > host.done && (idle || until > block.busyUntil)) {
          throw new Error(`busy memory at ${at} was handed out`);
        }
      }
      live.push(block);
      used += block.size;
      if (step % 500 === 0) {
        live.sort((a, b) => a.address - b.address);
        for (const [i, block] of live.entries()) {
          const next = live[i + 1];
          if (next && block.address + block.size > next.address) throw new Error('two blocks overlap');
        }
      }
    }
    for (const block of live) allocator.release(block, 0);
    host.done = host.submitted;
    const { growths } = host;
    expect(allocator.allocate(host.end - 64 - 64)).toBeDefined();
    expect(host.growths).toBe(growths);
  });
});
