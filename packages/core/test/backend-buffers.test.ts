import { describe, expect, it } from 'vitest';
import {
  Buffers,
  DeviceError,
  DisposedError,
  KernelError,
  OutOfMemoryError,
  type Program,
  ProgramCache,
  type Sized,
  SizePool,
  uncompiled,
  Workspace,
} from '../src/backend/index.ts';

describe('buffers', () => {
  const make = () => {
    const released: Sized[] = [];
    const buffers = new Buffers<Sized>({
      take: (bytes) => ({ bytes }),
      release: (block) => void released.push(block),
    });
    return { buffers, released };
  };

  it('are counted while they live, and give their memory back', () => {
    const { buffers, released } = make();
    const [a, b] = [buffers.allocate(12), buffers.allocate(0)];
    expect([buffers.bytes, buffers.count]).toEqual([12, 2]);
    buffers.free(a);
    expect(released).toEqual([a.block]);
    expect([buffers.bytes, buffers.count]).toEqual([0, 1]);
    expect(buffers.own(b)).toBe(b);
    buffers.clear();
    expect(buffers.count).toBe(0);
  });

  it('are not counted and not released where they are lent', () => {
    const { buffers, released } = make();
    const lent = buffers.borrow(8, { bytes: 8 });
    expect([buffers.bytes, buffers.count]).toEqual([0, 0]);
    buffers.free(lent);
    expect(released).toEqual([]);
    expect(buffers.count).toBe(0);
    expect(() => buffers.own(lent)).toThrow(DisposedError);
  });

  it('are refused when they are freed, another device’s, or too short', () => {
    const { buffers } = make();
    const buffer = buffers.allocate(8);
    expect(() => buffers.own(make().buffers.allocate(8))).toThrow(DeviceError);
    expect(() => buffers.own({ bytes: 8 })).toThrow(DeviceError);
    expect(buffers.within(buffer, 4, 4)).toBe(buffer);
    expect(() => buffers.within(buffer, 4, 5)).toThrow(/bytes 4 to 9 are outside a buffer of 8/);
    buffers.free(buffer);
    expect(() => buffers.free(buffer)).toThrow(DisposedError);
    expect(buffers.count).toBe(0);
  });
});

describe('a cache of programs', () => {
  const program = (name: string): Program => ({ name, source: () => '' });

  it('makes each once, and nothing out of nothing once', () => {
    const cache = new ProgramCache<Program>();
    const made: string[] = [];
    const get = (key: string) =>
      cache.get(key, () => {
        made.push(key);
        return key === 'none' ? undefined : program(key);
      });
    expect([get('a'), get('a'), get('none'), get('none')].map((each) => each?.name)).toEqual([
      'a',
      'a',
      undefined,
      undefined,
    ]);
    expect(made).toEqual(['a', 'none']);
    cache.clear();
    get('a');
    expect(made).toEqual(['a', 'none', 'a']);
  });

  it('forgets what was asked for longest ago', () => {
    const cache = new ProgramCache<Program>();
    const first = cache.get('first', () => program('first'));
    cache.get('second', () => program('second'));
    for (let i = 0; i < 4094; i++) cache.get(`${i}`, () => program(`${i}`));
    expect(cache.get('first', () => program('another'))).toBe(first);
    cache.get('last', () => program('last'));
    expect(cache.get('first', () => program('another'))).toBe(first);
    expect(cache.get('second', () => program('another'))?.name).toBe('another');
  });

  it('is of programs that say what they are when they come too early', () => {
    const error = uncompiled({ name: 'add', source: () => 'a + b' });
    expect(error).toBeInstanceOf(KernelError);
    expect([error.message, error.received]).toEqual([
      expect.stringMatching('add is submitted before it is compiled'),
      'a + b',
    ]);
  });
});

describe('a workspace', () => {
  const make = (memory: number) => {
    let left = memory;
    const pool = new SizePool<Sized>(
      {
        make: ({ bytes }) => {
          if (bytes > left) return undefined;
          left -= bytes;
          return { bytes };
        },
        destroy: ({ bytes }) => {
          left += bytes;
        },
      },
      { reservedAnyway: 0, mostBytes: 1 << 20 },
    );
    return { pool, workspace: new Workspace(pool) };
  };

  it('is one block, which grows when a program needs more', () => {
    const { pool, workspace } = make(1 << 20);
    workspace.require(1000);
    const { block } = workspace;
    workspace.require(10);
    expect(workspace.block).toBe(block);
    workspace.require(3000);
    expect(workspace.block.bytes).toBeGreaterThanOrEqual(3000);
    expect(pool.reserved - pool.kept).toBe(workspace.block.bytes);
  });

  it('has no block after it could not grow', () => {
    const { pool, workspace } = make(2048);
    workspace.require(1024);
    expect(workspace.block.bytes).toBe(1024);
    workspace.require(4096);
    for (let i = 0; i < 2; i++) {
      expect(() => workspace.block).toThrow(OutOfMemoryError);
      expect([pool.reserved, pool.kept]).toEqual([0, 0]);
    }
  });
});
