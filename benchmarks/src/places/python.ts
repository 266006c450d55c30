/** Measurements in processes of Python. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, Assignment } from '../carry-out.ts';
import { recipesOf } from '../operands.ts';

/** Milliseconds for what a process wrote before it ended. */
const lastWords = 2000;

const childFile = join(import.meta.dirname, '..', '..', 'peers', 'pytorch', 'child.py');

/**
 * One process, which makes the measurement and ends. It is told the assignment, with the recipes of its operands, as a line of JSON on
 * its standard input; its answer is a line of JSON on its standard output, where `result` is the number of float32 behind the line.
 */
export function inFreshPython(
  python: string,
  device: string,
  assignment: Assignment,
  timeout: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const child = spawn(python, [childFile], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...environment },
    });
    const output: Buffer[] = [];
    let errors = '';
    const answered = (answer: Answer): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      child.kill();
      resolve(answer);
    };
    const slow = (): void => answered({ status: 'slow', reason: `not done after ${timeout / 1000} s` });
    let timer = setTimeout(slow, timeout);
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('error', (error: NodeJS.ErrnoException) => {
      const isAbsent = error.code === 'ENOENT';
      const reason = isAbsent ? `${python} was not found` : error.message;
      answered({ status: isAbsent ? 'absent' : 'failed', reason });
    });
    const ended = (code: number | null, signal: string | null): void => {
      const reason = `the process ended with ${signal ?? code}\n${errors.trim()}`;
      answered(code === 0 ? answerOf(Buffer.concat(output)) : { status: 'failed', reason });
    };
    child.once('close', ended);
    child.once('exit', (code, signal) => {
      // Processes that it started for its compiler may keep its pipes open for a while.
      clearTimeout(timer);
      timer = setTimeout(ended, lastWords, code, signal);
    });
    child.stdin.on('error', () => {}); // it may end without having listened
    child.stdin.end(`${JSON.stringify({ ...assignment, device, operands: recipesOf(assignment.work) })}\n`);
  });
}

/** The line, in which `result` is a number of values. */
type Line = Answer | (Omit<Extract<Answer, { status: 'measured' }>, 'result'> & { readonly result?: number });

/** The answer of a process that ended well. */
function answerOf(output: Buffer): Answer {
  const end = output.indexOf('\n');
  let line: Line;
  try {
    line = JSON.parse(output.toString('utf8', 0, Math.max(end, 0)));
  } catch {
    return { status: 'failed', reason: 'the process ended without an answer' };
  }
  if (line.status !== 'measured' || typeof line.result !== 'number') return line as Answer;
  const bytes = new Uint8Array(output.subarray(end + 1));
  const expected = line.result * Float32Array.BYTES_PER_ELEMENT;
  if (bytes.byteLength === expected) return { ...line, result: new Float32Array(bytes.buffer) };
  return {
    status: 'failed',
    reason: `${bytes.byteLength} bytes of results where ${expected} were announced`,
  };
}
