import { describe, expect, it } from 'vitest';
import { suites } from '../src/suites.ts';
import { hasGradients, precisionOf, type Work } from '../src/work.ts';
import { bench, benchToFile, benchWith } from './bench.ts';

const { cuda } = suites;
const emulated = ['--suite', 'cuda', '--small', '--device', 'cuda-emulated'];

describe('the suite cuda', () => {
  const kinds = (cases: readonly { readonly work: Work }[]): Set<string> =>
    new Set(
      cases.map(({ work }) => `${work.kind} ${precisionOf(work)}${hasGradients(work) ? ', gradients' : ''}`),
    );

  it('is small with the same work', () => {
    expect(kinds(cuda.small!.cases)).toEqual(kinds(cuda.cases));
    expect(kinds(cuda.cases)).toContain('attention bfloat16, gradients');
    expect(kinds(cuda.cases)).toContain('matmul tf32');
  });

  it('waits once for many runs of short work, as often for every library', () => {
    for (const { work, iterations = 1 } of cuda.cases) {
      if (work.kind === 'matmul') expect(iterations * work.n).toBeGreaterThan(1 << 15);
    }
  });
});

describe('pnpm bench --suite cuda', () => {
  it('without a driver says so, and measures nothing elsewhere', () => {
    const missing = '/nowhere/libcuda.so.1';
    const { status, stdout, stderr } = benchWith({ TUTTI_CUDA_DRIVER: missing }, '--suite', 'cuda');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(
      /^error \[TUTTI_BACKEND_UNAVAILABLE\]: device cuda is not available: .*\n {2}fix: .*\n$/,
    );
    expect(stderr).toContain(missing);
  });

  it.each([
    [['--suite', 'cuda', '--device', 'cuda-emulated'], 'add --small'],
    [[...emulated, '--peers'], 'leave out --peers'],
  ])('%j is an error', (args, fix) => {
    const { status, stderr } = bench(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(fix);
  });

  it('says which devices there are', () => {
    const { status, stderr } = bench('--suite', 'cuda', '--small', '--device', 'cuda-emulated:7');
    expect(status).toBe(1);
    expect(stderr).toContain('there is no device cuda-emulated:7');
  });
});

describe('pnpm bench --suite cuda, emulated', () => {
  it('computes matrix products in every precision, and says that it is no GPU', () => {
    const { report, stdout } = benchToFile(...emulated, '--filter', 'matmul');
    expect(report.device).toMatchObject({ id: 'cuda-emulated', emulated: true });
    expect(stdout).toContain('these times say nothing of one');
    expect(stdout).toContain(report.libraries[0]);
    expect(report.libraries).toEqual([expect.stringContaining('emulated on the processor')]);
    expect(report.cases.map(({ name }) => name.split(', ')[1])).toEqual([
      'float32',
      'tf32',
      'float16',
      'bfloat16',
    ]);
    for (const { measurements } of report.cases)
      expect(measurements['tutti']).toMatchObject({ status: 'measured', kernels: 1 });
  }, 120_000);

  it('trains the language model, whose losses fall', () => {
    const { report, stdout } = benchToFile(...emulated, '--filter', 'GPT-2 of 2x32, batch 2x16, bfloat16');
    expect(report.cases[0]!.measurements['tutti']).toMatchObject({ status: 'measured' });
    expect(stdout).toMatch(/tutti .* tokens\/s/);
  }, 120_000);

  it('times uploads and work, alone and together', () => {
    const { report } = benchToFile(...emulated, '--filter', 'uploads');
    const { parts, hiddenUploads } = report.cases[0]!.measurements['tutti']!;
    expect(parts).toEqual({ uploads: [[expect.any(Number)]], work: [[expect.any(Number)]] });
    expect(hiddenUploads).toEqual(expect.any(Number));
  }, 120_000);
});
