/** Runs the measurements: every one in a fresh process, the libraries in turn, several rounds. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { InternalError } from '@tutti/core/backend';
import type { Answer, Assignment } from './child.ts';
import type { Budget } from './measure.ts';
import { checkResult, compareResults } from './reference.ts';
import { median } from './statistics.ts';
import { type Case, operandsOf } from './work.ts';

export interface RoundOptions {
  readonly adapters: readonly string[];
  readonly rounds: number;
  readonly budget: Budget;
  /** Longest that one process may take, in milliseconds. */
  readonly timeout: number;
}

/** What one library did with one case. */
export type Measurement =
  | {
      readonly status: 'measured';
      readonly description: string;
      /** Milliseconds of one run, by round. */
      readonly samples: readonly (readonly number[])[];
      readonly median: number;
      readonly kernels?: number | undefined;
    }
  /** `slow`: it did not end in the time that one process may take. */
  | { readonly status: 'unsupported' | 'failed' | 'slow'; readonly reason: string }
  /** It computed something else than the others, or than the reference. */
  | { readonly status: 'wrong'; readonly reason: string };

export interface CaseReport {
  readonly name: string;
  readonly case: Case;
  readonly measurements: Readonly<Record<string, Measurement>>;
}

export async function runCase(each: Case, options: RoundOptions): Promise<CaseReport> {
  const answers = new Map<string, Answer[]>(options.adapters.map((name) => [name, []]));
  for (let round = 0; round < options.rounds; round++) {
    // Every other round goes backwards, so that a machine that slows down is not always against the same library.
    const order = round % 2 === 0 ? options.adapters : options.adapters.toReversed();
    for (const adapter of order) {
      const before = answers.get(adapter)!;
      if (isDecided(before, options.budget)) continue;
      const assignment: Assignment = {
        adapter,
        work: each.work,
        budget: options.budget,
        wantResult: round === 0,
      };
      before.push(await inFreshProcess(assignment, options.timeout));
    }
  }
  const measurements = Object.fromEntries(
    [...answers].map(([adapter, list]) => [adapter, summarize(list)] as const),
  );
  markWrong(each, answers, measurements);
  return { name: each.name, case: each, measurements };
}

/** No further round is needed where there is nothing to measure, or where one run takes longer than noise matters. */
function isDecided(answers: readonly Answer[], budget: Budget): boolean {
  const last = answers.at(-1);
  if (last === undefined) return false;
  return last.status !== 'measured' || median(last.samples) > budget.slow;
}

function summarize(answers: readonly Answer[]): Measurement {
  const failed = answers.find((answer) => answer.status === 'failed' || answer.status === 'slow');
  if (failed) return failed as Measurement;
  const samples: (readonly number[])[] = [];
  let kernels: number | undefined;
  let description = '';
  for (const answer of answers) {
    if (answer.status !== 'measured') return answer as Measurement;
    samples.push(answer.samples);
    kernels ??= answer.kernels;
    description = answer.description;
  }
  return { status: 'measured', description, samples, median: median(samples.flat()), kernels };
}

/** Checks every result against the float64 reference, and then against the first that passed. */
function markWrong(
  each: Case,
  answers: ReadonlyMap<string, readonly Answer[]>,
  measurements: Record<string, Measurement>,
): void {
  const operands = operandsOf(each.work);
  let trusted: { readonly adapter: string; readonly result: Float32Array } | undefined;
  for (const [adapter, list] of answers) {
    const first = list[0];
    if (first?.status !== 'measured' || measurements[adapter]?.status !== 'measured') continue;
    if (!first.result) throw new InternalError(`${adapter}: no result to check`);
    const against = trusted && compareResults(each.work, first.result, trusted.result);
    const reason =
      checkResult(each.work, operands, first.result) ??
      (against && `differs from ${trusted!.adapter}: ${against}`);
    if (reason !== undefined) measurements[adapter] = { status: 'wrong', reason };
    else trusted ??= { adapter, result: first.result };
  }
}

const childFile = fileURLToPath(new URL('./child.js', import.meta.url));

function inFreshProcess(assignment: Assignment, timeout: number): Promise<Answer> {
  return new Promise((resolve) => {
    const child = fork(childFile, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
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
    child.send(assignment);
  });
}
