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

describe('pnpm bench', () => {
  it('measures, checks and compares with the peers', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tutti-bench-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'out.json');
    const { status, stdout, stderr } = bench(
      '--peers',
      '--filter',
      'matmul 64',
      '--rounds',
      '1',
      '--json',
      file,
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const library of ['tutti', 'tfjs-wasm', 'jax-js'])
      expect(stdout).toMatch(new RegExp(`${library} .* ms .* GFLOP/s`));
    const { cases } = JSON.parse(readFileSync(file, 'utf8'));
    expect(cases).toHaveLength(1);
    expect(cases[0].measurements['tutti'].kernels).toBe(1);
    expect(cases[0].measurements['tfjs-wasm'].ratio).toBeGreaterThan(0);
    expect(cases[0].measurements['jax-js'].samples[0]).toHaveLength(5);
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
