/** Variables whose new value has not been computed, and cannot be. */
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendFactory } from '../src/backend/index.ts';
import * as t from './all.ts';
import { expectNoLeak, faulty, list, noFaults, useFreshDevice, vector } from './runtime-support.ts';

let faults = noFaults();
useFreshDevice({}, (factory: BackendFactory) => faulty(factory, (faults = noFaults())));
afterEach(() => expect(t.context.pending.size).toBe(0));

/** A variable whose new value needs what existed only while a function was traced. */
async function impossible(): Promise<t.Variable> {
  let kept: t.Variable | undefined;
  await t.jit((x: t.Tensor) => {
    kept = t.variable(x.mul(2));
    return x;
  })(vector(1));
  kept!.assign(kept!.add(1));
  return kept!;
}

describe('a variable whose value cannot be computed', () => {
  it('fails where it is read, and nowhere else', async () => {
    const bad = await impossible();
    await expectNoLeak(async () => {
      const good = t.scope(() => t.variable(vector(1)));
      t.scope(() => good.assign(good.add(1)));
      expect(t.context.pending).toContain(bad);
      const x = t.scope(() => vector(1, 2).add(1));
      expect(await list(x)).toEqual([2, 3]);
      expect(good.node.computed, 'the others are computed along').toBe(true);
      for (let i = 0; i < 2; i++) await expect(bad.data()).rejects.toMatchObject({ code: 'TUTTI_TRACE' });
      const y = t.scope(() => x.mul(good));
      expect([...y.dataSync()]).toEqual([4, 6]);
      for (const each of [good, x, y]) each.dispose();
    });
    bad.assign(vector(7));
    expect(await list(bad)).toEqual([7]);
  });

  it('does not keep a jitted function or a synchronous read from running', async () => {
    const bad = await impossible();
    expect([...vector(1).add(1).dataSync()]).toEqual([2]);
    bad.assign(bad.add(1));
    const f = t.jit((x: t.Tensor) => x.add(1));
    expect(await list(await f(vector(1).add(1)))).toEqual([3]);
    expect(() => bad.dataSync()).toThrow(expect.objectContaining({ code: 'TUTTI_TRACE' }));
    bad.dispose();
  });
});

describe('a variable for whose value there is no memory', () => {
  it('waits on, and lets others be read', async () => {
    const big = t.variable(vector(1, 2, 3));
    await t.realize(big);
    for (const read of [list, async (x: t.Tensor): Promise<number[]> => [...x.dataSync()]]) {
      big.assign(big.mul(2));
      const x = vector(5).add(1);
      faults.failAt = 2; // the data of x, then two results
      expect(await read(x)).toEqual([6]);
      expect(faults.failAt, 'there was a failure').toBeLessThan(0);
      faults.failAt = undefined;
      expect(t.context.pending.has(big)).toBe(true);
      await vector(1).add(1).data();
      expect(t.context.pending.has(big)).toBe(false);
    }
    expect(await list(big)).toEqual([4, 8, 12]);
  });
});
