import { describe, expect, it } from 'vitest';
import type { Answer, Assignment } from '../src/carry-out.ts';
import { operandsOf } from '../src/operands.ts';
import type { Carrier } from '../src/places/index.ts';
import { runCase } from '../src/rounds.ts';
import type { Case } from '../src/suites.ts';

const doubled: Case = { name: 'doubled', work: { kind: 'scaleAdd', length: 4 }, place: 'node' };
const budget = { warmUp: 0, sample: 0, samples: 1, slow: 100 };

type Give = (assignment: Assignment, round: number) => Answer | Promise<Answer>;

/** Runs the case with made-up libraries, and notes in which order they were asked. */
async function run(libraries: Readonly<Record<string, Give>>, rounds = 2, profile = false) {
  const asked: Assignment[] = [];
  const carryOut: Carrier = async (assignment) => {
    const round = asked.filter(({ adapter }) => adapter === assignment.adapter).length;
    asked.push(assignment);
    return libraries[assignment.adapter]!(assignment, round);
  };
  const adapters = Object.keys(libraries);
  const { measurements } = await runCase(doubled, {
    adapters,
    rounds,
    budget,
    timeout: 1,
    profile,
    carryOut,
  });
  return { measurements, asked };
}

/** The right result: x * 2 + 1 of the operands. */
const right = operandsOf(doubled.work)['x']!.map((x) => 2 * x + 1);

const measured =
  (milliseconds: number, result = right): Give =>
  ({ wantResult }) => ({
    status: 'measured',
    description: 'made up',
    samples: [milliseconds],
    ...(wantResult && { result, first: 7 }),
  });

describe('runCase', () => {
  it('lets the libraries take turns, every other round backwards, and asks once for the result', async () => {
    const { asked, measurements } = await run({ tutti: measured(1), other: measured(2) }, 3, true);
    expect(asked.map(({ adapter }) => adapter).join(' ')).toBe('tutti other other tutti tutti other');
    expect(asked.map(({ wantResult }) => wantResult)).toEqual([true, true, false, false, false, false]);
    expect(asked.filter(({ wantProfile }) => wantProfile)).toEqual([asked[0]]);
    expect(measurements['other']).toMatchObject({ samples: [[2], [2], [2]], median: 2, first: 7 });
  });

  it('asks no more where there is nothing to measure, or where a run is slow', async () => {
    const { asked, measurements } = await run({
      tutti: measured(1000),
      a: () => ({ status: 'unsupported', description: '', reason: 'it cannot' }),
      b: () => ({ status: 'slow', reason: 'not done' }),
      c: () => ({ status: 'failed', reason: 'out of order' }),
    });
    expect(asked).toHaveLength(4);
    expect(measurements).toMatchObject({
      tutti: { status: 'measured' },
      a: { status: 'unsupported', reason: 'it cannot' },
      b: { status: 'slow' },
      c: { status: 'failed' },
    });
  });

  it('knows a library that is not here, and asks no more', async () => {
    const { asked, measurements } = await run({
      tutti: measured(1),
      torch: () => ({ status: 'absent', reason: 'python3 was not found' }),
    });
    expect(asked.filter(({ adapter }) => adapter === 'torch')).toHaveLength(1);
    expect(measurements['torch']).toEqual({ status: 'absent', reason: 'python3 was not found' });
  });

  it('keeps the times of the parts, by round', async () => {
    const { measurements } = await run({
      tutti: (assignment, round) => {
        const answer = measured(1)(assignment, round) as Extract<Answer, { status: 'measured' }>;
        return { ...answer, parts: { uploads: [round] } };
      },
    });
    expect(measurements['tutti']).toMatchObject({ parts: { uploads: [[0], [1]] } });
  });

  it('gives no time for what failed in a later round', async () => {
    const { measurements } = await run({
      tutti: (assignment, round) =>
        round === 0 ? measured(1)(assignment, round) : { status: 'failed', reason: 'late' },
    });
    expect(measurements['tutti']).toEqual({ status: 'failed', reason: 'late' });
  });

  it('finds a wrong result, whoever computed it', async () => {
    const wrong = right.with(2, 0);
    const { measurements } = await run({ tutti: measured(1, wrong), other: measured(1) });
    expect(measurements['tutti']).toMatchObject({ status: 'wrong' });
    expect(measurements['other']).toMatchObject({ status: 'measured' });
  });
});
