/** Several things under way at once. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, faulty, list, live, noFaults, useFreshDevice, vector } from './runtime-support.ts';

const faults = noFaults();
useFreshDevice({}, (factory) => faulty(factory, faults));

/** Programs compile until `done` is called. */
function slowCompiler(): { done: () => void; fail: (error: Error) => void } {
  let done = (): void => {};
  let fail = (_: Error): void => {};
  faults.compiling = new Promise((resolve, reject) => {
    done = resolve;
    fail = reject;
  });
  faults.compiling.catch(() => {});
  return { done, fail };
}

const turns = async (count = 20): Promise<void> => {
  for (let i = 0; i < count; i++) await Promise.resolve();
};

describe('a read that waits', () => {
  const wait = (): { done: () => void; x: t.Tensor } => {
    const { done } = slowCompiler();
    return { done, x: t.scope(() => vector(1, 2).mul(7).sqrt()) };
  };

  it('has programs compiled at once, where the device can', async () => {
    faults.finishes = true;
    const { done, x } = wait();
    try {
      const started = t.realize(x);
      expect([...x.dataSync()]).toEqual([Math.fround(Math.sqrt(7)), Math.fround(Math.sqrt(14))]);
      done();
      await started;
    } finally {
      Object.assign(faults, { compiling: undefined, finishes: false });
    }
  });

  it('says what to do first, where it cannot', async () => {
    await expectNoLeak(async () => {
      const { done, x } = wait();
      expect(() => x.dataSync()).toThrow(
        expect.objectContaining({
          code: 'TUTTI_DEVICE',
          op: 'dataSync',
          fix: expect.stringContaining('await realize(x) first'),
        }),
      );
      done();
      faults.compiling = undefined;
      await t.realize(x);
      expect(x.dataSync()[0]).toBeCloseTo(Math.sqrt(7));
      x.dispose();
    });
  });
});

describe('several reads at once', () => {
  it('of one value give the same, and leave one buffer', async () => {
    await expectNoLeak(async () => {
      const x = t.scope(() => t.exp(vector(1, 2, 3)));
      const y = t.scope(() => x.add(1));
      const results = await Promise.all([x.data(), y.data(), x.data(), y.array(), t.realize(x, y), x.data()]);
      expect(results[0]).toEqual(results[2]);
      expect(results[0]).toEqual(results[5]);
      expect([...(results[1] as Float32Array)]).toEqual(results[3]);
      x.dispose();
      y.dispose();
    });
  });

  it('while programs compile', async () => {
    await expectNoLeak(async () => {
      const { done } = slowCompiler();
      const v = t.variable(vector(1, 2));
      const [x, y] = t.scope(() => [v.mul(2), v.add(5)] as const);
      const reads = [list(x), list(y), list(x)];
      v.assign(vector(100, 200));
      await turns();
      x.dispose();
      done();
      expect(await Promise.all(reads)).toEqual([
        [2, 4],
        [6, 7],
        [2, 4],
      ]);
      expect(await list(v)).toEqual([100, 200]);
      faults.compiling = undefined;
      y.dispose();
      v.dispose();
      await turns();
    });
  });

  it('cannot be synchronous while programs compile', async () => {
    const { done } = slowCompiler();
    const x = vector(1).add(1);
    expect(() => x.dataSync()).toThrow(
      expect.objectContaining({ code: 'TUTTI_DEVICE', fix: expect.stringContaining('await') }),
    );
    faults.compiling = undefined;
    done();
    expect(await list(x)).toEqual([2]);
  });

  it('all learn that a program did not compile, and nothing is lost', async () => {
    await expectNoLeak(async () => {
      const { fail } = slowCompiler();
      const x = t.scope(() => vector(1).tan());
      const v = t.variable(x);
      v.assign(v.add(1));
      const reads = [x.data(), t.realize(x), v.data()].map((read) =>
        read.then(
          () => 'done',
          (error: Error) => error.message,
        ),
      );
      fail(new t.KernelError('it does not compile'));
      expect((await Promise.all(reads)).every((text) => text.includes('does not compile'))).toBe(true);
      faults.compiling = undefined;
      expect(t.context.pending.has(v)).toBe(true);
      x.dispose();
      v.dispose();
      expect(t.context.pending.size).toBe(0);
    });
  });
});

describe('calls of a jitted function', () => {
  it('take effect in order, whether they are awaited or not', async () => {
    const v = t.variable(vector(0));
    const step = t.jit((x: t.Tensor) => {
      v.assign(v.mul(10).add(x.sum()));
      return v.add(0);
    });
    const calls = [1, 2, 3].map((n) => step(vector(n)));
    const values = await Promise.all(calls.map(async (call) => (await call).item()));
    expect(values).toEqual([1, 12, 123]);
    expect(await list(v)).toEqual([123]);
  });

  it('take effect in order when the first has to be compiled and the second has not', async () => {
    const v = t.variable(vector(0));
    const step = t.jit((x: t.Tensor) => v.assign(v.mul(10).add(x.sum())));
    await step(vector(1));
    const { done } = slowCompiler();
    const calls = [step(vector(1, 1)), step(vector(3))];
    await turns();
    done();
    await Promise.all(calls);
    faults.compiling = undefined;
    expect(await list(v)).toEqual([123]);
  });

  it('are not stopped by one that fails', async () => {
    const v = t.variable(vector(0));
    const step = t.jit((x: t.Tensor) => v.assign(v.add(x.reshape([1]))));
    const calls = [step(vector(1)), step(vector(1, 2)), step(vector(5))];
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await list(v)).toEqual([6]);
    expect(step.stats.calls).toBe(3);
  });

  it('of two functions on the same variables do not disturb each other', async () => {
    const v = t.variable(vector(1, 1));
    const grow = t.jit(() => v.assign(v.mul(2)));
    const total = t.jit((x: t.Tensor) => v.mul(x).sum());
    const x = vector(1, 1);
    await grow();
    await total(x);
    const results: Promise<number>[] = [];
    for (let i = 0; i < 5; i++) {
      results.push(total(x).then((y) => y.item()));
      await grow();
    }
    expect(await Promise.all(results)).toEqual([4, 8, 16, 32, 64]);
  });

  it('while a compilation fails are errors, and the next one compiles again', async () => {
    await expectNoLeak(async () => {
      const f = t.jit((x: t.Tensor) => t.sin(x).add(table));
      const table = t.scope(() => vector(1).add(1));
      await t.realize(table);
      const { fail } = slowCompiler();
      const x = vector(0);
      const calls = [f(x), f(x)].map((call) => call.catch((error: Error) => error.message));
      await turns();
      fail(new t.KernelError('it does not compile'));
      for (const message of await Promise.all(calls)) expect(message).toContain('does not compile');
      faults.compiling = undefined;
      const result = await f(x);
      expect(await list(result)).toEqual([2]);
      f.dispose();
      for (const y of [x, result, table]) y.dispose();
    });
  });

  it('can run while it is disposed', async () => {
    await expectNoLeak(async () => {
      const f = t.jit((x: t.Tensor) => t.flip(x.add(1), 0).sum());
      const x = vector(1, 2);
      const first = await f(x);
      const { done } = slowCompiler();
      const y = vector(1, 2, 3);
      const call = f(y).catch((error: t.TuttiError) => error.code);
      await turns();
      f.dispose();
      done();
      expect(await call).toBe('TUTTI_DISPOSED');
      faults.compiling = undefined;
      for (const z of [x, y, first]) z.dispose();
    });
  });
});

describe('a device that fails', () => {
  it('is an error of the run that met it, and the values can be asked for again', async () => {
    await expectNoLeak(async () => {
      const x = t.scope(() => vector(1).add(1));
      faults.onSubmit = () => {
        throw new t.DeviceError('the device is busy');
      };
      await expect(x.data()).rejects.toMatchObject({ code: 'TUTTI_DEVICE' });
      const f = t.jit((y: t.Tensor) => y.add(x));
      const y = vector(1);
      await expect(f(y)).rejects.toMatchObject({ code: 'TUTTI_DEVICE' });
      faults.onSubmit = () => {};
      expect(await list(x)).toEqual([2]);
      const result = await f(y);
      expect(await list(result)).toEqual([3]);
      f.dispose();
      for (const z of [x, y, result]) z.dispose();
      expect(live().buffers).toBe(0);
    });
  });
});
