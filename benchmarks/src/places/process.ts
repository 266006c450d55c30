/** Measurements in processes of Node. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Answer } from '../carry-out.ts';
import type { Order } from '../child.ts';

/** What has been built, where this runs from the sources as well. */
const childFile = join(import.meta.dirname, '..', '..', 'dist', 'child.js');

/** One process, which makes the measurement and ends. */
export function inFreshProcess(
  order: Order,
  timeout: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const child = fork(childFile, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, ...environment },
    });
    let errors = '';
    const answered = (answer: Answer): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      child.kill();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      answered({ status: 'slow', reason: `not done after ${timeout / 1000} s` });
    }, timeout);
    child.stderr!.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.once('message', (answer: Answer) => answered(answer));
    child.once('error', (error) => answered({ status: 'failed', reason: error.message }));
    child.once('exit', (code, signal) => {
      answered({ status: 'failed', reason: `the process ended with ${signal ?? code}\n${errors.trim()}` });
    });
    child.send(order);
  });
}
