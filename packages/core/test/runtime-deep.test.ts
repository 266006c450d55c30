/** Graphs that are longer than the call stack is deep. */
import { describe, expect, it } from 'vitest';
import * as t from './all.ts';
import { expectNoLeak, list, recording, useFreshDevice, vector } from './runtime-support.ts';

useFreshDevice({ execute: false });

const depth = 30_000;

/** A chain, without handles of what is in between. */
const chain = (start: t.Tensor, step: (x: t.Tensor, i: number) => t.Tensor, length = depth): t.Tensor =>
  t.scope(() => {
    let x = step(start, 0);
    for (let i = 1; i < length; i++) {
      const next = step(x, i);
      x.dispose();
      x = next;
    }
    return x;
  });

describe('a very long chain of operations', () => {
  it('is computed, in far fewer kernels', async () => {
    await expectNoLeak(async () => {
      const start = vector(1, 2);
      const end = chain(start, (x) => t.apply('sqrt', [x], {}), 100_000);
      await t.realize(end);
      expect(recording.kernels.length).toBeLessThan(2000);
      for (const x of [start, end]) x.dispose();
    });
  });

  it('of movement alone is computed', async () => {
    const pads = { low: [1], high: [-1], interior: [0], value: 0 };
    const moved = chain(vector(1, 2, 3, 4), (x, i) =>
      i % 2 === 0 ? t.apply('flip', [x], { axes: [0] }) : t.apply('pad', [x], pads),
    );
    expect(await list(moved)).toHaveLength(4);
  });

  it('is computed without fusion too', async () => {
    t.configure({ fusion: false, verify: false });
    const end = chain(vector(1, 2), (x) => t.apply('sqrt', [x], {}));
    await t.realize(end);
    expect(recording.commands.length).toBe(depth);
  });

  it('is traced', async () => {
    const f = t.jit((x: t.Tensor) => chain(x, (y) => t.apply('sqrt', [y], {})));
    expect(await list(await f(vector(1, 2)))).toEqual([0, 0]);
    f.dispose();
  });

  it('of assignments is computed at the next read', async () => {
    const v = t.variable(vector(1, 2));
    for (let i = 0; i < depth; i++) t.scope(() => v.assign(t.apply('sqrt', [v], {})));
    expect(await list(v)).toEqual([0, 0]);
    expect(v.node.inputs).toEqual([]);
  });

  it('is let go', () => {
    const end = chain(vector(1, 2), (x) => t.apply('sqrt', [x], {}));
    end.dispose();
  });

  it('of matrix products, each a kernel, is computed', async () => {
    t.configure({ verify: false });
    let x = t.zeros([2, 2]);
    for (let i = 0; i < 3000; i++) x = x.matmul(x);
    await t.realize(x);
    expect(recording.commands.length).toBe(3000);
  });
});
