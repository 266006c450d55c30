/** Indices that turn out to be wrong when a result is read. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, list, live, onDevice, recording, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice();

const bad = { code: 'TUTTI_INDEX' };

/** Indices that the device holds, so that nobody can look at them while the graph is built. */
const indices = (...values: number[]): Promise<t.Tensor> => onDevice(t.tensor(values, { dtype: 'int32' }));

const failure = async (x: t.Tensor): Promise<unknown> => x.data().then(String, (error: unknown) => error);

describe('an index out of range', () => {
  it('is an error whenever the result is read, and of nothing else', async () => {
    await expectNoLeak(async () => {
      const x = vector(10, 20, 30);
      const index = await indices(0, 3);
      const wrong = t.take(x, index);
      const sibling = x.mul(2);
      await t.realize(wrong, sibling);
      for (let i = 0; i < 3; i++) {
        await expect(wrong.data()).rejects.toMatchObject(bad);
        expect(() => wrong.dataSync()).toThrow(expect.objectContaining(bad));
        expect(await list(sibling)).toEqual([20, 40, 60]);
        expect(await list(x)).toEqual([10, 20, 30]);
      }
      for (const y of [x, index, wrong, sibling]) y.dispose();
    });
  });

  it('is found by a synchronous read', async () => {
    const index = await indices(0, 3);
    const x = vector(10, 20, 30);
    expect(() => t.take(x, index).add(1).dataSync()).toThrow(expect.objectContaining(bad));
    expect([...t.take(x, await indices(0, 2)).dataSync()]).toEqual([10, 30]);
  });

  it('is an error of what is computed from the result, in the same run or in later ones', async () => {
    const x = vector(10, 20, 30);
    const wrong = t.take(x, await indices(0, -1));
    const same = wrong.add(1);
    await t.realize(wrong);
    const later = wrong.mul(2);
    await t.realize(later);
    const latest = later.sum().add(x.sum());
    for (const y of [same, later, latest]) await expect(y.data()).rejects.toMatchObject(bad);
    await expect(wrong.to('interpreter')).rejects.toMatchObject(bad);
    expect(await list(t.take(x, await indices(0, 2)))).toEqual([10, 30]);
  });

  it('is no error of a result that does not use it', async () => {
    const x = vector(10, 20, 30);
    const [good, wrong] = [t.take(x, await indices(1)), t.take(x, await indices(9))];
    const outputs = [good.add(1), wrong.add(1), good.add(wrong), x.add(1)];
    await t.realize(...outputs);
    const read = await Promise.all(
      outputs.map((y) =>
        y.data().then(
          (data) => [...data],
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(read).toEqual([[21], 'TUTTI_INDEX', 'TUTTI_INDEX', [11, 21, 31]]);
  });

  it('says which operation it was', async () => {
    const wrong = t.take(vector(1, 2), await indices(5));
    await expect(wrong.data()).rejects.toMatchObject({
      op: 'take',
      message: expect.stringContaining('extent 2'),
    });
  });

  it("in a variable's new value is no error of anything else", async () => {
    const v = t.variable(vector(1));
    v.assign(t.take(vector(1, 2), await indices(7)));
    expect(await list(vector(3).mul(2))).toEqual([6]);
    await expect(v.data()).rejects.toMatchObject(bad);
    v.assign(vector(5));
    expect(await list(v)).toEqual([5]);
  });

  it('is seen by all of several reads at once', async () => {
    const x = vector(10, 20, 30);
    const wrong = t.take(x, await indices(4));
    await t.realize(wrong);
    const reads = await Promise.all([failure(wrong), failure(wrong), failure(wrong.add(1)), failure(x)]);
    expect(reads.slice(0, 3)).toEqual([
      expect.objectContaining(bad),
      expect.objectContaining(bad),
      expect.objectContaining(bad),
    ]);
    // A synchronous read while an asynchronous one is under way.
    const other = t.take(x, await indices(4));
    await t.realize(other);
    const pending = failure(other);
    expect(() => other.dataSync()).toThrow(expect.objectContaining(bad));
    expect(await pending).toMatchObject(bad);
  });

  it('keeps no memory when very many checks are never asked for', async () => {
    const x = vector(10, 20, 30);
    const index = await indices(0, 1);
    await t.realize(x);
    for (let i = 0; i < 700; i++) {
      const y = t.take(x, index);
      await t.realize(y);
      y.dispose();
    }
    expect(live().buffers).toBeLessThan(300);
    const last = t.take(x, index);
    await last.data();
    last.dispose();
    expect(live().buffers).toBe(2);
  });
});

describe('an index out of range in a jitted function', () => {
  it('is an error of what is computed from it, call by call', async () => {
    const x = vector(10, 20, 30);
    const f = t.jit((index: t.Tensor) => [t.take(x, index), x.mul(2), index.add(1)] as const);
    const [good, wrong] = [await indices(0, 1), await indices(1, 3)];
    for (const [index, fails] of [
      [good, false],
      [wrong, true],
      [good, false],
      [wrong, true],
    ] as const) {
      const [taken, doubled, next] = await f(index);
      for (let i = 0; i < 2; i++) {
        if (fails) await expect(taken.data()).rejects.toMatchObject(bad);
        else expect(await list(taken)).toEqual([10, 20]);
      }
      expect(await list(doubled)).toEqual([20, 40, 60]);
      expect(await list(next)).toEqual(fails ? [2, 4] : [1, 2]);
    }
    expect(f.stats.traces).toBe(1);
  });

  it('stays with a variable that took the value, until it gets another', async () => {
    const total = t.variable(vector(0));
    const other = t.variable(vector(0));
    const x = vector(10, 20, 30);
    const step = t.jit((index: t.Tensor) => {
      total.assign(total.add(t.take(x, index)));
      other.assign(other.add(1));
    });
    await step(await indices(0));
    expect(await list(total)).toEqual([10]);
    await step(await indices(5));
    await step(await indices(0));
    await expect(total.data()).rejects.toMatchObject(bad);
    expect(await list(other)).toEqual([3]);
    total.assign(vector(1));
    await step(await indices(1));
    expect(await list(total)).toEqual([21]);
  });

  it('is handed on by arguments', async () => {
    const f = t.jit((a: t.Tensor, b: t.Tensor) => [a.add(1), b.add(1)] as const);
    const wrong = t.take(vector(1, 2), await indices(5));
    const [a, b] = await f(wrong, vector(1));
    await expect(a.data()).rejects.toMatchObject(bad);
    expect(await list(b)).toEqual([2]);
  });

  it('does not make a long loop slower or larger', async () => {
    const state = t.variable(vector(0));
    const index = await indices(0);
    const x = vector(1);
    const step = t.jit((i: t.Tensor) => state.assign(state.add(t.take(x, i))));
    for (let i = 0; i < 600; i++) await step(index);
    expect(state.node.verdict!.length).toBeLessThan(300);
    expect(await list(state)).toEqual([600]);
    await step(index);
    expect(state.node.verdict!.length).toBe(1);
  });
});

describe('a loss', () => {
  it('refuses a label out of range, for as long as it is read', async () => {
    const logits = t.variable(t.zeros([2, 3]));
    const loss = t.crossEntropy(logits, await indices(0, 3));
    await expect(loss.data()).rejects.toMatchObject({ ...bad, message: expect.stringContaining('label') });
    expect(await t.crossEntropy(logits, await indices(0, 2)).item()).toBeCloseTo(Math.log(3), 5);
  });

  it('names the label and the classes, in a jitted function too', async () => {
    const loss = (labels: t.Tensor): t.Tensor => t.zeros([2, 3]).crossEntropy(labels, { ignoreIndex: -100 });
    for (const label of [3, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      const message = `crossEntropy: label ${label} is outside the extent 3`;
      const labels = await indices(1, label);
      for (const result of [loss(labels), await t.jit(loss)(labels)]) {
        const error = await failure(result);
        expect(error).toMatchObject({ ...bad, op: 'crossEntropy', received: label });
        expect((error as Error).message).toContain(message);
        expect((error as Error).message).toContain('each label must be from 0 to 2, or -100 to be ignored');
      }
    }
    expect(await loss(await indices(1, -100)).item()).toBeCloseTo(Math.log(3), 5);
  });

  it('names an unsigned index, and one where nothing is in range', async () => {
    const rows = await onDevice(t.tensor([0, 2 ** 32 - 1], { dtype: 'uint32' }));
    await expect(t.take(vector(1, 2), rows).data()).rejects.toThrow('take: index 4294967295 is outside');
    const bytes = await onDevice(t.tensor([255, 1], { dtype: 'uint8' }));
    await expect(t.take(vector(1, 2), bytes).data()).rejects.toThrow('take: index 255 is outside');
    const nothing = t.crossEntropy(t.zeros([2, 0]), await indices(-1, 0), { ignoreIndex: -1 });
    await expect(nothing.data()).rejects.toThrow('label outside the extent 0');
  });
});

describe('the gradient of a result with a bad index', () => {
  const logits = (): t.Variable => t.variable(t.zeros([2, 3]));

  it('is an error as the result is, whichever is read first', async () => {
    await expectNoLeak(async () => {
      const labels = await indices(0, 3);
      for (const readsFirst of [true, false]) {
        const w = logits();
        const other = t.variable(vector(1));
        const loss = t.scope(() => t.crossEntropy(w.mul(other), labels));
        if (readsFirst) await expect(loss.item()).rejects.toMatchObject(bad);
        loss.backward();
        for (const { grad } of [w, other]) await expect(grad!.data()).rejects.toMatchObject(bad);
        await expect(loss.item()).rejects.toMatchObject(bad);
        for (const y of [w, w.grad!, other, other.grad!, loss]) y.dispose();
      }
      labels.dispose();
    });
  });

  it('is an error of a jitted step and of the parameters that it made, and of nothing else', async () => {
    const w = logits();
    const other = t.variable(vector(1));
    const step = t.jit((labels: t.Tensor) => {
      const loss = t.crossEntropy(w, labels);
      const gradient = t.grad((v: t.Tensor) => t.crossEntropy(v, labels))(t.zeros([2, 3]));
      loss.backward();
      const taken = w.grad!;
      w.assign(w.sub(taken));
      other.assign(other.add(1));
      return [taken, gradient, loss] as const;
    });
    for (const result of await step(await indices(0, 2))) await result.data();
    await w.data();
    for (const result of await step(await indices(0, 3)))
      await expect(result.data()).rejects.toMatchObject(bad);
    await expect(w.data()).rejects.toMatchObject(bad);
    expect(await list(other)).toEqual([3]);
  });

  it('shares the check of the result, in a jitted step too', async () => {
    const w = logits();
    const step = t.jit((labels: t.Tensor) => {
      const loss = t.crossEntropy(w, labels);
      loss.backward();
      w.assign(w.sub(w.grad!));
      return loss;
    });
    const labels = await indices(0, 2);
    await step(labels);
    recording.commands.length = 0;
    await step(labels);
    // The step, the mean of its losses, the flag.
    expect(recording.commands.map(({ kind }) => kind)).toEqual(['dispatch', 'dispatch', 'dispatch']);
  });

  it('is an error behind a gather, a checkpoint and a second derivative', async () => {
    const w = t.variable(vector(1, 2, 3));
    const index = await indices(0, 3);
    t.take(w, index).square().sum().backward();
    await expect(w.grad!.data()).rejects.toMatchObject(bad);
    w.grad = undefined;
    const block = t.checkpoint((x: t.Tensor) => t.take(x.square(), index).square());
    block(w).sum().backward();
    await expect(w.grad!.data()).rejects.toMatchObject(bad);
    const twice = t.grad((x: t.Tensor) =>
      t
        .grad((y: t.Tensor) => t.take(y.square(), index).square().sum())(x)
        .sum(),
    );
    await expect(twice(vector(1, 2, 3)).data()).rejects.toMatchObject(bad);
  });

  it('leaves the gradient that it was seeded with alone', async () => {
    const w = t.variable(vector(1, 2));
    const seed = vector(3, 4);
    const taken = t.take(w, await indices(0, 5));
    taken.backward(seed);
    await expect(w.grad!.data()).rejects.toMatchObject(bad);
    expect(await list(seed.mul(1))).toEqual([3, 4]);
  });
});
