/** A part of the suite, because shaders take minutes to compile in software: `pnpm conformance --backend webgl` runs all of it. */
import { formatReport } from '@tutti/conformance';
import { expect, it } from 'vitest';
import { runInBrowser } from '../src/harness/run.ts';

it('the suite passes on WebGL in Chromium', async () => {
  const { report, exitCode } = await runInBrowser({
    backends: ['webgl'],
    modes: ['eager', 'unfused', 'gradient', 'random'],
    every: 20,
    randomGraphs: 6,
  });
  for (const sentence of report.leftOut ?? [])
    console.log(`left out of the suite in Chromium, on WebGL: ${sentence}`);
  expect(exitCode, formatReport(report)).toBe(0);
  expect(report.summary['webgl']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
  expect(new Set(report.results.map(({ op }) => op)).size).toBeGreaterThanOrEqual(75);
}, 600_000);
