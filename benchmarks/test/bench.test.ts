import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseOptions } from '../src/options.ts';

const bin = join(import.meta.dirname, '..', 'dist', 'bin.js');

function bench(...args: string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync(process.execPath, [bin, ...args], { encoding: 'utf8' });
}

interface Report {
  readonly libraries: readonly string[];
  readonly cases: readonly {
    readonly place: string;
    readonly measurements: Readonly<Record<string, Measured>>;
  }[];
}

interface Measured {
  readonly samples: readonly (readonly number[])[];
  readonly kernels?: number;
  readonly ratio?: number;
  readonly profile?: readonly object[];
}

/** A run of one round that must succeed, and what it wrote. */
function benchToFile(...args: string[]): { readonly report: Report; readonly stdout: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tutti-bench-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'out.json');
  const { status, stdout, stderr } = bench(...args, '--rounds', '1', '--json', file);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return { report: JSON.parse(readFileSync(file, 'utf8')) as Report, stdout };
}

describe('pnpm bench', () => {
  it('measures, checks and compares with the peers', () => {
    const { report, stdout } = benchToFile('--peers', '--filter', 'matmul 64');
    for (const library of ['tutti', 'tfjs-wasm', 'jax-js'])
      expect(stdout).toMatch(new RegExp(`${library} .* ms .* GFLOP/s`));
    expect(report.cases).toHaveLength(1);
    const { measurements } = report.cases[0]!;
    expect(measurements['tutti']!.kernels).toBe(1);
    expect(measurements['tfjs-wasm']!.ratio).toBeGreaterThan(0);
    expect(measurements['jax-js']!.samples[0]).toHaveLength(5);
    expect(report.libraries[1]).toMatch(/^@tensorflow\/tfjs-backend-wasm \d/);
  }, 120_000);

  it('measures pages of a browser, on the same adapter', () => {
    const { report, stdout } = benchToFile('--suite', 'webgpu', '--peers', '--filter', 'first', '--profile');
    const { measurements } = report.cases[0]!;
    expect(Object.keys(measurements)).toEqual(['tutti', 'tfjs-webgpu', 'onnxruntime-web', 'jax-js']);
    for (const each of Object.values(measurements)) expect(each).toMatchObject({ status: 'measured' });
    expect(measurements['tutti']!.profile).toHaveLength(1);
    expect(measurements['jax-js']!.ratio).toBeGreaterThan(0);
    const adapter = /^@jax-js\/jax [\d.]+, (.*);/.exec(report.libraries[3]!)![1]!;
    expect(report.libraries).toHaveLength(4);
    for (const line of report.libraries) expect(line).toContain(adapter);
    expect(stdout).toContain(report.libraries.join('\n'));
  }, 240_000);

  it('measures what it costs Node to queue a plan', () => {
    const { report, stdout } = benchToFile('--suite', 'webgpu', '--peers', '--filter', 'queueing');
    expect(report.cases[0]).toMatchObject({ place: 'dawn', measurements: { tutti: { kernels: 500 } } });
    expect(stdout).toMatch(/tutti .* us\/kernel/);
  }, 120_000);

  it('a filter that fits nothing is an error', () => {
    const { status, stderr } = bench('--filter', 'glissando');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^error \[TUTTI_ARGUMENT\]: --filter glissando: /);
  });
});

describe('options', () => {
  it('have defaults', () => {
    expect(parseOptions([])).toEqual({
      suite: 'micro',
      peers: false,
      filter: '',
      rounds: 3,
      json: undefined,
      profile: false,
    });
  });

  it('choose a suite', () => {
    expect(parseOptions(['--suite', 'webgpu', '--profile'])).toMatchObject({
      suite: 'webgpu',
      profile: true,
    });
  });

  it('may follow the two dashes that pnpm passes on', () => {
    expect(parseOptions(['--', '--peers'])).toMatchObject({ peers: true });
  });

  it.each([
    [['--suite', 'macro'], 'no such suite'],
    [['--rounds', '0'], 'not an integer of at least 1'],
    [['--peer'], 'peer'],
  ])('%j is an error', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});
