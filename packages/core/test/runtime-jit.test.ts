/** Traced functions: what a replay reads, what it changes, and what it refuses. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, list, live, recording, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice();

const failure = async (promise: Promise<unknown>): Promise<t.TuttiError> => {
  try {
    await promise;
  } catch (error) {
    return error as t.TuttiError;
  }
  throw new RangeError('it did not fail');
};

describe('a jitted function', () => {
  it('says which of its arguments was disposed of', async () => {
    const f = t.jit((x: t.Tensor, { y }: { y: t.Tensor }) => x.add(y));
    const gone = vector(1, 2);
    gone.dispose();
    expect(await failure(f(vector(1, 2), { y: gone }))).toMatchObject({
      code: 'TUTTI_DISPOSED',
      op: 'jit',
      message: expect.stringMatching(/^jit: argument 2, a tensor of shape \[2\], has been disposed\n/),
    });
  });

  it('is traced once for each signature, and builds no graph after that', async () => {
    let runs = 0;
    const f = t.jit((x: t.Tensor) => {
      runs++;
      return x.mul(2).add(1);
    });
    const [a, b] = [vector(1, 2), vector(3, 4)];
    expect(await list(await f(a))).toEqual([3, 5]);
    const before = t.statistics();
    const result = await f(b);
    const after = t.statistics();
    expect(await list(result)).toEqual([7, 9]);
    expect(after.plansBuilt).toBe(before.plansBuilt);
    expect(after.traces).toBe(before.traces);
    expect(after.graphNodes - before.graphNodes).toBe(1); // the leaf of the result
    expect({ ...f.stats, runs }).toEqual({ calls: 2, traces: 1, steps: 1, runs: 1 });
    await f(t.zeros([3]));
    await f(t.zeros([2], { dtype: 'int32' }));
    expect(f.stats.traces).toBe(3);
    expect(f.describe()).toContain('output0');
  });

  it('takes trees of tensors and plain values, which are part of the signature', async () => {
    const f = t.jit((tree: { xs: t.Tensor[]; scale: number; mode: string | null; flip: boolean }) => ({
      sum: tree.xs.reduce((a, b) => a.add(b)).mul(tree.scale),
      pair: [
        tree.xs[0]!,
        tree.mode === null ? tree.xs[0]!.neg() : tree.xs[0]!.add(tree.flip ? 1 : 2),
      ] as const,
      note: tree.mode,
    }));
    const xs = [vector(1, 2), vector(10, 20)];
    const first = await f({ xs, scale: 2, mode: 'null', flip: true });
    expect([await list(first.sum), await list(first.pair[0]), await list(first.pair[1]), first.note]).toEqual(
      [[22, 44], [1, 2], [2, 3], 'null'],
    );
    const second = await f({ xs, scale: 2, mode: null, flip: true });
    expect([await list(second.pair[1]), second.note]).toEqual([[-1, -2], null]);
    expect(await list((await f({ xs, scale: -0, mode: 'null', flip: true })).sum)).toEqual([-0, -0]);
    expect(await list((await f({ xs, scale: 0, mode: 'null', flip: true })).sum)).toEqual([0, 0]);
    await f({ xs, scale: 2, mode: 'null', flip: true });
    expect(f.stats.traces).toBe(4);
  });

  it('tells equal texts of different kinds apart', async () => {
    const f = t.jit((x: unknown) =>
      vector(
        typeof x === 'number'
          ? 1
          : typeof x === 'string'
            ? 2
            : typeof x === 'boolean'
              ? 3
              : x === null
                ? 4
                : 5,
      ),
    );
    const values = [];
    for (const x of [1, '1', 'number 1', true, 'true', null, 'null', undefined, 'undefined'])
      values.push(await (await f(x)).item());
    expect(values).toEqual([1, 2, 2, 3, 2, 4, 2, 5, 2]);
  });

  it('refuses arguments that have no signature', async () => {
    const f = t.jit((x: unknown) => (x ? vector(1) : vector(2)));
    expect(await failure(f(new Map()))).toMatchObject({ code: 'TUTTI_ARGUMENT' });
    expect(await failure(f(() => 1))).toMatchObject({ code: 'TUTTI_ARGUMENT' });
    expect(() => t.jit(5 as never)).toThrow(t.ArgumentError);
    expect(await failure(t.jit(() => 5)())).toMatchObject({ code: 'TUTTI_ARGUMENT' });
  });

  it('gives results of their own: an argument or a result that comes twice is copied', async () => {
    await expectNoLeak(async () => {
      const f = t.jit((x: t.Tensor) => {
        const y = x.add(1);
        return [x, y, y, y.reshape([2, 1]), x];
      });
      const x = vector(1, 2);
      const results = await f(x);
      x.dispose();
      expect(await Promise.all(results.map(list))).toEqual([
        [1, 2],
        [2, 3],
        [2, 3],
        [2, 3],
        [1, 2],
      ]);
      results[1]!.dispose();
      expect(await list(results[2]!)).toEqual([2, 3]);
      for (const y of results) y.dispose();
      f.dispose();
    });
  });

  it('takes the same tensor for several arguments', async () => {
    const f = t.jit((a: t.Tensor, b: t.Tensor) => a.mul(10).add(b));
    const x = vector(1, 2);
    expect(await list(await f(x, x))).toEqual([11, 22]);
    expect(await list(await f(x, vector(5, 5)))).toEqual([15, 25]);
  });

  it('computes what it is given lazily first, and what it closes over once', async () => {
    const f = t.jit((x: t.Tensor) => x.add(table));
    const table = t.exp(vector(0, 1)).sum().reshape([1]);
    await f(vector(1, 2));
    recording.commands.length = 0;
    const result = await f(vector(1, 2).mul(3));
    expect(recording.commands.length).toBe(2); // the argument and the plan
    expect((await list(result))[0]).toBeCloseTo(3 + 1 + Math.E, 5);
  });

  it('knows whether gradients are on, and which device is the default', async () => {
    const f = t.jit((x: t.Tensor) => x.mul(2));
    await f(vector(1));
    await t.noGrad(() => f(vector(1)));
    expect(f.stats.traces).toBe(2);
  });

  it('is forgotten signature by signature when there are very many', async () => {
    const f = t.jit((n: number) => t.full([1], n).add(state));
    const state = t.variable(vector(0));
    for (let n = 0; n < 100; n++) expect(await (await f(n)).item()).toBe(n);
    expect(f.stats.traces).toBe(100);
    expect(await (await f(99)).item()).toBe(99);
    expect(f.stats.traces).toBe(100);
    expect(await (await f(0)).item()).toBe(0);
    expect(f.stats.traces).toBe(101);
  });
});

describe('variables in a jitted function', () => {
  it('are read anew at every call', async () => {
    const v = t.variable(vector(1, 2));
    const f = t.jit((x: t.Tensor) => x.mul(v));
    expect(await list(await f(vector(1, 1)))).toEqual([1, 2]);
    v.assign(vector(5, 6));
    expect(await list(await f(vector(1, 1)))).toEqual([5, 6]);
    expect(f.stats.traces).toBe(1);
  });

  it('are changed in place where nobody sees the old value', async () => {
    await expectNoLeak(async () => {
      const v = t.variable(vector(1, 2));
      await t.realize(v);
      const step = t.jit(() => v.assign(v.mul(2).add(1)));
      await step();
      const { buffers } = live();
      const buffer = v.node.storage;
      const { allocations } = live();
      for (let i = 0; i < 5; i++) await step();
      expect(v.node.storage).toBe(buffer);
      expect(live()).toMatchObject({ buffers, allocations });
      expect(await list(v)).toEqual([127, 191]);
      v.dispose();
      step.dispose();
    });
  });

  it('are not changed under a value that was made from them and has not been computed', async () => {
    const v = t.variable(vector(1, 2));
    const old = v.mul(100);
    const view = t.detach(v);
    const step = t.jit(() => v.assign(v.add(1)));
    await step();
    await step();
    expect([await list(old), await list(view), await list(v)]).toEqual([
      [100, 200],
      [1, 2],
      [3, 4],
    ]);
  });

  it('are not changed under a read that is under way', async () => {
    const v = t.variable(vector(1, 2));
    const step = t.jit(() => v.assign(v.add(1)));
    await step();
    const reads: Promise<number[]>[] = [];
    for (let i = 0; i < 4; i++) {
      reads.push(list(v));
      await step();
    }
    expect(await Promise.all(reads)).toEqual([
      [2, 3],
      [3, 4],
      [4, 5],
      [5, 6],
    ]);
  });

  it("see each other's old values, and their own new ones after an assignment", async () => {
    const [a, b] = [t.variable(vector(1, 2)), t.variable(vector(10, 20))];
    const swap = t.jit(() => {
      const old = a.mul(1.5).div(1.5);
      a.assign(b.mul(1));
      b.assign(old);
      return a.add(b);
    });
    expect(await list(await swap())).toEqual([11, 22]);
    expect([await list(a), await list(b)]).toEqual([
      [10, 20],
      [1, 2],
    ]);
    await swap();
    expect([await list(a), await list(b)]).toEqual([
      [1, 2],
      [10, 20],
    ]);
  });

  it('may be exchanged outright', async () => {
    const [a, b] = [t.variable(vector(1, 2)), t.variable(vector(10, 20))];
    const swap = t.jit(() => {
      const old = t.detach(a);
      a.assign(b);
      b.assign(old);
    });
    await swap();
    expect([await list(a), await list(b)]).toEqual([
      [10, 20],
      [1, 2],
    ]);
    await swap();
    await swap();
    expect([await list(a), await list(b)]).toEqual([
      [10, 20],
      [1, 2],
    ]);
  });

  it('may be arguments: each stands for itself', async () => {
    const [a, b] = [t.variable(vector(1)), t.variable(vector(2))];
    const double = t.jit((v: t.Variable) => v.assign(v.mul(2)));
    await double(a);
    await double(a);
    await double(b);
    expect([await list(a), await list(b), double.stats.traces]).toEqual([[4], [4], 2]);
  });

  it('may be made while it is traced, and are there at the next call', async () => {
    let count: t.Variable | undefined;
    const f = t.jit((x: t.Tensor) => {
      count ??= t.variable(t.zeros([1]));
      count.assign(count.add(1));
      return x.add(count);
    });
    expect(await list(await f(vector(10)))).toEqual([11]);
    expect(await list(await f(vector(10)))).toEqual([12]);
    expect(await list(count!)).toEqual([2]);
  });

  it('may not start from a value that only the trace has', async () => {
    let leaked: t.Variable | undefined;
    const f = t.jit((x: t.Tensor) => {
      leaked = t.variable(x.mul(2));
      return x.add(leaked);
    });
    expect(await failure(f(vector(1)))).toMatchObject({ code: 'TUTTI_TRACE' });
    expect(await failure(leaked!.data())).toMatchObject({ code: 'TUTTI_TRACE' });
    expect(await list(vector(4))).toEqual([4]); // other values are not affected
  });

  it('are left as they were when the function throws', async () => {
    await expectNoLeak(async () => {
      const v = t.variable(vector(1));
      await t.realize(v);
      const constant = vector(3);
      await t.realize(constant);
      const f = t.jit(() => {
        v.assign(v.add(constant));
        throw new RangeError('planned');
      });
      await expect(f()).rejects.toThrow('planned');
      expect(await list(v)).toEqual([1]);
      expect(t.context.trace).toBeUndefined();
      for (const x of [v, constant]) x.dispose();
    });
  });
});

describe('gradients in a jitted function', () => {
  it('are computed there, and leave `.grad` as it was', async () => {
    await expectNoLeak(async () => {
      const w = t.variable(vector(1, 2));
      const before = vector(9, 9);
      w.grad = before;
      const step = t.jit((x: t.Tensor) => {
        w.grad = undefined;
        const loss = w.mul(x).square().sum();
        loss.backward();
        w.assign(w.sub(w.grad!.mul(0.5)));
        return { loss, grad: w.grad! };
      });
      const x = vector(1, 1);
      const { loss, grad } = await step(x);
      expect([await loss.item(), await list(grad)]).toEqual([5, [2, 4]]);
      expect(w.grad).toBe(before);
      expect(await list(w)).toEqual([0, 0]);
      for (const y of [loss, grad, before, x, w]) y.dispose();
      step.dispose();
    });
  });
});

describe('what a trace refuses', () => {
  it('is reading a value, also where nobody waits for it', async () => {
    const reads: ((x: t.Tensor) => unknown)[] = [
      (x) => x.data(),
      (x) => x.item(),
      (x) => x.array(),
      (x) => x.dataSync(),
      (x) => x.realize(),
      (x) => x.to('interpreter'),
      (x) => t.realize(x).catch(() => {}),
    ];
    for (const read of reads) {
      const f = t.jit((x: t.Tensor) => {
        void read(x);
        return x;
      });
      expect(await failure(f(vector(1)))).toMatchObject({ code: 'TUTTI_TRACE' });
    }
  });

  it('is an async function', async () => {
    expect(await failure(t.jit(async (x: t.Tensor) => x.add(1))(vector(1)))).toMatchObject({
      code: 'TUTTI_TRACE',
      message: expect.stringContaining('async'),
    });
  });

  it('is another jitted function: at once, with what to do', async () => {
    const inner = t.jit((x: t.Tensor) => x.add(1));
    const outer = t.jit((x: t.Tensor) => {
      void inner(x);
      return x;
    });
    const error = await failure(outer(vector(1)));
    expect(error).toMatchObject({ code: 'TUTTI_TRACE', fix: expect.stringContaining('plain function') });
    expect(await list(await inner(vector(1)))).toEqual([2]);
  });

  it('is use of its tensors outside', async () => {
    let leaked: t.Tensor | undefined;
    const f = t.jit((x: t.Tensor) => {
      leaked = x.mul(2);
      return x.add(1);
    });
    await f(vector(1));
    expect(() => leaked!.shape).toThrow(
      expect.objectContaining({ code: 'TUTTI_DISPOSED', fix: expect.stringContaining('jit') }),
    );
    expect(() => leaked!.add(1)).toThrow(t.DisposedError);
  });
});

describe('memory of a jitted function', () => {
  it('comes back when it is disposed, constants and all', async () => {
    await expectNoLeak(async () => {
      const table = t.scope(() => t.exp(vector(1, 2, 3)));
      const f = t.jit((x: t.Tensor) =>
        t
          .softmax(x.matmul(x).add(table), 0)
          .sum(0)
          .add(vector(1, 2, 3)),
      );
      const x = t.ones([3, 3]);
      const result = await f(x);
      table.dispose();
      for (const y of [x, result]) y.dispose();
      f.dispose();
      f.dispose();
    });
  });

  it('comes back after a trace that failed', async () => {
    await expectNoLeak(async () => {
      const table = t.exp(vector(1, 2, 3));
      const f = t.jit((x: t.Tensor) => x.add(table).reshape([7]));
      const x = vector(1, 2, 3);
      for (let i = 0; i < 2; i++) expect(await failure(f(x))).toMatchObject({ code: 'TUTTI_SHAPE' });
      for (const y of [x, table]) y.dispose();
      f.dispose();
    });
  });

  it('is refused to calls after that', async () => {
    const f = t.jit((x: t.Tensor) => x.add(1));
    await f(vector(1));
    f.dispose();
    expect(await failure(f(vector(1)))).toMatchObject({ code: 'TUTTI_DISPOSED' });
    const g = t.jit((x: t.Tensor) => x.add(1));
    const x = vector(1);
    const call = g(x);
    g.dispose();
    expect(await failure(call)).toMatchObject({ code: 'TUTTI_DISPOSED' });
  });

  it('does not depend on the caller keeping arguments until it resolves', async () => {
    await expectNoLeak(async () => {
      const f = t.jit((x: t.Tensor) => x.add(1));
      const [x, y] = t.scope(() => [vector(1), vector(2).mul(3)] as const);
      const calls = [f(x), f(y)];
      x.dispose();
      y.dispose();
      const results = await Promise.all(calls);
      expect(await Promise.all(results.map(list))).toEqual([[2], [7]]);
      for (const z of results) z.dispose();
      f.dispose();
    });
  });
});
