/** What runs together. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Capabilities } from '../src/backend/index.ts';
import type { Op } from '../src/compiler/op.ts';
import type { ScheduledGroup } from '../src/compiler/schedule.ts';
import * as t from './all.ts';
import { f32, parameter, useGraphOnlyDevice } from './autograd-support.ts';
import { kernelsOf, type ScheduleForm, scheduled } from './compiler-support.ts';
import { makeLeaf, randomGraph } from './random-graph.ts';
import { randomCase } from './random-modes.ts';

beforeAll(useGraphOnlyDevice);

const count = (tensors: t.Tensor | t.Tensor[], form?: ScheduleForm): number =>
  scheduled([tensors].flat(), form).length;
const on = (capabilities: Partial<Capabilities>): ScheduleForm => ({ capabilities });
const x = (): t.Tensor => f32([128, 64]);
const indices = (count: number): t.Tensor => t.fromHost(new Int32Array(count), [count], 'int32');
const sumOf = (n: number): t.Tensor =>
  Array.from({ length: n }, () => f32([3, 4])).reduce((a, b) => a.add(b));

function adam(): t.Tensor[] {
  const [p, m, v, g] = [f32([100, 10]), f32([100, 10]), f32([100, 10]), f32([100, 10])];
  const mean = m.mul(0.9).add(g.mul(0.1));
  const square = v.mul(0.99).add(g.mul(g).mul(0.01));
  return [p.sub(mean.mul(0.01).div(t.sqrt(square).add(1e-8))), mean, square];
}

describe('one kernel', () => {
  const cases: Record<string, () => t.Tensor | t.Tensor[]> = {
    'a chain of ten operations': () =>
      t
        .relu(t.exp(x().mul(2).add(1).neg()).sub(0.3).abs())
        .sqrt()
        .tanh()
        .mul(0.7)
        .add(x()),
    'movement between elementwise operations': () =>
      t
        .flip(t.transpose(x().mul(2)), 0)
        .reshape([32, 256])
        .add(1)
        .pad([
          [1, 1],
          [0, 0],
        ]),
    softmax: () => t.softmax(x()),
    logSoftmax: () => t.logSoftmax(x()),
    logSumExp: () => t.logSumExp(x(), -1),
    layerNorm: () => t.layerNorm(x(), [64], { weight: f32([64]), bias: f32([64]) }),
    'mean and variance': () => {
      const shared = x();
      return [t.mean(shared, -1), t.variance(shared, -1)];
    },
    'batch normalisation with known statistics': () =>
      t.batchNorm(f32([8, 3, 4, 4]), { mean: f32([3]), variance: f32([3]) }),
    'the sums of two expressions over the same rows': () => {
      const shared = x();
      return [shared.sum(-1), shared.mul(shared).sum(-1), t.max(shared, -1)];
    },
    'the positions and values of maxima': () => {
      const shared = x();
      return [t.argMax(shared, -1), t.max(shared, -1)];
    },
    'a pooling': () => t.maxPool2d(f32([2, 3, 8, 8]), 2),
    'dropout, random bits included': () => t.dropout(x(), 0.5),
    'an update of Adam, three values': () => adam(),
    'a diamond': () => {
      const top = t.exp(x());
      return top.mul(2).add(top.sin());
    },
    'a row that meets its own sum': () => {
      const top = t.exp(x());
      return top.div(top.sum(-1, { keepDim: true }));
    },
    'a lookup': () => t.take(f32([10, 4]), indices(6)).mul(2),
    'a scatter': () =>
      t.scatterAdd(f32([5, 3]), t.fromHost(new Int32Array(6), [2, 3], 'int32'), f32([2, 3]), 0),
    'a constant': () => t.ones([4, 4]).mul(3),
  };
  for (const [name, make] of Object.entries(cases))
    it(`is enough for ${name}`, () => expect(count(make(), on({ buffersPerKernel: 16 }))).toBe(1));

  it('is enough for a matrix product with bias, activation and residual, where a routine takes them', () => {
    const dense = (): t.Tensor => t.relu(t.linear(x(), f32([32, 64]), f32([32])));
    expect(count(dense(), { routines: true })).toBe(1);
    const [group] = scheduled([dense()], { routines: true });
    expect(group!.lowered.kernel).toMatchObject({ kind: 'dot', m: 128, n: 32, k: 64 });
    expect('epilogue' in group!.lowered.kernel).toBe(true);
    expect(count(t.gelu(t.linear(x(), f32([64, 64]), f32([64]))).add(x()), { routines: true })).toBe(1);
    const image = (): t.Tensor =>
      t.conv2d(f32([2, 3, 8, 8]), f32([4, 3, 3, 3]), { bias: f32([4]), padding: 1 });
    expect(count(t.relu(image()), { routines: true })).toBe(1);
  });

  it('is enough for the transpose of a matrix product', () => {
    const turned = (): t.Tensor => t.transpose(t.matmul(x(), f32([64, 32])));
    expect(count(turned(), { routines: true })).toBe(1);
    expect(count(t.transpose(t.matmul(f32([5, 2, 3]), f32([5, 3, 4]))), { routines: true })).toBe(1);
    const product = t.matmul(x(), f32([64, 32]));
    expect(count([product, t.transpose(product)], { routines: true })).toBe(2); // one product, moved
  });

  it('is enough for a matrix product without a routine', () => {
    expect(count(t.relu(t.linear(x(), f32([32, 64]), f32([32]))))).toBe(1);
  });
});

describe('several kernels', () => {
  it('are needed where an element is read at other places than its own', () => {
    expect(count([t.softmax(x()), t.softmax(x(), 0)])).toBe(2);
    const sums = x().sum(0);
    expect(count(sums.add(t.flip(sums, 0)))).toBe(2);
  });

  it('are used where one row would be the place for a whole tensor', () => {
    const wide = f32([1 << 20]);
    expect(count(t.softmax(wide))).toBeGreaterThan(2);
    expect(count(wide.sum())).toBe(2); // a long reduction, in two steps
    expect(kernelsOf([wide.sum()])[0]!.space.reduce((n, { extent }) => n * extent, 1)).toBeGreaterThanOrEqual(
      64,
    );
  });

  it('are used where an epilogue has another reader, or is not taken', () => {
    const product = t.matmul(x(), f32([64, 64]));
    expect(count([t.relu(product), product.sum(0)], { routines: true })).toBe(2);
    expect(count([t.relu(product), product], { routines: true })).toBe(2);
  });

  it('are used without fusion: one for each operation', () => {
    expect(count(t.exp(x()).add(1).neg(), { fusion: false })).toBe(3);
    expect(count(t.softmax(x()), { fusion: false })).toBe(5);
  });

  it('are used by devices without row programs: a phase each', () => {
    expect(count(t.softmax(x()), on({ rowPrograms: false }))).toBe(3);
    expect(count(t.layerNorm(x(), [64]), on({ rowPrograms: false }))).toBe(3);
    expect(count(x().sum(-1).mul(2), on({ rowPrograms: false }))).toBe(1); // a reduction and what follows it, point by point
  });

  it('are used by devices that store one value', () => {
    expect(count(adam(), on({ multipleOutputs: false }))).toBe(3);
    const shared = x();
    expect(count([shared.sum(-1), shared.mul(shared).sum(-1)], on({ multipleOutputs: false }))).toBe(2);
  });

  it('are not needed by devices without computed stores: the elements look for their updates', () => {
    const base = f32([5, 3]);
    const scatter = (): t.Tensor =>
      t.scatterAdd(base, t.fromHost(new Int32Array(6), [2, 3], 'int32'), f32([2, 3]), 0);
    const [kernel] = kernelsOf([scatter()], on({ scatterStores: false }));
    expect(kernel!.phases.map((phase) => phase.kind)).toEqual(['reduce', 'map']);
    expect(kernelsOf([scatter()])[0]!.phases.map((phase) => phase.kind)).toEqual(['map', 'map']);
  });

  for (const buffersPerKernel of [4, 5, 6, 7, 8]) {
    it(`keep within ${buffersPerKernel} buffers`, () => {
      const cases = [
        [sumOf(20)],
        [t.concat(Array.from({ length: 20 }, () => f32([3, 4])))],
        [sumOf(9).sum()],
        [t.softmax(sumOf(9))],
        adam(),
        [t.scatterAdd(sumOf(4), t.fromHost(new Int32Array(8), [2, 4], 'int32'), sumOf(4).slice([0, 2]), 0)],
        [t.relu(t.matmul(sumOf(5), f32([4, 4]))).add(sumOf(5))],
        [Array.from({ length: 5 }, () => t.take(f32([10, 4]), indices(6))).reduce((a, b) => a.add(b))],
        [t.apply('barrier', [sumOf(3), sumOf(3)], { id: 0 }).mul(sumOf(3))],
        [t.where(t.lt(sumOf(3), sumOf(3)), sumOf(3), sumOf(3))],
      ];
      for (const outputs of cases) {
        for (const routines of [false, true]) {
          const groups = scheduled(outputs, { capabilities: { buffersPerKernel }, routines });
          for (const { lowered } of groups)
            expect(lowered.bindings.length).toBeLessThanOrEqual(buffersPerKernel);
          expectOrder(groups, outputs.length);
        }
      }
      expect(count(sumOf(20), on({ buffersPerKernel }))).toBe(Math.ceil(19 / (buffersPerKernel - 2)));
    });
  }
});

/** Every value is written once, before it is read. */
function expectOrder(groups: readonly ScheduledGroup[], outputs: number): void {
  const written = new Set<Op>();
  for (const { group, lowered } of groups) {
    const own = new Set(group.members);
    for (const op of lowered.bindings) {
      if (own.has(op)) continue;
      expect(op.op === 'input' || written.has(op), `${op.op} is read before it is written`).toBe(true);
    }
    for (const op of lowered.bindings) {
      if (!own.has(op)) continue;
      expect(written.has(op)).toBe(false);
      written.add(op);
    }
  }
  expect(written.size).toBeGreaterThanOrEqual(Math.min(1, outputs));
}

describe('the order of kernels', () => {
  it('has no cycle, in any random graph, on any device', () => {
    const devices: ScheduleForm[] = [
      {},
      { fusion: false },
      { routines: true },
      on({ buffersPerKernel: 64, parallelism: 1 }),
      on({
        buffersPerKernel: 4,
        rowPrograms: false,
        multipleOutputs: false,
        scatterStores: false,
        parallelism: 8,
        reduceSplit: 4,
      }),
    ];
    for (let seed = 0; seed < 40; seed++) {
      const { leaves } = randomCase(seed);
      const outputs = randomGraph(seed, leaves.map(makeLeaf), { steps: 24 });
      for (const form of devices) expectOrder(scheduled(outputs, form), 0);
    }
  });

  it('joins no group that another one waits for', () => {
    // a and its sums run together. The total needs the sums, and the last value needs a and the total.
    const a = x().add(f32([128, 64]));
    const total = t.exp(t.flip(a.sum(0), 0)).sum();
    const groups = scheduled([a, a.mul(total)], on({ parallelism: 1 }));
    expectOrder(groups, 2);
    expect(groups.map(({ group }) => group.members.map((op) => op.op))).toEqual([
      ['add', 'reduceSum'],
      ['reduceSum'],
      ['mul'],
    ]);
  });
});

describe('a training step', () => {
  it('of one layer needs few kernels', () => {
    const [w, b] = [parameter([64, 64]), parameter([64])];
    const loss = t.mean(t.square(t.relu(t.linear(x(), w, b))));
    loss.backward();
    // The layer with its bias, the loss with the gradient of the activation, a product for w, a sum for b.
    expect(count([loss, w.grad!, b.grad!], { routines: true })).toBe(4);
  });
});
