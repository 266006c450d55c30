import type { Prepared } from './adapters/adapter.ts';

/** What a timing loop needs. */
export type Timed = Pick<Prepared, 'run' | 'settle'>;

/** How long the timing loop may take. All times in milliseconds. */
export interface Budget {
  readonly warmUp: number;
  /** A sample is the mean of as many runs as take about this long. */
  readonly sample: number;
  readonly samples: number;
  /** A run that takes longer is measured once for a sample, and after a single run of warm-up. */
  readonly slow: number;
}

/** Milliseconds of one run, `budget.samples` times (fewer for slow work), after the warm-up. */
export async function measure(work: Timed, budget: Budget): Promise<number[]> {
  let last = 0;
  let spent = 0;
  for (let runs = 0; runs < 3 || spent < budget.warmUp; runs++) {
    last = await timed(work, 1);
    if (runs > 0 || last > budget.slow) spent += last; // the first run compiles, which warms nothing up
    if (spent > budget.slow) break;
  }
  const runsPerSample = Math.max(1, Math.round(budget.sample / last));
  const samples: number[] = [];
  spent = 0;
  while (samples.length < budget.samples && (samples.length === 0 || spent < budget.slow)) {
    const sample = await timed(work, runsPerSample);
    samples.push(sample);
    spent += sample * runsPerSample;
  }
  return samples;
}

/** Mean milliseconds of `runs` runs, each waited for. */
async function timed(work: Timed, runs: number): Promise<number> {
  let spent = 0;
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    const running = work.run();
    if (running) await running;
    spent += performance.now() - start;
    await work.settle?.();
  }
  return spent / runs;
}
