/** Results of all kinds: inputs handed through, constants, duplicates, other shapes, no elements. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, list, recording, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice();

const copies = (): number => recording.commands.filter((command) => command.kind === 'copy').length;

describe('a plan', () => {
  it('hands an input through as a copy of its own', async () => {
    await expectNoLeak(async () => {
      const x = vector(1, 2, 3);
      const same = t.detach(x);
      const shaped = x.reshape([3, 1]);
      await t.realize(x, same, shaped);
      expect(copies()).toBe(2);
      x.dispose();
      expect(await list(same)).toEqual([1, 2, 3]);
      expect(await list(shaped)).toEqual([1, 2, 3]);
      for (const y of [same, shaped]) y.dispose();
    });
  });

  it('computes a value once that is asked for twice', async () => {
    await expectNoLeak(async () => {
      const x = vector(1, 2, 3);
      const [a, b] = [t.exp(x), t.exp(x)];
      const c = b.reshape([1, 3]);
      await t.realize(a, b, c, a);
      expect(recording.kernels.length).toBe(1);
      for (const y of [x, a, b]) y.dispose();
      expect((await list(c))[1]).toBeCloseTo(Math.exp(2), 5);
      c.dispose();
    });
  });

  it('makes constants, scalars and ranges', async () => {
    expect(await t.full([2, 2], 7).array()).toEqual([
      [7, 7],
      [7, 7],
    ]);
    expect(await t.constant(3, 'int32').item()).toBe(3);
    expect(await t.constant(0.1, 'float32').item()).toBe(Math.fround(0.1));
    expect(await list(t.arange(4))).toEqual([0, 1, 2, 3]);
    expect(
      await t
        .ones([2])
        .add(t.ones([2]))
        .array(),
    ).toEqual([2, 2]);
  });

  it('rounds a constant as any float32, whether it is a parameter or part of the kernel', async () => {
    const x = vector(1);
    const eager = await x.mul(0.1).add(16777217).item();
    const run = t.jit((y: t.Tensor) => y.mul(0.1).add(16777217));
    expect(await (await run(x)).item()).toBe(eager);
    expect(eager).toBe(Math.fround(Math.fround(0.1) + 16777216));
  });

  it('takes changing constants as parameters, without compiling again', async () => {
    const x = vector(2);
    const before = t.statistics().plansBuilt;
    for (const rate of [0.1, 0.2, 0.3])
      expect(await x.mul(rate).item()).toBe(Math.fround(2 * Math.fround(rate)));
    expect(t.statistics().plansBuilt - before).toBe(1);
  });

  it('works with no elements', async () => {
    await expectNoLeak(async () => {
      const none = t.zeros([0, 3]);
      const results = [
        none.add(1),
        none.sum(0),
        none.sum(),
        t.prod(none),
        t.matmul(t.zeros([2, 0]), none),
        none.reshape([3, 0]),
        t.concat([none, none]),
      ];
      await t.realize(...results);
      expect(results.map((x) => x.shape)).toEqual([[0, 3], [3], [], [], [2, 3], [3, 0], [0, 3]]);
      expect(await Promise.all(results.map(list))).toEqual([
        [],
        [0, 0, 0],
        [0],
        [1],
        [0, 0, 0, 0, 0, 0],
        [],
        [],
      ]);
      for (const x of [none, ...results]) x.dispose();
    });
  });

  it('is found again for an equal graph, and not under another setting', async () => {
    const built = () => t.statistics().plansBuilt;
    const run = async (): Promise<void> => void (await list(t.softmax(vector(1, 2, 3))));
    const start = built();
    await run();
    const first = built() - start;
    await run();
    expect(built() - start).toBe(first);
    t.configure({ fusion: false });
    await run();
    expect(built() - start).toBeGreaterThan(first);
  });

  it('stores what a gradient needs, so that the backward pass starts from it', async () => {
    await expectNoLeak(async () => {
      const w = t.variable(t.ones([4, 4]));
      const loss = t.scope(() =>
        t
          .softmax(t.exp(w.matmul(w)))
          .mul(w)
          .sum(),
      );
      await loss.item();
      t.scope(() => loss.backward());
      const eager = await list(w.grad!);
      const v = t.variable(t.ones([4, 4]));
      t.scope(() =>
        t
          .softmax(t.exp(v.matmul(v)))
          .mul(v)
          .sum()
          .backward(),
      );
      expect(eager).toEqual(await list(v.grad!));
      for (const x of [w.grad!, v.grad!, w, v, loss]) x.dispose();
    });
  });
});

describe('variables', () => {
  it('that were assigned are computed with whatever is read next', async () => {
    const v = t.variable(vector(1, 2));
    v.assign(v.mul(2));
    v.assign(v.add(1));
    const x = vector(5);
    expect(await x.mul(3).item()).toBe(15);
    expect(v.node.computed).toBe(true);
    expect(await list(v)).toEqual([3, 5]);
  });

  it('keep their memory to themselves', async () => {
    const start = vector(1, 2);
    const v = t.variable(start);
    const w = t.variable(v);
    v.assign(v.add(1));
    await t.realize(v, w, start);
    start.dispose();
    v.dispose();
    expect(await list(w)).toEqual([1, 2]);
  });

  it('show an old value to what was computed before the assignment', async () => {
    const v = t.variable(vector(1, 2));
    const old = v.mul(10);
    v.assign(vector(7, 8));
    const fresh = v.mul(10);
    expect([await list(old), await list(fresh)]).toEqual([
      [10, 20],
      [70, 80],
    ]);
  });
});

describe('debug output', () => {
  it('shows plans, graphs, kernels and sources, by level', async () => {
    const lines: string[] = [];
    const before = t.configure({ log: (text) => lines.push(text), debug: 4 });
    await list(
      t
        .exp(vector(1, 2, 3))
        .sum()
        .add(1),
    );
    t.configure(before);
    const text = lines.join('\n');
    for (const part of ['graph of', 'plan of', 'reduceSum', 'acc0:f32 sum=', 'exp', 'temporaries'])
      expect(text).toContain(part);
    const count = lines.length;
    await list(t.exp(vector(1, 2)).sum());
    expect(lines.length).toBe(count);
  });

  it('refuses settings that do not exist', () => {
    expect(() => t.configure({ colour: 1 } as never)).toThrow(
      expect.objectContaining({ code: 'TUTTI_ARGUMENT' }),
    );
    expect(() => t.configure({ debug: 9 as never })).toThrow(/debug level 9/);
  });
});
