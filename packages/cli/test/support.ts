import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const bin = join(import.meta.dirname, '..', 'dist', 'bin.js');

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in a process of its own. `onOutput` sees all standard output so far. */
export function tutti(
  args: readonly string[],
  options: {
    readonly env?: Record<string, string>;
    readonly onOutput?: (stdout: string, child: ChildProcess) => void;
  } = {},
): Promise<Finished> {
  const { TUTTI_DEVICE: _, TUTTI_DEBUG: __, ...inherited } = process.env;
  const child = spawn(process.execPath, [bin, ...args], {
    env: { ...inherited, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    options.onOutput?.(stdout, child);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tutti-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Flags of a training that takes a moment. */
export const small: readonly string[] = ['--train', '512', '--test', '200', '--epochs', '1', '--batch', '64'];

export const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1)!;
