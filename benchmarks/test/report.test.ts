import { describe, expect, it } from 'vitest';
import { fromText, toText } from '../src/floats.ts';
import { formatProfile, tableHead, tableRows } from '../src/report.ts';

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

describe('floats as text', () => {
  it('come back bit by bit, at any length', () => {
    for (const length of [0, 1, 2, 3, 20_000]) {
      const values = Float32Array.from({ length }, (_, i) => Math.fround(1 / (i + 1)));
      expect(fromText(toText(values))).toEqual(values);
    }
    expect(fromText(toText(Float32Array.of(0, 1, 2).subarray(1)))).toEqual(Float32Array.of(1, 2));
  });
});
