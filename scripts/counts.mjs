// What a check contributes to the closing line `N passed, N failed, N skipped`.

import { existsSync, readFileSync } from 'node:fs';

/** A check that is not a suite counts as one. */
export function one(kind) {
  return { passed: 0, failed: 0, skipped: 0, [kind]: 1 };
}

/** Adds `counts` to `total`. */
export function addCounts(total, counts) {
  for (const kind of Object.keys(total)) total[kind] += counts[kind];
}

/**
 * Counts a vitest JSON report: one per test. A file that could not be loaded, or an error outside any test,
 * is one failure more, since no test stands for it.
 */
export function vitestCounts(code, reportPath) {
  if (!existsSync(reportPath)) return one('failed');
  const report = JSON.parse(readFileSync(reportPath, 'utf8'));
  const unloaded = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  return failedAtLeastOnce(code, {
    passed: report.numPassedTests,
    failed: report.numFailedTests + unloaded,
    skipped: report.numPendingTests + report.numTodoTests,
  });
}

/** For a suite that closes with `N passed, N failed[, N skipped]` itself; without that line it did not run. */
export function closingLineCounts(code, output) {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm)].at(-1);
  if (last === undefined) return one('failed');
  return failedAtLeastOnce(code, {
    passed: Number(last[1]),
    failed: Number(last[2]),
    skipped: Number(last[3] ?? 0),
  });
}

function failedAtLeastOnce(code, counts) {
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
