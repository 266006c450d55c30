import { formatReport } from '@tutti/conformance';
import { describe, expect, it } from 'vitest';
import { runInBrowser } from '../src/harness/run.ts';

describe('the suite in Chromium', () => {
  it('passes in a page that is isolated, on worker threads', async () => {
    const { report, exitCode, isolated } = await runInBrowser({
      backends: ['cpu'],
      modes: ['eager', 'jit', 'gradient', 'random'],
      randomGraphs: 20,
    });
    expect(isolated).toBe(true);
    expect(exitCode, formatReport(report)).toBe(0);
    expect(report.summary['cpu']).toMatchObject({ fail: 0, notRun: 0 });
    expect(new Set(report.results.map(({ op }) => op)).size).toBeGreaterThanOrEqual(75);
  }, 600_000);

  it('passes in a page without SharedArrayBuffer, on one thread', async () => {
    const { report, exitCode, isolated } = await runInBrowser({
      isolated: false,
      backends: ['cpu'],
      modes: ['eager', 'random'],
      randomGraphs: 10,
    });
    expect(isolated).toBe(false);
    expect(exitCode, formatReport(report)).toBe(0);
    expect(report.summary['cpu']).toMatchObject({ fail: 0, notRun: 0 });
  }, 600_000);
});
