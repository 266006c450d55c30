/** Whose memory it is, and that it comes back: scopes, disposal, devices that run out. */
import { describe, expect, it } from 'vitest';
import { interpreterBackend } from '../src/testing/index.ts';
import * as t from './all.ts';
import {
  expectNoLeak,
  faulty,
  list,
  live,
  noFaults,
  onDevice,
  useFreshDevice,
  vector,
} from './runtime-support.ts';

const faults = noFaults();

const disposable = <F extends { dispose(): void }>(call: F) => ({
  call,
  [Symbol.dispose]: () => call.dispose(),
});

useFreshDevice({}, (factory) => faulty(factory, faults));

describe('memory', () => {
  it('is taken when something runs, and is back when the handles are gone', async () => {
    expect(live()).toMatchObject({ bytes: 0, buffers: 0 });
    const x = vector(1, 2, 3);
    const y = x.add(1);
    const z = y.mul(2);
    expect(live().buffers).toBe(0);
    await z.data();
    expect(live()).toMatchObject({ bytes: 24, buffers: 2 }); // x and z; y was never stored
    x.dispose();
    expect(live().buffers).toBe(2); // y can still be asked for, and needs x
    y.dispose();
    expect(live().buffers).toBe(1);
    z.dispose();
    expect(live()).toMatchObject({ bytes: 0, buffers: 0 });
  });

  it('of an operand lives as long as something has to be computed from it', async () => {
    const x = await onDevice(vector(1, 2, 3));
    const y = x.add(1);
    x.dispose();
    expect(live().buffers).toBe(1);
    expect(await list(y)).toEqual([2, 3, 4]);
    expect(live().buffers).toBe(1);
    y.dispose();
    expect(live().buffers).toBe(0);
  });

  it('of a saved value lives until the gradient has been made', async () => {
    await expectNoLeak(async () => {
      const w = t.variable(vector(1, 2, 3));
      const loss = t.scope(() => t.exp(w).sum());
      await loss.data();
      t.scope(() => loss.backward());
      loss.dispose();
      await w.grad!.data();
      expect(live().buffers).toBe(2); // w and its gradient
      w.grad!.dispose();
      w.dispose();
    });
  });

  it('can be given back twice, and is used no more', () => {
    const x = vector(1);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    expect(String(x)).toBe('Tensor(disposed)');
    for (const use of [() => x.shape, () => x.add(1), () => x.dataSync()]) {
      expect(use).toThrow(expect.objectContaining({ code: 'TUTTI_DISPOSED' }));
    }
  });

  it('of a `using` declaration is back at the end of the block', async () => {
    await expectNoLeak(async () => {
      {
        using x = vector(1, 2);
        using y = x.mul(3);
        expect(await list(y)).toEqual([3, 6]);
      }
    });
  });

  it('is on the device once it is realized, with what it is made of on the host', async () => {
    await expectNoLeak(async () => {
      const before = live();
      const [x, y] = [vector(1, 2), t.zeros([0])];
      expect(live()).toEqual(before);
      await Promise.all([t.realize(x, y), x.realize()]);
      expect(live()).toMatchObject({ bytes: before.bytes + 8 });
      expect(await list(x)).toEqual([1, 2]);
      const given = t.scope(() => vector(3));
      const uploading = given.realize();
      given.dispose();
      await uploading;
      x.dispose();
      y.dispose();
    });
  });

  it('can be read while the handle is given up', async () => {
    await expectNoLeak(async () => {
      const x = t.scope(() => vector(1, 2).mul(2));
      const [data, other] = [x.data(), x.to('interpreter')];
      x.dispose();
      expect([...(await data)]).toEqual([2, 4]);
      const moved = await other;
      expect(await list(moved)).toEqual([2, 4]);
      moved.dispose();
    });
  });
});

describe('scope', () => {
  it('disposes what it made, but for what it returns', async () => {
    await expectNoLeak(async () => {
      const kept = t.scope(() => {
        const x = vector(1, 2);
        const y = x.add(1);
        return { y, nested: [t.scope(() => y.mul(x))] };
      });
      expect([await list(kept.y), await list(kept.nested[0]!)]).toEqual([
        [2, 3],
        [2, 6],
      ]);
      for (const x of [kept.y, ...kept.nested]) x.dispose();
    });
  });

  it('hands what it returns to the scope around it', () => {
    let inner: t.Tensor | undefined;
    t.scope(() => {
      inner = t.scope(() => vector(1));
      expect(inner.disposed).toBe(false);
    });
    expect(inner!.disposed).toBe(true);
  });

  it('leaves variables and gradients alone', async () => {
    const w = t.scope(() => t.variable(vector(1, 2)));
    t.scope(() => w.square().sum().backward());
    expect(await list(w.grad!)).toEqual([2, 4]);
  });

  it('disposes what was made when it fails', () => {
    let made: t.Tensor | undefined;
    const failing = (): void =>
      t.scope(() => {
        made = vector(1);
        throw new RangeError('planned');
      });
    expect(failing).toThrow('planned');
    expect(made!.disposed).toBe(true);
    expect(t.context.scope).toBeUndefined();
  });

  it('refuses an async function', () => {
    expect(() => t.scope(async () => vector(1))).toThrow(expect.objectContaining({ code: 'TUTTI_ARGUMENT' }));
  });
});

describe('a device without memory', () => {
  /** Runs `use` with each allocation failing in turn, until it succeeds. */
  async function withEachFailure(use: () => Promise<void>, check: () => Promise<void>): Promise<number> {
    for (let n = 0; n < 100; n++) {
      const { buffers } = live();
      faults.failAt = n;
      let failed = false;
      try {
        await use();
      } catch (error) {
        expect(error).toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
        failed = true;
      }
      faults.failAt = undefined;
      await check();
      if (failed) expect(live().buffers).toBe(buffers);
      else return n;
    }
    throw new RangeError('it always fails');
  }

  it('gives everything back when a run fails, and can go on', async () => {
    const x = await onDevice(vector(1, 2, 3, 4));
    const failures = await withEachFailure(
      async () => {
        const results = t.scope(() => {
          const y = t.softmax(x.reshape([2, 2]).matmul(t.full([2, 2], 0.5)), 0);
          const sums = t.flip(y.sum(0), 0);
          return [y, t.exp(sums).sum(), y.mul(sums.sum()), vector(1, 2).add(1)];
        });
        try {
          await t.realize(...results);
        } finally {
          for (const y of results) y.dispose();
        }
      },
      async () => expect(await list(x)).toEqual([1, 2, 3, 4]),
    );
    expect(failures).toBeGreaterThan(4);
  });

  /** What is said of each allocation of some work that fails. */
  async function saidOf(use: () => Promise<unknown>): Promise<string[]> {
    const said: string[] = [];
    for (let n = 0; n < 20; n++) {
      faults.failAt = n;
      try {
        await use();
        return said;
      } catch (error) {
        const { op, message, cause } = error as t.TuttiError;
        expect(message).toBe(
          `${message.split(' on interpreter: ')[0]} on interpreter: no memory, as planned`,
        );
        expect(message.startsWith(`${op}: no memory for `)).toBe(true);
        expect(cause).toMatchObject({ message: 'no memory, as planned' });
        said.push(message.slice(`${op}: no memory for `.length).split(' on ')[0]!);
      } finally {
        faults.failAt = undefined;
      }
    }
    throw new RangeError('it always fails');
  }

  it('names who computes a value, and not the variable that starts from it', async () => {
    const said: unknown[] = [];
    const v = t.variable(t.exp(vector(1, 2, 3)));
    for (const n of [0, 1]) {
      faults.failAt = n;
      await t.realize(v).catch(({ op }: t.TuttiError) => said.push(op));
    }
    faults.failAt = undefined;
    expect(said).toEqual(['tensor', 'exp']);
    expect((await list(v)).map(Math.log).map(Math.round)).toEqual([1, 2, 3]);
    v.dispose();
  });

  it('says what the memory was for', async () => {
    t.configure({ fusion: false });
    const values = (): t.Tensor => t.scope(() => t.exp(vector(1, 2, 3).add(0.25)).sum());
    expect(new Set(await saidOf(() => values().data()))).toEqual(
      new Set(['float32 [3]', 'float32 []', 'an intermediate value']),
    );
    const v = t.variable(vector(1, 2));
    await t.realize(v);
    using f = disposable(
      t.jit((x: t.Tensor) => {
        v.assign(v.add(0.5).mul(x));
        return x.mul(3);
      }),
    );
    const x = await onDevice(vector(1, 2));
    expect(await saidOf(() => f.call(x))).toContain('float32 [2]');
  });

  it('lets a failed value be computed later', async () => {
    await expectNoLeak(async () => {
      const x = t.scope(() => vector(1, 2).add(1));
      faults.failAt = 0;
      await expect(x.data()).rejects.toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
      faults.failAt = 1;
      expect(() => x.dataSync()).toThrow(expect.objectContaining({ code: 'TUTTI_OUT_OF_MEMORY' }));
      faults.failAt = undefined;
      expect(await list(x)).toEqual([2, 3]);
      x.dispose();
    });
  });

  it('leaves variables that wait for their value waiting', async () => {
    const v = t.variable(vector(1, 2));
    await t.realize(v);
    v.assign(v.mul(10));
    const x = vector(5);
    faults.onSubmit = () => {
      throw new t.OutOfMemoryError('no memory, as planned');
    };
    await expect(x.add(1).data()).rejects.toMatchObject({ code: 'TUTTI_OUT_OF_MEMORY' });
    faults.onSubmit = () => {};
    expect(t.context.pending.has(v)).toBe(true);
    expect(await list(x.add(1))).toEqual([6]);
    expect(t.context.pending.size).toBe(0);
    expect(await list(v)).toEqual([10, 20]);
    v.dispose();
  });

  it('leaves variables as they were when a jitted step fails', async () => {
    const start = await onDevice(vector(1, 2, 3, 4));
    const v = t.variable(start);
    start.dispose();
    await t.realize(v);
    const step = t.jit((x: t.Tensor) => {
      const y = t.softmax(v.reshape([2, 2]).matmul(x), 0);
      v.assign(v.add(1));
      return [y, t.flip(y.sum(0), 0), t.exp(t.flip(y.sum(1), 0)).sum()];
    });
    const x = await onDevice(t.ones([2, 2]));
    let expected = 1;
    const keep = t.detach(v); // so that no step may change the old value in place
    const failures = await withEachFailure(
      async () => {
        const results = await step(x);
        expected++;
        for (const y of results) y.dispose();
      },
      async () => expect((await list(v))[0]).toBe(expected),
    );
    expect(failures).toBeGreaterThan(3);
    for (const y of [v, x, keep]) y.dispose();
    step.dispose();
    expect(live().buffers).toBe(0);
  });
});

describe('the interpreter', () => {
  it('that only records gives zeros', async () => {
    t.registerBackend(interpreterBackend({ name: 'nothing', execute: false }));
    await t.setDefaultDevice('nothing');
    expect(await list(vector(1, 2).add(5))).toEqual([0, 0]);
    await t.unregisterBackend('nothing');
  });
});
