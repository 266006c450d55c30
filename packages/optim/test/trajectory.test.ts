import { jit, memory, scope, type Tensor, tensor, type Variable, variable } from '@tutti/core';
import { Adam, AdamW, ExponentialLR, type Optimizer, SGD } from '@tutti/optim';
import { describe, expect, test } from 'vitest';
import { adam, distance, sgd, type Update } from './reference.ts';
import { onCpu } from './support.ts';

onCpu();

/** Float32 roundings over five steps. */
const close = 2e-6;
const start = [
  [1, -2, 0.5],
  [3, 0.25],
];
const targets = [
  [0.3, -1, 4],
  [-2, 0],
];

/** The gradient of sum(curvature * (p - target)^2 / 2 + (p - target)^4 / 4). */
const gradientAt = (p: readonly number[], which: number): number[] =>
  p.map((value, i) => {
    const d = value - targets[which]![i]!;
    return (which + 1) * d + d ** 3;
  });

function lossOf(parameters: readonly Variable[]): Tensor {
  const parts = parameters.map((p, which) => {
    const d = p.sub(tensor(targets[which]!));
    const square = d.mul(d);
    return square
      .mul((which + 1) / 2)
      .add(square.mul(square).mul(0.25))
      .sum();
  });
  return parts.reduce((sum, part) => sum.add(part));
}

const makeParameters = (): Variable[] => start.map((values) => variable(tensor(values)));

type Make = (parameters: Variable[]) => Optimizer;
const optimizers: [string, Make, () => Update][] = [
  ['SGD', (p) => new SGD(p, { lr: 0.01 }), () => sgd({ lr: 0.01 })],
  [
    'SGD, weight decay',
    (p) => new SGD(p, { lr: 0.01, weightDecay: 0.1 }),
    () => sgd({ lr: 0.01, weightDecay: 0.1 }),
  ],
  ['SGD, momentum', (p) => new SGD(p, { lr: 0.01, momentum: 0.9 }), () => sgd({ lr: 0.01, momentum: 0.9 })],
  [
    'SGD, momentum with dampening',
    (p) => new SGD(p, { lr: 0.01, momentum: 0.9, dampening: 0.5 }),
    () => sgd({ lr: 0.01, momentum: 0.9, dampening: 0.5 }),
  ],
  [
    'SGD, Nesterov, weight decay',
    (p) => new SGD(p, { lr: 0.01, momentum: 0.8, nesterov: true, weightDecay: 0.2 }),
    () => sgd({ lr: 0.01, momentum: 0.8, nesterov: true, weightDecay: 0.2 }),
  ],
  ['Adam', (p) => new Adam(p, { lr: 0.1 }), () => adam({ lr: 0.1 })],
  [
    'Adam, weight decay, other betas',
    (p) => new Adam(p, { lr: 0.1, betas: [0.5, 0.9], eps: 0.01, weightDecay: 0.3 }),
    () => adam({ lr: 0.1, betas: [0.5, 0.9], eps: 0.01, weightDecay: 0.3 }),
  ],
  [
    'Adam without memory',
    (p) => new Adam(p, { lr: 0.1, betas: [0, 0] }),
    () => adam({ lr: 0.1, betas: [0, 0] }),
  ],
  [
    'AdamW',
    (p) => new AdamW(p, { lr: 0.1, weightDecay: 0.5 }),
    () => adam({ lr: 0.1, weightDecay: 0.5 }, true),
  ],
  ['AdamW, no decay', (p) => new AdamW(p, { lr: 0.1, weightDecay: 0 }), () => adam({ lr: 0.1 })],
];

const modes: [string, (step: () => Tensor) => () => Promise<Tensor>][] = [
  ['eagerly', (step) => async () => step()],
  ['jitted', (step) => jit(step)],
];

describe.each(modes)('%s', (_, prepare) => {
  test.each(optimizers)('%s follows the formula for five steps', async (_, make, reference) => {
    const parameters = makeParameters();
    const optimizer = make(parameters);
    const step = prepare(() => {
      optimizer.zeroGrad();
      const loss = lossOf(parameters);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const expected = start.map((values) => [...values]);
    const updates = start.map(reference);
    for (let t = 0; t < 5; t++) {
      await step();
      for (const [which, update] of updates.entries())
        update(expected[which]!, gradientAt(expected[which]!, which));
      for (const [which, parameter] of parameters.entries()) {
        expect(distance(await parameter.data(), expected[which]!)).toBeLessThan(close);
      }
    }
  });

  test('groups have their own rates, and a new rate takes effect', async () => {
    const parameters = makeParameters();
    const optimizer = new SGD([
      { parameters: [parameters[0]!], lr: 0.01 },
      { parameters: [parameters[1]!], momentum: 0.5 },
    ]);
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.01, 1e-3]);
    optimizer.groups[1]!.lr = 0.02;
    const schedule = new ExponentialLR(optimizer, { gamma: 0.5 });
    const step = prepare(() => {
      optimizer.zeroGrad();
      const loss = lossOf(parameters);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const expected = start.map((values) => [...values]);
    const updates = [sgd({ lr: 0 }), sgd({ lr: 0, momentum: 0.5 })];
    for (let t = 0; t < 4; t++) {
      await step();
      schedule.step();
      for (const [which, update] of updates.entries()) {
        update(expected[which]!, gradientAt(expected[which]!, which), [0.01, 0.02][which]! * 0.5 ** t);
        expect(distance(await parameters[which]!.data(), expected[which]!)).toBeLessThan(close);
      }
    }
    expect(optimizer.lr).toBeCloseTo(0.01 / 16, 12);
  });

  test('a saved state goes on as if nothing had happened', async () => {
    const run = (parameters: Variable[], optimizer: Adam) =>
      prepare(() => {
        optimizer.zeroGrad();
        const loss = lossOf(parameters);
        loss.backward();
        optimizer.step();
        return loss;
      });
    const parameters = makeParameters();
    const optimizer = new Adam(parameters, { lr: 0.1 });
    const step = run(parameters, optimizer);
    await step();
    await step();
    optimizer.lr = 0.05;
    const saved = optimizer.stateDict();
    const copies = await Promise.all(parameters.map(async (p) => variable(tensor(await p.data()))));
    const resumed = new Adam(copies, { lr: 7 });
    resumed.loadStateDict(saved);
    expect(resumed.lr).toBe(0.05);
    const continued = run(copies, resumed);
    for (let t = 0; t < 3; t++) {
      await step();
      await continued();
      for (const [i, copy] of copies.entries())
        expect(await copy.data()).toEqual(await parameters[i]!.data());
    }
    expect(await saved.tensors['0.step']!.item()).toBe(2);
  });
});

describe('a jitted step', () => {
  test('is traced once whatever the rate, and allocates nothing new after its first runs', async () => {
    const parameters = makeParameters();
    const optimizer = new Adam(parameters, { lr: 0.1 });
    const step = jit(() => {
      optimizer.zeroGrad();
      const loss = lossOf(parameters);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const once = async (): Promise<void> => {
      const loss = await step();
      await loss.item();
      loss.dispose();
      optimizer.lr *= 0.9;
    };
    await once();
    await once();
    const before = memory()['cpu']!;
    for (let t = 0; t < 10; t++) await once();
    expect(step.stats.traces).toBe(1);
    const after = memory()['cpu']!;
    expect(after.buffers).toBe(before.buffers);
    expect(after.bytes).toBe(before.bytes);
    expect(after.allocations).toBe(before.allocations);
  });

  test('refuses a rate that is set inside', async () => {
    const [p] = makeParameters();
    const optimizer = new SGD([p!], { lr: 0.1 });
    const step = jit(() => {
      optimizer.lr = 0.5;
      return p!.sum();
    });
    await expect(step()).rejects.toThrow(/learning rate was set inside/);
    expect(optimizer.lr).toBe(0.1);
  });
});

describe('eager steps', () => {
  test('a parameter without a gradient stays, and its steps are not counted', async () => {
    const parameters = makeParameters();
    const optimizer = new Adam(parameters, { lr: 0.1 });
    const expected = start.map((values) => [...values]);
    const updates = start.map(() => adam({ lr: 0.1 }));
    for (const due of [[0], [0], [0, 1], [1], [], [0, 1]]) {
      optimizer.zeroGrad();
      for (const which of due) {
        const gradient = gradientAt(expected[which]!, which);
        parameters[which]!.grad = tensor(gradient);
        updates[which]!(expected[which]!, gradient);
      }
      optimizer.step();
      for (const [which, parameter] of parameters.entries()) {
        expect(distance(await parameter.data(), expected[which]!)).toBeLessThan(close);
      }
    }
    const { tensors } = optimizer.stateDict();
    expect([await tensors['0.step']!.item(), await tensors['1.step']!.item()]).toEqual([4, 3]);
  });

  test('give their memory back without the garbage collector', async () => {
    const empty = memory()['cpu']!.buffers;
    const parameters = makeParameters();
    const optimizer = new AdamW(parameters);
    const step = async (): Promise<number> => {
      optimizer.zeroGrad();
      const loss = scope(() => lossOf(parameters));
      loss.backward();
      optimizer.step();
      for (const parameter of parameters) await parameter.data();
      loss.dispose();
      return memory()['cpu']!.buffers;
    };
    await step();
    const before = await step();
    for (let t = 0; t < 5; t++) expect(await step()).toBe(before);
    optimizer.zeroGrad();
    optimizer.dispose();
    for (const parameter of parameters) parameter.dispose();
    expect(memory()['cpu']!.buffers).toBe(empty);
  });
});
