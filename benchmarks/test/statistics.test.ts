import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { measure } from '../src/measure.ts';
import { hiddenShare, median, pairedRatio, quantile } from '../src/statistics.ts';

describe('statistics', () => {
  it('median and quantiles interpolate', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(quantile([0, 10], 0.25)).toBe(2.5);
  });

  it('ratios are taken within a round, so that a slower machine does not show', () => {
    // The machine is ten times slower in the second and third round.
    expect(pairedRatio([[2, 2], [20], [20]], [[1], [10, 10], [10]])).toBe(2);
  });

  it('the share that is hidden is 1 where both take as long as the longer, and 0 where they take turns', () => {
    const share = (both: number): number => hiddenShare([[both]], [[2]], [[10]]);
    expect([10, 11, 12, 14].map(share)).toEqual([1, 0.5, 0, -1]);
  });
});

describe('measure', () => {
  const budget = { warmUp: 0, sample: 0, samples: 4, slow: 1000 };

  it('takes the samples that it was asked for, after a warm-up', async () => {
    let runs = 0;
    const samples = await measure({ run: () => void runs++ }, budget);
    expect(samples).toHaveLength(4);
    expect(runs).toBe(3 + 4);
  });

  it('waits for a run that is asynchronous', async () => {
    let open = 0;
    let most = 0;
    const run = async (): Promise<void> => {
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 1));
      open--;
    };
    await measure({ run }, budget);
    expect(most).toBe(1);
  });

  it('lets a run settle before the next, outside the timing', async () => {
    let clock = 0;
    const now = vi.spyOn(performance, 'now').mockImplementation(() => clock);
    onTestFinished(() => now.mockRestore());
    const log: string[] = [];
    const run = (): void => {
      clock += 1;
      log.push('run');
    };
    const settle = async (): Promise<void> => {
      clock += 100;
      log.push('settle');
    };
    const samples = await measure({ run, settle }, budget);
    expect(samples).toEqual([1, 1, 1, 1]);
    expect(log.slice(0, 4)).toEqual(['run', 'settle', 'run', 'settle']);
  });

  it('runs slow work once before the only sample', async () => {
    let runs = 0;
    const run = async (): Promise<void> => {
      runs++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const samples = await measure({ run }, { ...budget, slow: 1 });
    expect({ samples: samples.length, runs }).toEqual({ samples: 1, runs: 2 });
  });
});
