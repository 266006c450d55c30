/** A part of the suite, because shaders take minutes to compile in software: `pnpm conformance --backend webgl` runs all of it. */
import { formatReport } from '@tutti/conformance';
import { tellLeftOut } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { runInBrowser } from '../src/harness/run.ts';

it('the suite passes on WebGL in Chromium', async () => {
  const { report, exitCode } = await runInBrowser({
    backends: ['webgl'],
    modes: ['eager', 'unfused', 'gradient', 'random'],
    every: 20,
    randomGraphs: 6,
  });
  tellLeftOut('in Chromium, on WebGL', report);
  expect(exitCode, formatReport(report)).toBe(0);
  expect(report.summary['webgl']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
  expect(new Set(report.results.map(({ op }) => op)).size).toBeGreaterThanOrEqual(75);
}, 600_000);
