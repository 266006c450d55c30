/** Parts of the suite, because kernels take minutes to compile in software: `pnpm conformance:browser` runs all of it. */
import { formatReport, type SelectionOptions } from '@tutti/conformance';
import { tellLeftOut } from '@tutti/testbed';
import { expect, it } from 'vitest';
import { runInBrowser } from '../src/harness/run.ts';

it.each<[string, string | undefined, SelectionOptions]>([
  ['what the adapter has', undefined, { modes: ['eager', 'gradient', 'random'], every: 20, randomGraphs: 6 }],
  ['the least limits', 'default', { modes: ['eager', 'random'], every: 50, randomGraphs: 4 }],
])(
  'the suite passes on WebGPU in Chromium, with %s',
  async (name, limits, selection) => {
    const { report, exitCode } = await runInBrowser({ backends: ['webgpu'], limits, ...selection });
    tellLeftOut(`in Chromium, with ${name}`, report);
    expect(exitCode, formatReport(report)).toBe(0);
    expect(report.summary['webgpu']).toMatchObject({ fail: 0, unsupported: 0, notRun: 0 });
    expect(new Set(report.results.map(({ op }) => op)).size).toBeGreaterThanOrEqual(75);
  },
  600_000,
);
