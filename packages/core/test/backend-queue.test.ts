import { describe, expect, it } from 'vitest';
import {
  DeviceError,
  Health,
  type PoolLimits,
  Progress,
  type Sized,
  SizePool,
  scalarBits,
  sizeClass,
} from '../src/backend/index.ts';

const MiB = 1024 * 1024;

describe('size classes', () => {
  it('are multiples of 256 that waste less than a quarter, up to the limit', () => {
    const most = 1024 * MiB;
    expect([0, 1, 256, 257, 512, 513].map((bytes) => sizeClass(bytes, most))).toEqual([
      256, 256, 256, 512, 512, 768,
    ]);
    for (let bytes = 1000; bytes < most; bytes = Math.floor(bytes * 1.37)) {
      const size = sizeClass(bytes, most);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size - bytes).toBeLessThanOrEqual(Math.max(256, bytes / 4));
      expect(size % 256).toBe(0);
      expect(sizeClass(size, most)).toBe(size);
    }
    expect(sizeClass(900 * MiB, 901 * MiB + 3)).toBe(901 * MiB);
  });
});

/** A pool over memory of so many bytes. */
function poolOf(memory = Infinity, limits: Partial<PoolLimits> = {}) {
  const destroyed: number[] = [];
  let [used, reclaimed] = [0, 0];
  const pool = new SizePool<Sized>(
    {
      make: ({ bytes }) => {
        if (used + bytes > memory) return undefined;
        used += bytes;
        return { bytes };
      },
      destroy: ({ bytes }) => {
        used -= bytes;
        destroyed.push(bytes);
      },
      reclaim: () => {
        reclaimed++;
      },
    },
    { reservedAnyway: 128 * MiB, mostBytes: 1024 * MiB, ...limits },
  );
  return { pool, destroyed, reclaimed: () => reclaimed };
}

/** Takes blocks of so many MiB, and gives them back. */
function use(pool: SizePool<Sized>, ...sizes: number[]): void {
  const blocks = sizes.map((size) => pool.takeBytes(size * MiB));
  for (const block of blocks) pool.release(block);
}

describe('the pool', () => {
  it('hands a released block out again', () => {
    const { pool } = poolOf();
    const block = pool.takeBytes(1000);
    pool.release(block);
    expect(pool.takeBytes(900)).toBe(block);
    expect(pool).toMatchObject({ reserved: 1024, kept: 0, allocations: 1 });
  });

  it('keeps half more than was ever in use, and destroys what has been free longest', () => {
    const { pool, destroyed } = poolOf();
    use(pool, 64, 128, 256); // 448 in use
    expect(destroyed).toEqual([]);
    use(pool, 192); // 640 reserved
    expect(destroyed).toEqual([]);
    use(pool, 160); // would be 800, and 672 are allowed: the longest free goes
    expect(destroyed).toEqual([64 * MiB, 128 * MiB]);
    expect(pool.reserved).toBe(608 * MiB);
    pool.dispose();
    expect(destroyed).toHaveLength(5);
    expect(pool.reserved).toBe(0);
  });

  it('gives up everything that is free before it says that memory has run out', () => {
    const { pool, destroyed, reclaimed } = poolOf(100 * MiB);
    const held = pool.takeBytes(32 * MiB);
    use(pool, 28, 24);
    const block = pool.takeBytes(56 * MiB);
    expect(destroyed.sort()).toEqual([24 * MiB, 28 * MiB]);
    expect(reclaimed()).toBe(1);
    expect(() => pool.takeBytes(16 * MiB)).toThrow(
      expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY', received: 16 * MiB }),
    );
    expect(pool).toMatchObject({ reserved: 88 * MiB, kept: 0 });
    pool.release(held);
    expect(pool.takeBytes(32 * MiB)).toBe(held);
    pool.release(block);
  });

  it('stays below a limit, destroying no more than it must', () => {
    const { pool, destroyed } = poolOf(Infinity, { mostReserved: 100 * MiB });
    use(pool, 40, 24, 28);
    pool.takeBytes(48 * MiB);
    expect(destroyed).toEqual([40 * MiB]);
    expect(pool.reserved).toBe(100 * MiB);
    expect(() => pool.takeBytes(56 * MiB)).toThrow(expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY' }));
    expect(pool.reserved).toBe(48 * MiB);
  });
});

it('scalars keep their bits', () => {
  const values = [-0, -1, 4294967295, 7, Number.NaN];
  const program = { name: 'p', scalarTypes: ['f32', 'i32', 'u32', 'bool', 'f32'] as const };
  expect([...scalarBits(program, values)]).toEqual([0x80000000, 0xffffffff, 0xffffffff, 1, 0x7fc00000]);
  expect(() => scalarBits(program, [1])).toThrow(/kernel p takes 5 scalars and got 1/);
});

describe('fences', () => {
  /** A device that passes what was submitted when it is told to. */
  function device() {
    const health = new Health();
    const passes: (() => void)[] = [];
    const progress = new Progress(() => new Promise<void>((resolve) => passes.push(resolve)), health);
    const pass = async (): Promise<void> => {
      passes.shift()!();
      await new Promise((resolve) => setTimeout(resolve));
    };
    return { health, passes, progress, pass };
  }

  it('are done in the order of their submissions, in whatever order they are asked for', async () => {
    const { passes, progress, pass } = device();
    const fences = Array.from({ length: 6 }, () => progress.submitted(1));
    const order: number[] = [];
    for (const i of [5, 1, 3]) void fences[i]!.done.then(() => order.push(i));
    while (passes.length > 0) await pass();
    expect([order[0], order.at(-1)]).toEqual([1, 5]);
    const asked = passes.length;
    await fences[0]!.done; // It has passed: the device is not asked.
    expect(passes).toHaveLength(asked);
  });

  it('ask a caller to wait that is three marks ahead, until the device has caught up', async () => {
    const { passes, progress, pass } = device();
    const paces = Array.from({ length: 4 }, () => progress.submitted(4096).pace);
    expect(passes).toHaveLength(4);
    expect(paces).toEqual([undefined, undefined, expect.any(Promise), expect.any(Promise)]);
    while (passes.length > 0) await pass();
    expect(progress.submitted(0).pace).toBeUndefined();
  });

  it('fail as the device does, those that are asked for later as well', async () => {
    const { health, progress, pass } = device();
    const fences = [progress.submitted(1), progress.submitted(1)];
    const waiting = fences[0]!.done;
    const failure = new DeviceError('the device is gone');
    health.fail(failure);
    await expect(waiting).rejects.toBe(failure);
    await pass();
    await expect(fences[1]!.done).rejects.toBe(failure);
  });
});
