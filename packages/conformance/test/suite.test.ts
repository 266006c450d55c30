import { configure, registerBackend, settings, unregisterBackend } from '@tutti/core';
import { DeviceError } from '@tutti/core/backend';
import { interpreterBackend } from '@tutti/core/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ConformanceError,
  type ConformanceProgress,
  type ConformanceReport,
  type ConformanceResult,
  cases,
  conformance,
  formatReport,
  mergeShards,
  type OpCase,
  runConformance,
  type Shard,
} from '../src/index.ts';
import { delegate } from '../src/run/delegate.ts';

const backend = interpreterBackend();
beforeAll(() => registerBackend(backend));

describe('the suite on the reference interpreter', () => {
  it('passes in every mode, in the two lines that a backend writes', async () => {
    const report = await conformance({ backend, filter: 'softmax' });
    const modes = new Set(
      report.results.filter((row) => row.backend === 'interpreter').map(({ mode }) => mode),
    );
    expect([...modes]).toEqual(['eager', 'unfused', 'jit', 'gradient', 'jit gradient']);
    expect(report.summary['interpreter']).toMatchObject({ fail: 0, notRun: 0 });
  }, 60_000);

  it('passes random graphs', async () => {
    const { report, exitCode } = await runConformance({
      backends: ['interpreter'],
      cases: [],
      randomGraphs: 40,
      seed: 3,
    });
    expect(exitCode, formatReport(report)).toBe(0);
    expect(report.results.map((row) => row.case)).toEqual([
      'random graphs',
      'random graphs unfused',
      'random graphs jit',
      'random graphs gradient',
      'random graphs variables',
      'random training',
    ]);
  }, 120_000);

  it('gives the same rows in parts as whole', async () => {
    const options = { backends: ['interpreter'], filter: 'max', randomGraphs: 1 };
    const whole = (await runConformance(options)).report;
    const parts = [];
    for (const index of [0, 1, 2])
      parts.push((await runConformance({ ...options, shard: { index, count: 3 } })).report);
    const merged = mergeShards(parts);
    const names = (rows: readonly ConformanceResult[]) =>
      rows.map((row) => `${row.case} ${row.dtype} ${row.backend} ${row.mode} ${row.status}`).sort();
    expect(parts.map(({ results }) => results.length).every((length) => length > 0)).toBe(true);
    expect(names(merged.results)).toEqual(names(whole.results));
    expect(merged.summary).toEqual(whole.summary);
    expect(merged.devices).toEqual(whole.devices);
  }, 60_000);

  it('shares random programs among the parts, and tells a failure of any', async () => {
    const options = { backends: ['interpreter'], cases: [], randomGraphs: 5 };
    const seen = async (shard?: Shard): Promise<[ConformanceReport, string[]]> => {
      const programs: string[] = [];
      const onProgress = (progress: ConformanceProgress) => programs.push(progress.case);
      const { report } = await runConformance({ ...options, onProgress, ...(shard ? { shard } : {}) });
      return [report, programs];
    };
    const [whole, all] = await seen();
    const parts = [await seen({ index: 0, count: 2 }), await seen({ index: 1, count: 2 })];
    // Each kind is told of once in each part, and each program once in all.
    expect(parts.flatMap(([, programs]) => programs)).toHaveLength(all.length + whole.results.length);
    const reports = parts.map(([report]) => report);
    expect(mergeShards(reports).results).toEqual(whole.results);
    const [first] = reports[1]!.results;
    const failing = { ...reports[1]!, results: [{ ...first!, status: 'fail', reason: 'planted' } as const] };
    expect(mergeShards([reports[0]!, failing]).summary['interpreter']).toMatchObject({ pass: 5, fail: 1 });
  }, 60_000);

  it.each([
    [
      'nothing beyond the least',
      {
        rowPrograms: false,
        multipleOutputs: false,
        scatterStores: false,
        buffersPerKernel: 4,
        reduceSplit: 64,
      },
    ],
    ['no row programs', { rowPrograms: false }],
    ['one result for each kernel', { multipleOutputs: false }],
    ['reductions that are split early', { parallelism: 2 ** 20, reduceSplit: 3 }],
  ])(
    'passes on a device with %s',
    async (_, capabilities) => {
      registerBackend(interpreterBackend({ name: 'limited', capabilities }));
      const options = {
        backends: ['limited'],
        modes: ['eager', 'gradient', 'random'] as const,
        randomGraphs: 25,
        seed: 5,
      };
      const own = cases.filter(({ name }) =>
        ['sum', 'variance', 'argMax', 'softmax', 'scatterAdd', 'concat', 'layerNorm'].includes(name),
      );
      const { report, exitCode } = await runConformance({ ...options, cases: own });
      await unregisterBackend('limited');
      expect(exitCode, formatReport(report)).toBe(0);
    },
    120_000,
  );

  it('leaves the settings as they were', async () => {
    const before = configure({ fusion: true });
    await runConformance({ backends: ['interpreter'], filter: 'neg', modes: ['unfused'] });
    expect(settings().fusion).toBe(true);
    configure(before);
  }, 60_000);
});

describe('a part of the suite', () => {
  it('is all samples in the first dtype, and others in each of the rest', async () => {
    const ran = new Map<string, Set<string>>();
    const neg = cases.find(({ name }) => name === 'neg')!;
    const watched: OpCase = {
      ...neg,
      samples: (dtype) =>
        neg.samples(dtype).map((sample) => ({
          ...sample,
          call: (...inputs) => {
            ran.set(dtype, (ran.get(dtype) ?? new Set()).add(sample.label));
            return sample.call(...inputs);
          },
        })),
    };
    const run = { backends: ['interpreter'], cases: [watched], modes: ['eager', 'random'] as const };
    const { report } = await runConformance({ ...run, every: 3, randomGraphs: 2 });
    const labels = neg.samples('float32').map(({ label }) => label);
    const [first, ...others] = [...ran.values()];
    expect(first!.size).toBe(labels.length);
    for (const other of others) {
      expect(other.size).toBeGreaterThan(0);
      expect(other.size).toBeLessThanOrEqual(Math.ceil(labels.length / 3));
    }
    expect(new Set(others.flatMap((other) => [...other])).size).toBe(labels.length);
    expect(report.leftOut).toEqual([
      'modes: reference, derivative, second derivative, unfused, jit, gradient, jit gradient',
      expect.stringMatching(/^\d+ of \d+ samples: in dtypes other than a case's first, each runs every 3rd$/),
      '58 of 60 random graphs of each kind',
    ]);
    for (const sentence of report.leftOut!) expect(formatReport(report)).toContain(`left out: ${sentence}`);
  }, 60_000);

  it('is not spoken of where everything runs', async () => {
    const { report } = await runConformance({ backends: ['interpreter'], filter: 'neg' });
    expect(report).not.toHaveProperty('leftOut');
  }, 60_000);
});

describe('a device made of another', () => {
  it('fails when the other does', async () => {
    const inner = await backend.open(0);
    let failure: DeviceError | undefined;
    const outer = delegate(Object.defineProperty(inner, 'failure', { get: () => failure }), {});
    expect(outer.failure).toBe(undefined);
    failure = new DeviceError('the device was lost');
    expect(outer.failure).toBe(failure);
  });
});

describe('the report', () => {
  it('has the documented form', async () => {
    const { report } = await runConformance({ backends: ['interpreter'], filter: 'outer', modes: ['eager'] });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(report.devices[0]).toMatchObject({ id: 'interpreter', available: true, emulated: true });
    for (const row of report.results) {
      expect(row).toMatchObject({
        case: 'outer',
        op: 'outer',
        backend: 'interpreter',
        mode: 'eager',
        status: 'pass',
      });
      expect(row.maxRel).toBeGreaterThanOrEqual(0);
      expect(row.maxUlp).toBeGreaterThanOrEqual(0);
    }
    expect(report.summary['interpreter']).toEqual({
      pass: report.results.length,
      fail: 0,
      unsupported: 0,
      notRun: 0,
    });
  }, 60_000);

  it('says what a device does not store', async () => {
    registerBackend(
      interpreterBackend({
        name: 'narrow',
        capabilities: { storage: ['float32', 'int32', 'uint32', 'bool'] },
      }),
    );
    const { report, exitCode } = await runConformance({
      backends: ['narrow'],
      filter: 'neg',
      modes: ['eager'],
    });
    const half = report.results.find(({ dtype }) => dtype === 'float16')!;
    expect(half).toMatchObject({ status: 'unsupported', reason: 'the device does not store float16' });
    expect(exitCode).toBe(0);
    expect(formatReport(report)).toContain('unsup');
  }, 60_000);

  it('never counts a device that is missing as passed', async () => {
    const reason = 'there is no such hardware';
    registerBackend({
      name: 'absent',
      priority: 0,
      probe: async () => ({ available: false, reason, fix: 'plug it in' }),
      open: () => Promise.reject(new DeviceError('never opened')),
    });
    const { report, exitCode } = await runConformance({ backends: ['absent'], filter: 'neg' });
    expect(report.summary['absent']).toMatchObject({ pass: 0, fail: 0 });
    expect(report.summary['absent']!.notRun).toBeGreaterThan(0);
    expect(exitCode).toBe(1);
    expect(formatReport(report)).toContain(`absent did not run: ${reason} (plug it in)`);
  });

  it('fails when a required device was not among those that ran', async () => {
    const { exitCode } = await runConformance({
      backends: ['interpreter'],
      required: ['cuda'],
      filter: 'neg',
      modes: ['eager'],
    });
    expect(exitCode).toBe(1);
  }, 60_000);

  it('carries the failures of a backend that is wrong, and throws them', async () => {
    const broken = interpreterBackend({ name: 'broken', execute: false });
    const failure = await conformance({ backend: broken, filter: 'neg', modes: ['eager'] }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(ConformanceError);
    expect((failure as ConformanceError).message).toMatch(/broken {2}neg f32: .*expected/);
  }, 60_000);
});
