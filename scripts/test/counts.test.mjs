import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addCounts, closingLineCounts, one, vitestCounts } from '../counts.mjs';

test('a suite is counted by its last closing line', () => {
  const output = 'a: 1 passed, 0 failed\n1 passed, 1 failed\n40 passed, 2 failed, 3 skipped\n';
  expect(closingLineCounts(1, output)).toEqual({ passed: 40, failed: 2, skipped: 3 });
  expect(closingLineCounts(0, '4 passed, 0 failed')).toEqual({ passed: 4, failed: 0, skipped: 0 });
});

test('a suite that fails or does not run is never counted as passed', () => {
  expect(closingLineCounts(0, 'nothing to do')).toEqual(one('failed'));
  expect(closingLineCounts(3, '4 passed, 0 failed')).toEqual({ passed: 4, failed: 1, skipped: 0 });
  expect(vitestCounts(0, join(tmpdir(), 'tutti-no-such-report.json'))).toEqual(one('failed'));
});

test('a test file that cannot be loaded is one failure', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tutti-counts-'));
  const path = join(dir, 'report.json');
  const results = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{ status: 'failed' }, { status: 'passed' }] },
  ];
  writeFileSync(
    path,
    JSON.stringify({
      numPassedTests: 1,
      numFailedTests: 1,
      numPendingTests: 2,
      numTodoTests: 1,
      testResults: results,
    }),
  );
  expect(vitestCounts(1, path)).toEqual({ passed: 1, failed: 2, skipped: 3 });
  rmSync(dir, { recursive: true });
});

test('counts add up', () => {
  const total = one('passed');
  addCounts(total, { passed: 2, failed: 3, skipped: 4 });
  expect(total).toEqual({ passed: 3, failed: 3, skipped: 4 });
});
