import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { mergeReports, registering, takeOption } from '../conformance.mjs';

describe('takeOption', () => {
  it.each([
    [['--backend', 'cpu,webgl', '--every', '3'], { value: 'cpu,webgl', rest: ['--every', '3'] }],
    [['--every', '3', '--backend=webgl'], { value: 'webgl', rest: ['--every', '3'] }],
    [['--every', '3'], { value: undefined, rest: ['--every', '3'] }],
  ])('%j', (args, expected) => expect(takeOption(args, '--backend')).toEqual(expected));
});

it('a backend that only a module has is registered when it is named', () => {
  expect(registering(['cpu', 'webgpu'])).toEqual([]);
  const flags = registering(['cpu', 'cuda-emulated', 'cuda-emulated:1']);
  expect(flags).toEqual(['--register', expect.stringMatching(/[\\/]scripts[\\/]emulated-cuda\.mjs$/)]);
});

it('--help is printed once, and nothing is run', () => {
  const script = join(import.meta.dirname, '..', 'conformance.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--help'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.match(/^Usage: /gm)).toHaveLength(1);
});

describe('mergeReports', () => {
  const counts = { pass: 1, fail: 0, unsupported: 0, notRun: 0 };
  const report = (id, more = {}) => ({
    devices: [{ id, available: true, description: id }],
    results: [{ backend: id, status: 'pass' }],
    summary: { [id]: counts },
    ...more,
  });

  it('keeps what each report has, and says once what all left out', () => {
    const merged = mergeReports([
      report('cpu', { leftOut: ['modes: jit'] }),
      report('webgl', { leftOut: ['modes: jit'] }),
    ]);
    expect(merged.devices.map(({ id }) => id)).toEqual(['cpu', 'webgl']);
    expect(merged.results).toHaveLength(2);
    expect(merged.summary).toEqual({ cpu: counts, webgl: counts });
    expect(merged.leftOut).toEqual(['modes: jit']);
  });

  it('counts once what several reports have judged', () => {
    const withOracle = (id) => {
      const { results, summary, ...rest } = report(id);
      return {
        ...rest,
        results: [...results, { backend: 'oracle', status: 'pass' }],
        summary: { ...summary, oracle: counts },
      };
    };
    const merged = mergeReports([withOracle('cpu'), withOracle('webgl')]);
    expect(merged.results.map(({ backend }) => backend)).toEqual(['cpu', 'oracle', 'webgl']);
  });

  it('says nothing of what was left out where all ran', () => {
    expect(mergeReports([report('cpu')])).not.toHaveProperty('leftOut');
  });
});
