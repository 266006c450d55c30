/** Handles that nobody disposes: their memory comes back when they are garbage collected. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { list, live, onDevice, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice();

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects garbage until `done`, giving finalizers their turns. */
async function collectUntil(done: () => boolean): Promise<void> {
  for (let i = 0; i < 50 && !done(); i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('memory of forgotten handles', () => {
  it('comes back', async () => {
    await (async () => {
      for (let i = 0; i < 20; i++) await list(vector(1, 2, 3).add(i));
    })();
    expect(live().buffers).toBeGreaterThan(0);
    await collectUntil(() => live().buffers === 0);
    expect(live()).toMatchObject({ buffers: 0, bytes: 0 });
  });

  it('comes back for variables, gradients and what was kept for a backward pass', async () => {
    await (async () => {
      const w = t.variable(vector(1, 2, 3));
      const loss = t.exp(w).square().sum();
      await loss.data();
      loss.backward();
      await w.grad!.data();
      w.assign(w.sub(w.grad!));
      await w.data();
    })();
    expect(live().buffers).toBeGreaterThan(0);
    await collectUntil(() => live().buffers === 0);
    expect(live().buffers).toBe(0);
    expect(t.context.pending.size).toBe(0);
  });

  it('comes back for jitted functions, plans and all', async () => {
    await (async () => {
      const table = await onDevice(vector(1, 2, 3));
      const state = t.variable(vector(0, 0, 0));
      const f = t.jit((x: t.Tensor) => {
        state.assign(state.add(t.flip(t.softmax(x.add(table)), 0)));
        return t.flip(x.sum(0, { keepDim: true }).mul(x), 0).sum();
      });
      for (let i = 0; i < 3; i++) await (await f(vector(1, 2, i))).data();
    })();
    expect(live().buffers).toBeGreaterThan(0);
    await collectUntil(() => live().buffers === 0);
    expect(live().buffers).toBe(0);
  });

  it('is kept while a call is under way that nobody holds the function of', async () => {
    const result = t.jit((x: t.Tensor) => t.exp(x).sum())(vector(0, 0));
    collect();
    expect(await (await result).item()).toBe(2);
  });

  it('is not given back twice when a handle was disposed', async () => {
    (() => {
      for (let i = 0; i < 10; i++) vector(1).add(1).dataSync();
      const x = vector(1, 2);
      const y = x.mul(2);
      y.dataSync();
      y.dispose();
    })();
    await collectUntil(() => live().buffers === 0);
    expect(live().buffers).toBe(0);
  });
});
