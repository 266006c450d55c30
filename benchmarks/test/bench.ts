/** Runs of the benchmark's program. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

const bin = join(import.meta.dirname, '..', 'dist', 'bin.js');

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const bench = (...args: string[]): Ended => benchWith({}, ...args);

export const benchWith = (environment: Readonly<Record<string, string>>, ...args: string[]): Ended =>
  spawnSync(process.execPath, [bin, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    timeout: 240_000,
  });

export interface Report {
  readonly suite: string;
  readonly device?: { readonly id: string; readonly description: string; readonly emulated: boolean };
  readonly libraries: readonly string[];
  readonly cases: readonly {
    readonly name: string;
    readonly place: string;
    readonly measurements: Readonly<Record<string, Measured>>;
  }[];
}

export interface Measured {
  readonly status: string;
  readonly samples: readonly (readonly number[])[];
  readonly kernels?: number;
  readonly ratio?: number;
  readonly hiddenUploads?: number;
  readonly parts?: Readonly<Record<string, readonly (readonly number[])[]>>;
  readonly profile?: readonly object[];
}

/** A run of one round that must succeed, and what it wrote. */
export function benchToFile(...args: string[]): { readonly report: Report; readonly stdout: string } {
  const folder = mkdtempSync(join(tmpdir(), 'tutti-bench-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'out.json');
  const { status, stdout, stderr } = bench(...args, '--rounds', '1', '--json', file);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return { report: JSON.parse(readFileSync(file, 'utf8')) as Report, stdout };
}
