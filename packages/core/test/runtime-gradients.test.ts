/** Where gradients are recorded, and what that keeps. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, live, onDevice, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice();

describe('noGrad', () => {
  it('records nothing, keeps nothing, and can be undone inside', async () => {
    await expectNoLeak(async () => {
      const start = await onDevice(vector(1, 2, 3));
      const w = t.variable(start);
      start.dispose();
      await t.realize(w);
      const { buffers } = live();
      const results = t.noGrad(() => {
        const y = t.scope(() => t.exp(t.flip(t.exp(w), 0)).sum());
        const z = t.enableGrad(() => t.scope(() => w.square().sum()));
        return [y, z] as const;
      });
      expect(results.map((x) => x.requiresGrad)).toEqual([false, true]);
      await t.realize(results[0]);
      expect(live().buffers - buffers).toBe(1);
      expect(() => results[0].backward()).toThrow(expect.objectContaining({ code: 'TUTTI_GRADIENT' }));
      for (const x of [...results, w]) x.dispose();
    });
  });

  it('lasts as long as an async function, and ends when it fails', async () => {
    const w = t.variable(vector(1));
    const value = await t.noGrad(async () => {
      await w.mul(1).data();
      return w.mul(2).requiresGrad;
    });
    expect(value).toBe(false);
    expect(t.context.gradEnabled).toBe(true);
    await expect(t.noGrad(async () => Promise.reject(new RangeError('planned')))).rejects.toThrow('planned');
    expect(() =>
      t.noGrad(() => {
        throw new RangeError('planned');
      }),
    ).toThrow('planned');
    expect(t.context.gradEnabled).toBe(true);
  });

  it('makes what was computed a constant, also where it is in a plan', async () => {
    const w = t.variable(vector(2));
    const step = t.jit(() => {
      const scale = t.noGrad(() => w.mul(10));
      const loss = w.mul(scale).sum();
      loss.backward();
      return w.grad!;
    });
    expect(await (await step()).item()).toBe(20);
    expect(w.grad).toBeUndefined();
  });

  it('lets an update run without history', async () => {
    const w = t.variable(vector(1));
    for (let i = 0; i < 50; i++) {
      t.scope(() => {
        const loss = w.square().sum();
        loss.backward();
      });
      t.noGrad(() => t.scope(() => w.assign(w.sub(w.grad!.mul(0.1)))));
      w.grad!.dispose();
      w.grad = undefined;
      await w.data();
      expect(w.node.inputs).toEqual([]);
    }
    expect(await w.item()).toBeCloseTo(0.8 ** 50, 6);
    expect(live().buffers).toBe(1);
  });
});
