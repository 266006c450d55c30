import { describe, expect, it } from 'vitest';
import { fromText, toText } from '../src/floats.ts';
import { descriptionLines, formatProfile, jsonReport, tableHead, tableRows } from '../src/report.ts';
import type { CaseReport, Measurement } from '../src/rounds.ts';
import type { Work } from '../src/work.ts';

describe('the table', () => {
  it('has a cell for every column, and the reason where there is no time', () => {
    const rows = tableRows({
      name: 'queueing',
      case: { name: 'queueing', work: { kind: 'replay', kernels: 500, queueOnly: true }, place: 'dawn' },
      measurements: {
        tutti: { status: 'measured', description: '', samples: [[5]], median: 5, first: 300, kernels: 500 },
        peer: { status: 'unsupported', reason: 'it cannot' },
      },
    });
    expect(rows).toEqual([
      ['queueing', 'tutti', '5.00 ms', '10.0 us/kernel', '', '300 ms', '500 kernels'],
      ['', 'peer', 'unsupported', '', '', '', 'it cannot'],
    ]);
    expect(rows[0]).toHaveLength(tableHead.length);
  });

  const measured = (median: number): Measurement => ({
    status: 'measured',
    description: '',
    samples: [[median]],
    median,
  });
  const rows = (work: Work, measurements: Readonly<Record<string, Measurement>>): string[][] =>
    tableRows({ name: 'a', case: { name: 'a', work, place: 'cuda' }, measurements });

  it('has the unit that is usual for the work', () => {
    const model = { batch: 8, context: 1024, layers: 12, width: 768, heads: 12, vocabulary: 50257 };
    const rates: [Work, number, string][] = [
      [{ kind: 'matmul', n: 8192, precision: 'bfloat16' }, 1.5, '733 TFLOP/s'],
      [{ kind: 'matmul', n: 64 }, 1, '0.524 GFLOP/s'],
      [{ kind: 'chain', length: 1 << 26 }, 0.25, '2147 GB/s'],
      [{ kind: 'languageModel', ...model }, 20, '409600 tokens/s'],
    ];
    for (const [work, median, rate] of rates)
      expect(rows(work, { tutti: measured(median) })[0]![3]).toBe(rate);
  });

  it('says how much of the uploads is hidden', () => {
    const parts = { uploads: [[4]], work: [[10]] };
    const both = { ...measured(11), parts } as Measurement;
    const [row] = rows({ kind: 'upload', n: 4, products: 1, count: 2 }, { tutti: both });
    expect(row![3]).toBe('75 % of uploads hidden');
  });

  it('has the reason why a library is absent, and how many times as long the others take', () => {
    const [, eager, compiled] = rows(
      { kind: 'matmul', n: 64 },
      {
        tutti: measured(2),
        torch: measured(3),
        'torch-compile': { status: 'absent', reason: 'python3 was not found' },
      },
    );
    expect(eager![4]).toBe('1.50');
    expect(compiled).toEqual(['', 'torch-compile', 'absent', '', '', '', 'python3 was not found']);
  });
});

describe('a profile', () => {
  it('begins with the slowest kernel, and puts small ones together', () => {
    const profile = Array.from({ length: 12 }, (_, i) => ({ kernel: `k${i}`, milliseconds: i + 1 }));
    const lines = formatProfile(profile).split('\n');
    expect(lines).toHaveLength(11);
    expect(lines[0]).toMatch(/12\.0 ms {2}15 % {2}k11$/);
    expect(lines[10]).toMatch(/3\.00 ms {3}4 % {2}2 others$/);
  });

  it('says where there is none', () => expect(formatProfile([])).toContain('cannot time'));
});

describe('the file', () => {
  const work: Work = { kind: 'upload', n: 4, products: 1, count: 2 };
  const parts = { uploads: [[4]], work: [[10]] };
  const reports: CaseReport[] = [
    {
      name: 'uploads',
      case: { name: 'uploads', work, place: 'cuda' },
      measurements: {
        tutti: { status: 'measured', description: 'a GPU', samples: [[11]], median: 11, parts },
        torch: { status: 'measured', description: 'PyTorch 9.9, a GPU', samples: [[22]], median: 22, parts },
      },
    },
  ];

  it('names the hardware, and has every sample, ratio and share', () => {
    const device = { id: 'cuda', description: 'a GPU', emulated: false };
    const file = JSON.parse(jsonReport('cuda', reports, undefined, device));
    expect(file).toMatchObject({ suite: 'cuda', device, libraries: descriptionLines(reports) });
    expect(file.cases[0].measurements).toMatchObject({
      tutti: { samples: [[11]], parts, hiddenUploads: 0.75 },
      torch: { samples: [[22]], ratio: 2 },
    });
  });

  it('has a library that is no npm package under its own name', () => {
    expect(descriptionLines(reports)[1]).toBe('torch, PyTorch 9.9, a GPU');
  });
});

describe('floats as text', () => {
  it('come back bit by bit, at any length', () => {
    for (const length of [0, 1, 2, 3, 20_000]) {
      const values = Float32Array.from({ length }, (_, i) => Math.fround(1 / (i + 1)));
      expect(fromText(toText(values))).toEqual(values);
    }
    expect(fromText(toText(Float32Array.of(0, 1, 2).subarray(1)))).toEqual(Float32Array.of(1, 2));
  });
});
