import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Prepared } from '../src/adapters/adapter.ts';
import { type Assignment, carryOut } from '../src/carry-out.ts';

const assignment: Assignment = {
  adapter: 'made up',
  work: { kind: 'scaleAdd', length: 1 },
  budget: { warmUp: 0, sample: 0, samples: 2, slow: 1000 },
  iterations: 4,
  wantResult: false,
  wantProfile: false,
};

/** What is answered for a library whose runs take the milliseconds that they say. */
async function answerOf(prepare: (run: (milliseconds: number) => () => void, iterations: number) => object) {
  let clock = 0;
  const now = vi.spyOn(performance, 'now').mockImplementation(() => clock);
  onTestFinished(() => now.mockRestore());
  const taking = (milliseconds: number) => (): void => {
    clock += milliseconds;
  };
  return carryOut(assignment, {
    'made up': async () => ({
      name: 'made up',
      open: async () => ({
        description: 'x',
        prepare: async (_work, _operands, iterations) => ({
          result: async () => new Float32Array(1),
          ...(prepare(taking, iterations) as Pick<Prepared, 'run'>),
        }),
      }),
    }),
  });
}

describe('carryOut', () => {
  it('gives the time of the work done once, where a run does it several times', async () => {
    const answer = await answerOf((taking, iterations) => ({ run: taking(10 * iterations), iterations }));
    expect(answer).toMatchObject({ status: 'measured', samples: [10, 10] });
  });

  it('takes a run for one where the library knows nothing of several', async () => {
    expect(await answerOf((taking) => ({ run: taking(10) }))).toMatchObject({ samples: [10, 10] });
  });

  it('times the parts of the work as the work', async () => {
    const answer = await answerOf((taking, iterations) => ({
      run: taking(12),
      parts: { uploads: taking(4), work: taking(8) },
      iterations,
    }));
    expect(answer).toMatchObject({ samples: [3, 3], parts: { uploads: [1, 1], work: [2, 2] } });
  });
});
