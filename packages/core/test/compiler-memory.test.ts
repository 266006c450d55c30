/** Which values share memory: intermediate ones by time, results with what they replace. */
import { describe, expect, it } from 'vitest';
import { applyDonations, type Donation } from '../src/compiler/donate.ts';
import { GroupOrder } from '../src/compiler/group-order.ts';
import { type Lifetime, planMemory } from '../src/compiler/memory.ts';
import { isOp, type Op } from '../src/compiler/op.ts';
import type { ScheduledGroup } from '../src/compiler/schedule.ts';
import * as t from './all.ts';
import { f32, useGraphOnlyDevice } from './autograd-support.ts';
import { scheduled } from './compiler-support.ts';
import { Random } from './random.ts';

const overlap = (a: Lifetime, b: Lifetime): boolean => a.from <= b.to && b.from <= a.to;

describe('the memory plan', () => {
  it('gives no two values that live at the same time one slot', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = new Random(seed);
      const values = Array.from({ length: random.int(1, 30) }, (): Lifetime => {
        const from = random.int(0, 20);
        return { bytes: random.int(0, 100), from, to: from + random.int(0, 8) };
      });
      const { slots, slotOf } = planMemory(values);
      for (const [i, a] of values.entries()) {
        expect(slots[slotOf[i]!]).toBeGreaterThanOrEqual(a.bytes);
        for (const [j, b] of values.entries())
          if (i < j && overlap(a, b)) expect(slotOf[i]).not.toBe(slotOf[j]);
      }
      // No more slots than values that live at once.
      const most = Math.max(
        ...Array.from(
          { length: 30 },
          (_, step) => values.filter((v) => v.from <= step && step <= v.to).length,
        ),
      );
      expect(slots.length).toBe(most);
    }
  });

  it('reuses what is free, the best fit first', () => {
    const chain = [0, 1, 2, 3].map((step): Lifetime => ({ bytes: 64, from: step, to: step + 1 }));
    expect(planMemory(chain).slots).toEqual([64, 64]);
    const values: Lifetime[] = [
      { bytes: 100, from: 0, to: 1 },
      { bytes: 10, from: 0, to: 1 },
      { bytes: 9, from: 2, to: 3 },
      { bytes: 200, from: 2, to: 3 },
    ];
    expect(planMemory(values)).toEqual({ slots: [200, 10], slotOf: [0, 1, 1, 0] });
  });
});

describe('the order of groups', () => {
  it('knows who depends on whom, while edges are added', () => {
    for (let seed = 0; seed < 100; seed++) {
      const random = new Random(seed);
      const order = new GroupOrder();
      const edges = new Map<number, Set<number>>();
      const reaches = (from: number, to: number): boolean =>
        from === to || [...edges.get(from)!].some((next) => reaches(next, to));
      for (let group = 0; group < 14; group++) {
        const producers = [...Array(group).keys()].filter(() => random.chance(0.2));
        edges.set(group, new Set(producers));
        order.add(group, producers);
        // A known group reads one more, where that makes no cycle.
        const [reader, producer] = [random.int(0, group), random.int(0, group)];
        const cycle = reaches(producer, reader);
        expect(order.depend([producer], reader)).toBe(cycle && producer !== reader);
        if (cycle) continue;
        edges.get(reader)!.add(producer);
        order.add(reader, [producer]);
      }
      const sorted = order.sorted();
      expect(sorted.length).toBe(14);
      for (const [group, producers] of edges)
        for (const producer of producers)
          expect(sorted.indexOf(producer)).toBeLessThan(sorted.indexOf(group));
    }
  });

  it('can be as long as a program', () => {
    const order = new GroupOrder();
    for (let group = 0; group < 100_000; group++) order.add(group, group > 0 ? [group - 1] : []);
    expect(order.depend([99_999], 0)).toBe(true);
    expect(order.sorted().length).toBe(100_000);
  });
});

describe('a result in the place of an input', () => {
  useGraphOnlyDevice();

  /** The groups of some outputs, and the input op of each leaf. */
  function prepared(
    outputs: t.Tensor[],
    fusion = true,
  ): {
    groups: readonly ScheduledGroup[];
    input: (position: number) => Op;
    output: (position: number) => Op;
  } {
    const groups = scheduled(outputs, { fusion });
    const inputs = new Map<number, Op>();
    for (const { lowered } of groups)
      for (const op of lowered.bindings) if (isOp(op, 'input')) inputs.set(op.attributes.input, op);
    const written = groups.flatMap(({ group, lowered }) =>
      lowered.bindings.filter((op) => group.members.includes(op)),
    );
    return { groups, input: (position) => inputs.get(position)!, output: (position) => written[position]! };
  }

  const donate = (groups: readonly ScheduledGroup[], ...donations: Donation[]) =>
    applyDonations(groups, donations);

  it('is legal where each element is read where it is written', () => {
    const [p, g] = [f32([4, 5]), f32([4, 5])];
    const { groups, input, output } = prepared([p.sub(g.mul(0.1))]);
    const result = donate(groups, { from: input(0), to: output(0) });
    expect(result.inPlace.get(output(0))).toBe(input(0));
    const [{ lowered }] = result.groups as [ScheduledGroup];
    expect(lowered.bindings).toEqual([output(0), input(1)]);
    expect(lowered.kernel.buffers.map((b) => b.access)).toEqual(['readWrite', 'read']);
  });

  it('is legal where the old value is not read at all, or only before', () => {
    const [p, g] = [f32([4, 5]), f32([4, 5])];
    const unread = prepared([g.mul(2), p.sum()]);
    const result = donate(unread.groups, { from: unread.input(1), to: unread.output(0) });
    expect(result.inPlace.size).toBe(1);
    const names = result.groups.map(({ group }) => group.name());
    expect(names.indexOf('reduceSum')).toBeLessThan(names.indexOf('mul')); // the sum wants the old value
  });

  const illegal: Record<string, (p: t.Tensor) => t.Tensor[]> = {
    'moved elements': (p) => [t.flip(p, 0)],
    'a transposed matrix': (p) => [t.transpose(p).reshape([4, 5]).add(p)],
    'a row and its own sum': (p) => [p.div(p.sum(-1, { keepDim: true }))],
    'its neighbours': (p) => [p.add(t.flip(p, 1))],
    'another shape': (p) => [p.sum()],
    'another dtype': (p) => [p.cast('int32')],
  };
  for (const [name, make] of Object.entries(illegal)) {
    it(`is refused for ${name}`, () => {
      const { groups, input, output } = prepared(make(f32([4, 5])));
      expect(donate(groups, { from: input(0), to: output(0) }).inPlace.size).toBe(0);
    });
  }

  it('is refused where someone reads the old value afterwards', () => {
    const [p, g] = [f32([4, 5]), f32([5, 4])];
    // The total needs the new value, and the last output needs the total and the old value.
    const next = p.add(1);
    const total = t.exp(t.matmul(next, g)).sum();
    const { groups, input } = prepared([next, t.flip(p, 0).mul(total)], false);
    const to = groups.flatMap(({ group }) => group.members).find((op) => op.op === 'add')!;
    expect(donate(groups, { from: input(0), to }).inPlace.size).toBe(0);
  });

  it('is given once: no buffer to two, no two buffers to one', () => {
    const [p, q] = [f32([4]), f32([4])];
    const { groups, input, output } = prepared([p.add(q), p.mul(q)]);
    const result = donate(
      groups,
      { from: input(0), to: output(0) },
      { from: input(0), to: output(1) },
      { from: input(1), to: output(0) },
    );
    expect([...result.inPlace.values()].length).toBe(1);
  });

  it('is refused where two values are exchanged', () => {
    // p reads q's old value and q reads p's: one of them may be in place, never both when they are two kernels.
    const [p, q] = [f32([4]), f32([4])];
    const { groups, input } = prepared([p.add(t.flip(q, 0)), q.add(t.flip(p, 0))], false);
    const adds = groups.flatMap(({ group }) => group.members).filter((op) => op.op === 'add');
    const result = donate(groups, { from: input(0), to: adds[0]! }, { from: input(1), to: adds[1]! });
    expect(result.inPlace.size).toBeLessThanOrEqual(1);
  });
});
