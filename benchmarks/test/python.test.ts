import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Answer, Assignment } from '../src/carry-out.ts';
import { operandsOf } from '../src/operands.ts';
import { Places } from '../src/places/index.ts';
import { inFreshPython } from '../src/places/python.ts';
import { runCase } from '../src/rounds.ts';
import type { Case } from '../src/suites.ts';

const doubled: Case = {
  name: 'doubled',
  work: { kind: 'scaleAdd', length: 3 },
  place: 'cuda',
  iterations: 2,
};
const budget = { warmUp: 0, sample: 0, samples: 1, slow: 100 };
const assignment: Assignment = {
  adapter: 'torch',
  work: doubled.work,
  budget,
  iterations: 2,
  wantResult: true,
  wantProfile: false,
};

const folder = mkdtempSync(join(tmpdir(), 'tutti-python-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program in the place of the interpreter: `told` is what it is told, and `answer` sends a line and the values behind it. */
function python(body: string): string {
  const file = join(folder, `python-${body.length}`);
  const text = `#!${process.execPath}
const told = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const answer = (line, values = []) => {
  require('node:fs').writeSync(1, JSON.stringify(line) + '\\n');
  require('node:fs').writeSync(1, Buffer.from(Float32Array.from(values).buffer));
};
${body}
`;
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

const ask = (body: string, timeout = 20_000): Promise<Answer> =>
  inFreshPython(python(body), 'cuda:1', assignment, timeout);

describe('a process of Python', () => {
  it('is told the work, the device and how to make the operands', async () => {
    const answer = await ask(
      "answer({ status: 'unsupported', description: '', reason: JSON.stringify([told, process.argv[2]]) });",
    );
    const [told, script] = JSON.parse((answer as { reason: string }).reason);
    expect(told).toEqual({
      ...assignment,
      device: 'cuda:1',
      operands: [{ name: 'x', shape: [3], fill: 'random', start: 0, scale: 1, offset: 0 }],
    });
    expect(script).toMatch(/[\\/]peers[\\/]pytorch[\\/]child\.py$/);
  });

  it('answers with a line, and with values behind it', async () => {
    const answer = await ask(
      "answer({ status: 'measured', description: 'x', samples: [1.5], result: 2 }, [0.1, -4]);",
    );
    expect(answer).toEqual({
      status: 'measured',
      description: 'x',
      samples: [1.5],
      result: Float32Array.of(0.1, -4),
    });
  });

  it.each([
    ['ends with an error', "console.error('out of order'); process.exit(3);", 'ended with 3\nout of order'],
    ['says nothing', '', 'without an answer'],
    ['says something else', "process.stdout.write('hello\\n');", 'without an answer'],
    [
      'loses values',
      "answer({ status: 'measured', description: '', samples: [1], result: 3 }, [1, 2]);",
      '8 bytes of results where 12 were announced',
    ],
  ])('has failed where it %s', async (_, body, reason) => {
    expect(await ask(body)).toEqual({ status: 'failed', reason: expect.stringContaining(reason) });
  });

  it('is ended where it takes too long', async () => {
    expect(await ask('setTimeout(() => {}, 60_000);', 500)).toMatchObject({ status: 'slow' });
  });

  it('is absent where there is no interpreter', async () => {
    const answer = await inFreshPython(join(folder, 'nowhere'), 'cuda', assignment, 20_000);
    expect(answer).toEqual({ status: 'absent', reason: expect.stringMatching(/nowhere was not found$/) });
  });
});

describe('the peers of the suite cuda', () => {
  it('measure, or say what is missing', async () => {
    const answer = await inFreshPython('python3', 'cuda', assignment, 60_000);
    if (answer.status === 'measured') expect(answer.description).toMatch(/^PyTorch .*; eager; waits by/);
    else expect(answer).toEqual({ status: 'absent', reason: expect.stringMatching(/PyTorch|python3/) });
  }, 60_000);

  it('take turns with this library, on operands that they make themselves', async () => {
    const expected = operandsOf(doubled.work)['x']!.map((x) => 2 * x + 1);
    const peer = python(`
const { TRITON_CACHE_DIR, TUTTI_CUDA_PRECISION } = process.env;
const result = told.wantResult ? ${JSON.stringify([...expected])} : [];
const description = [told.device, TUTTI_CUDA_PRECISION, TRITON_CACHE_DIR !== undefined].join();
answer(
  { status: 'measured', description, samples: [2], ...(told.wantResult && { result: 3, first: 9 }) },
  result,
);`);
    const places = new Places({ device: 'cuda-emulated', python: peer });
    const { measurements } = await runCase(doubled, {
      adapters: ['tutti', 'torch'],
      rounds: 2,
      budget,
      timeout: 60_000,
      profile: false,
      carryOut: places.carriers.cuda,
    });
    await places.close();
    expect(measurements).toMatchObject({
      tutti: { status: 'measured', kernels: 1 },
      torch: { samples: [[2], [2]], first: 9, description: 'cuda-emulated,ieee,true' },
    });
  }, 120_000);
});
