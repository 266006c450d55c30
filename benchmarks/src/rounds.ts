/** Runs the measurements: every one in a fresh process or page, the libraries in turn, several rounds. */
import { InternalError } from '@tutti/core/backend';
import type { KernelTime } from './adapters/adapter.ts';
import type { Answer, Assignment } from './carry-out.ts';
import { ours } from './libraries.ts';
import type { Budget } from './measure.ts';
import { operandsOf } from './operands.ts';
import type { Carrier } from './places/index.ts';
import { checkResult, compareResults, hasReference } from './reference.ts';
import { median } from './statistics.ts';
import type { Case } from './suites.ts';

export interface RoundOptions {
  readonly adapters: readonly string[];
  readonly rounds: number;
  readonly budget: Budget;
  /** Longest that one measurement may take, in milliseconds. */
  readonly timeout: number;
  /** Whether to ask for the times of our kernels, once. */
  readonly profile: boolean;
  readonly carryOut: Carrier;
}

/** What one library did with one case. */
export type Measurement =
  | {
      readonly status: 'measured';
      readonly description: string;
      /** Milliseconds of one run, by round. */
      readonly samples: readonly (readonly number[])[];
      readonly median: number;
      /** Of the parts of the work that were timed by themselves. */
      readonly parts?: Readonly<Record<string, readonly (readonly number[])[]>> | undefined;
      /** Milliseconds from before the import to the first result on the host, everything cold. */
      readonly first?: number | undefined;
      readonly kernels?: number | undefined;
      readonly profile?: readonly KernelTime[] | undefined;
    }
  /** `slow`: it did not end in the time that one measurement may take. `absent`: it is not on this machine. */
  | { readonly status: 'unsupported' | 'absent' | 'failed' | 'slow'; readonly reason: string }
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
        iterations: each.iterations ?? 1,
        wantResult: round === 0,
        wantProfile: round === 0 && options.profile && adapter === ours,
      };
      before.push(await options.carryOut(assignment, options.timeout));
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
  const measured = answers.filter((answer) => answer.status === 'measured');
  const [initial] = measured;
  if (!initial) return answers[0] as Measurement;
  const samples = measured.map((answer) => answer.samples);
  const { description, first, kernels, profile } = initial;
  return {
    status: 'measured',
    description,
    samples,
    median: median(samples.flat()),
    ...(initial.parts && { parts: partsOf(measured, Object.keys(initial.parts)) }),
    first,
    kernels,
    profile,
  };
}

const partsOf = (
  answers: readonly Extract<Answer, { status: 'measured' }>[],
  names: readonly string[],
): Record<string, (readonly number[])[]> =>
  Object.fromEntries(names.map((name) => [name, answers.map(({ parts }) => parts![name]!)]));

/** Checks every result against the float64 reference, and then against the first that passed. */
function markWrong(
  each: Case,
  answers: ReadonlyMap<string, readonly Answer[]>,
  measurements: Record<string, Measurement>,
): void {
  const operands = hasReference(each.work) ? operandsOf(each.work) : {};
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
