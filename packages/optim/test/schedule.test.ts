import { ArgumentError } from '@tutti/core';
import {
  CosineAnnealingLR,
  ExponentialLR,
  LambdaLR,
  LinearWarmup,
  MultiStepLR,
  type Schedule,
  type Scheduled,
  SequentialLR,
  StepLR,
} from '@tutti/optim';
import { describe, expect, test } from 'vitest';

const fake = (...lrs: number[]): Scheduled => ({ groups: lrs.map((lr) => ({ lr, initialLr: undefined })) });

/** The rates of `count` steps, the first before any. */
function rates(schedule: Schedule, count: number): number[] {
  return Array.from({ length: count }, () => {
    const { lr } = schedule;
    schedule.step();
    return lr;
  });
}

const expectClose = (received: number[], expected: number[]): void => {
  expect(received.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(received[i]).toBeCloseTo(value, 12);
};

describe('schedules', () => {
  test('StepLR', () => {
    expectClose(rates(new StepLR(fake(1), { size: 2 }), 6), [1, 1, 0.1, 0.1, 0.01, 0.01]);
  });

  test('MultiStepLR', () => {
    const schedule = new MultiStepLR(fake(8), { milestones: [1, 4], gamma: 0.5 });
    expectClose(rates(schedule, 6), [8, 4, 4, 4, 2, 2]);
  });

  test('ExponentialLR', () => {
    expectClose(rates(new ExponentialLR(fake(1), { gamma: 0.5 }), 4), [1, 0.5, 0.25, 0.125]);
  });

  test('LambdaLR', () => {
    expectClose(rates(new LambdaLR(fake(2), (step) => 1 / (step + 1)), 3), [2, 1, 2 / 3]);
  });

  test('CosineAnnealingLR', () => {
    const half = Math.SQRT1_2;
    expectClose(rates(new CosineAnnealingLR(fake(2), { steps: 4, min: 0 }), 6), [
      2,
      1 + half,
      1,
      1 - half,
      0,
      1 - half,
    ]);
    expectClose(rates(new CosineAnnealingLR(fake(3), { steps: 2, min: 1 }), 3), [3, 2, 1]);
  });

  test('LinearWarmup', () => {
    expectClose(rates(new LinearWarmup(fake(1), { steps: 4, start: 0 }), 6), [0, 0.25, 0.5, 0.75, 1, 1]);
    expectClose(rates(new LinearWarmup(fake(3), { steps: 2 }), 3), [1, 2, 3]);
  });

  test('SequentialLR starts the next schedule, with the first rate, at its milestone', () => {
    const optimizer = fake(1);
    const warmup = new LinearWarmup(optimizer, { steps: 2, start: 0.5 });
    const cosine = new CosineAnnealingLR(optimizer, { steps: 2 });
    const schedule = new SequentialLR(optimizer, [warmup, cosine], { milestones: [2] });
    expectClose(rates(schedule, 5), [0.5, 0.75, 1, 0.5, 0]);
  });

  test('every group keeps its own rate', () => {
    const optimizer = fake(1, 10);
    const schedule = new StepLR(optimizer, { size: 1 });
    schedule.step();
    expectClose(
      optimizer.groups.map(({ lr }) => lr),
      [0.1, 1],
    );
  });

  test('a saved step goes on', () => {
    const optimizer = fake(1);
    const schedule = new ExponentialLR(optimizer, { gamma: 0.5 });
    rates(schedule, 3);
    const again = new ExponentialLR(fake(1), { gamma: 0.5 });
    again.loadStateDict(schedule.stateDict());
    expect(again.steps).toBe(3);
    expectClose(rates(again, 2), [0.125, 0.0625]);
  });

  test('bad arguments', () => {
    const optimizer = fake(1);
    const one = new StepLR(optimizer, { size: 1 });
    const bad: (() => unknown)[] = [
      () => new StepLR(optimizer, { size: 0 }),
      () => new StepLR(optimizer, { size: 1, gamma: -1 }),
      () => new MultiStepLR(optimizer, { milestones: [1.5] }),
      () => new ExponentialLR(optimizer, { gamma: Number.NaN }),
      () => new CosineAnnealingLR(optimizer, { steps: 0 }),
      () => new CosineAnnealingLR(optimizer, { steps: 1, min: -1 }),
      () => new LinearWarmup(optimizer, { steps: 2, start: -1 }),
      () => new SequentialLR(optimizer, [one, one], { milestones: [] }),
      () => new SequentialLR(optimizer, [one, one, one], { milestones: [3, 2] }),
      () => new SequentialLR(optimizer, [new StepLR(fake(1), { size: 1 })], { milestones: [] }),
      () => one.loadStateDict({ step: -1 }),
    ];
    for (const make of bad) expect(make).toThrow(ArgumentError);
  });

  test('options that do not exist, or are no object', () => {
    const optimizer = fake(1);
    const cases: readonly [make: () => unknown, message: RegExp][] = [
      [() => new StepLR(optimizer, { stepSize: 3 } as never), /StepLR: .*"stepSize"\n.*did you mean size\?/],
      [() => new StepLR(optimizer, 10 as never), /received 10\n.*did you mean \{ size: 10 \}\?/],
      [
        () => new StepLR(optimizer, undefined as never),
        /received undefined\n.*StepLR takes the options size, gamma/,
      ],
      [() => new MultiStepLR(optimizer, [30, 80] as never), /did you mean \{ milestones: \[30, 80\] \}\?/],
      [() => new MultiStepLR(optimizer, {} as never), /MultiStepLR: milestones is undefined/],
      [() => new ExponentialLR(optimizer, 0.9 as never), /did you mean \{ gamma: 0\.9 \}\?/],
      [() => new CosineAnnealingLR(optimizer, { step: 5 } as never), /did you mean steps\?/],
      [() => new LinearWarmup(optimizer, { steps: 5, begin: 0 } as never), /no option "begin"/],
      [() => new SequentialLR(optimizer, [], { milestone: [] } as never), /did you mean milestones\?/],
      [() => new ExponentialLR(undefined as never, { gamma: 1 }), /ExponentialLR: expected an optimiser/],
    ];
    for (const [make, message] of cases) {
      expect(make).toThrow(ArgumentError);
      expect(make).toThrow(message);
    }
  });
});
