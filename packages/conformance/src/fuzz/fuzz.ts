/** Random graphs and random training on a device against the oracle. */
import type { DType } from '@tutti/core/backend';
import fc from 'fast-check';
import type { ConformanceResult } from '../run/report.ts';
import { isOf, type Shard } from '../run/shard.ts';
import { type Check, eager, gradients, stateful, type Tally, traced } from './checks.ts';
import { describeProgram, type RandomProgram } from './program.ts';
import { stepsFor } from './steps.ts';
import { trainingCheck, trainings } from './training.ts';

export interface FuzzOptions {
  /** Id of the device, for the report. It is the default device already. */
  readonly backend: string;
  /** Dtypes that the device stores. */
  readonly storage: readonly DType[];
  /** Programs for each kind of test. */
  readonly runs: number;
  readonly seed: number;
  /** Of the programs of each kind. Default: all. */
  readonly shard?: Shard | undefined;
  /** Called before each kind of test. */
  readonly onKind?: (name: string) => void;
  /** Called before each program of a kind: programs that a device compiles slowly take seconds each. */
  readonly onProgram?: (name: string) => void;
}

const shapes: readonly (readonly number[])[] = [
  [],
  [1],
  [5],
  [2, 3],
  [4, 1],
  [3, 4],
  [2, 1, 5],
  [0],
  [17],
  [2, 3, 4],
  [1, 1],
  [33],
];

const instruction = (steps: readonly number[]): fc.Arbitrary<RandomProgram['body'][number]> =>
  fc.record({
    step: fc.nat(steps.length - 1).map((i) => steps[i]!),
    x: fc.nat(3),
    y: fc.nat(5),
    p: fc.nat(11),
    q: fc.nat(11),
  });

const leaf = (dtypes: readonly DType[]): fc.Arbitrary<RandomProgram['leaves'][number]> =>
  fc.record({
    shape: fc.constantFrom(...shapes),
    dtype: fc.constantFrom(...dtypes),
    seed: fc.nat(1000),
    view: fc.nat(5),
  });

/** Programs whose leaves have these dtypes, for a device that stores those of `storage`. */
const randomPrograms = (
  dtypes: readonly DType[],
  storage: readonly DType[],
  longest: number,
): fc.Arbitrary<RandomProgram> =>
  fc.record({
    leaves: fc.array(leaf(dtypes.filter((dtype) => storage.includes(dtype))), {
      minLength: 1,
      maxLength: 3,
    }),
    body: fc.array(instruction(stepsFor(storage)), { minLength: 1, maxLength: longest, size: 'max' }),
  });

/** One kind of random test: what is drawn, what is done with it, how it is told. */
interface Kind<T> {
  readonly arbitrary: (storage: readonly DType[]) => fc.Arbitrary<T>;
  readonly check: Check<T>;
  readonly describe: (subject: T) => string;
}

type Run = (name: string, options: FuzzOptions) => Promise<ConformanceResult>;

/** Runs one kind on the default device. A failure is shrunk to a small subject. */
const kind =
  <T>({ arbitrary, check, describe }: Kind<T>): Run =>
  async (name, { backend, storage, runs, seed, shard, onProgram }) => {
    const tally: Tally = { elements: 0, unjudged: 0 };
    let reason: string | undefined;
    let position = 0;
    const property = fc.asyncProperty(arbitrary(storage), async (subject) => {
      // What comes after a failure is smaller, not the next.
      if (reason === undefined && !isOf(shard, position++)) return true;
      onProgram?.(name);
      const found = await attempt(check, subject, tally);
      if (found !== undefined) reason = `${found} of ${describe(subject)}`;
      return found === undefined;
    });
    const { counterexamplePath } = await fc.check(property, { seed, numRuns: runs });
    if (reason !== undefined) reason = `${reason} (seed ${seed}, path ${counterexamplePath})`;
    else if (tally.unjudged > tally.elements / 2) {
      reason = `${tally.unjudged} of ${tally.elements} elements cannot be judged`;
    }
    const row = {
      case: name,
      op: 'random graphs',
      dtype: 'float32',
      backend,
      mode: 'random',
      maxRel: 0,
      maxUlp: 0,
    } as const;
    return reason === undefined ? { ...row, status: 'pass' } : { ...row, status: 'fail', reason };
  };

async function attempt<T>(check: Check<T>, subject: T, tally: Tally): Promise<string | undefined> {
  try {
    return await check(subject, tally);
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message.split('\n')[0]}` : String(error);
  }
}

const programs = (check: Check, dtypes: readonly DType[], longest: number): Run =>
  kind({
    arbitrary: (storage) => randomPrograms(dtypes, storage, longest),
    check,
    describe: describeProgram,
  });

const mixed: readonly DType[] = ['float32', 'int32', 'float32', 'bool', 'float16'];

const kinds: Readonly<Record<string, Run>> = {
  'random graphs': programs(eager(true), mixed, 24),
  'random graphs unfused': programs(eager(false), mixed, 24),
  'random graphs jit': programs(traced, mixed, 24),
  'random graphs gradient': programs(gradients, ['float32'], 16),
  // Three calls, each on what the last one left, are as deep as three programs.
  'random graphs variables': programs(stateful, ['float32'], 10),
  'random training': kind({
    arbitrary: () => trainings,
    check: trainingCheck,
    describe: (training) => JSON.stringify(training),
  }),
};

/** How many kinds of random tests there are. */
export const fuzzKinds: number = Object.keys(kinds).length;

/** Runs every kind of random test on the default device. */
export async function fuzz(options: FuzzOptions): Promise<ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  for (const [name, run] of Object.entries(kinds)) {
    options.onKind?.(name);
    results.push(await run(name, options));
  }
  return results;
}
