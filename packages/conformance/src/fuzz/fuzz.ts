/** Random graphs on a device against the oracle: fused, unfused, traced, with their gradients, and with variables. */
import { configure, jit, scope, type Tensor, variable, vjp } from '@tutti/core';
import type { DType } from '@tutti/core/backend';
import fc from 'fast-check';
import { makeLeaf, takeView } from '../cases/inputs.ts';
import { evaluateAll } from '../oracle/evaluate.ts';
import type { OracleValue } from '../oracle/value.ts';
import type { ConformanceResult } from '../run/report.ts';
import { compare } from '../tolerance/compare.ts';
import { describeProgram, leafInputs, nextState, type RandomProgram, runProgram } from './program.ts';
import { stepNames } from './steps.ts';

export interface FuzzOptions {
  /** Id of the device, for the report. It is the default device already. */
  readonly backend: string;
  /** Dtypes that the device stores. */
  readonly storage: readonly DType[];
  /** Programs for each kind of test. */
  readonly runs: number;
  readonly seed: number;
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

const instruction: fc.Arbitrary<RandomProgram['body'][number]> = fc.record({
  step: fc.nat(stepNames.length - 1),
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

/** Programs whose leaves have these dtypes. */
export const randomPrograms = (dtypes: readonly DType[]): fc.Arbitrary<RandomProgram> =>
  fc.record({
    leaves: fc.array(leaf(dtypes), { minLength: 1, maxLength: 3 }),
    body: fc.array(instruction, { minLength: 1, maxLength: 14 }),
  });

/** How often values that nothing is known about were met: a suite that judges little proves little. */
export interface Tally {
  elements: number;
  unjudged: number;
}

async function mismatch(
  tensors: readonly Tensor[],
  expected: readonly OracleValue[],
  tally: Tally,
): Promise<string | undefined> {
  for (const [i, x] of tensors.entries()) {
    const comparison = compare({ shape: x.shape, dtype: x.dtype, values: await x.data() }, expected[i]!);
    tally.elements += comparison.elements;
    tally.unjudged += comparison.unjudged;
    if (!comparison.ok) return `result ${i}: ${comparison.reason}`;
  }
  return undefined;
}

type Check = (program: RandomProgram, tally: Tally) => Promise<string | undefined>;

const build = (program: RandomProgram): Tensor[] =>
  runProgram(
    program,
    leafInputs(program).map((input) => takeView(makeLeaf(input), input)),
  );

const eager =
  (fusion: boolean): Check =>
  async (program, tally) => {
    const before = configure({ fusion, verify: true });
    try {
      const outputs = scope(() => build(program));
      const expected = evaluateAll(outputs, { errors: true });
      return await mismatch(outputs, expected, tally);
    } finally {
      configure(before);
    }
  };

const traced: Check = async (program, tally) => {
  const expected = scope(() => evaluateAll(build(program), { errors: true }));
  const inputs = leafInputs(program);
  const run = jit((leaves: Tensor[]) =>
    runProgram(
      program,
      leaves.map((one, i) => takeView(one, inputs[i]!)),
    ),
  );
  try {
    return await mismatch(await run(inputs.map(makeLeaf)), expected, tally);
  } finally {
    run.dispose();
  }
};

/** Gradients of the sum of the float results with respect to all float leaves. */
function gradientsOf(program: RandomProgram, leaves: readonly Tensor[]): Tensor[] {
  const [total, pull] = vjp(
    (...xs: Tensor[]) => {
      const floats = runProgram(program, xs).filter((x) => x.dtype === 'float32');
      return floats.reduce((sum, x) => sum.add(x.sin().sum()), leaves[0]!.sum().cast('float32').mul(0));
    },
    ...leaves,
  );
  void total;
  return pull() as Tensor[];
}

const gradients: Check = async (program, tally) => {
  const outputs = scope(() =>
    gradientsOf(
      program,
      leafInputs(program).map((input) => takeView(makeLeaf(input), input)),
    ),
  );
  const expected = evaluateAll(outputs, { errors: true });
  return mismatch(outputs, expected, tally);
};

/** Three calls of a traced program that reads and assigns variables, against the same calls without a trace. */
const stateful: Check = async (program, tally) => {
  const inputs = leafInputs(program);
  const states = () =>
    inputs.map((input) => variable(makeLeaf({ ...input, view: 'contiguous' }), { requiresGrad: false }));
  const step = (variables: ReturnType<typeof states>, extra: Tensor): Tensor[] => {
    const results = runProgram(program, [extra, ...variables]);
    for (const one of variables) one.assign(nextState(one, results));
    return results;
  };
  const extras = [1, 2, 3].map((seed) => ({ ...inputs[0]!, values: inputs[0]!.values.map((x) => x / seed) }));
  const lazily = states();
  const expected = extras.map((extra) =>
    evaluateAll([...step(lazily, makeLeaf(extra)), ...lazily], { errors: true }),
  );
  const own = states();
  const run = jit((extra: Tensor) => step(own, extra));
  try {
    for (const [i, extra] of extras.entries()) {
      const found = await mismatch([...(await run(makeLeaf(extra))), ...own], expected[i]!, tally);
      if (found) return `call ${i}: ${found}`;
    }
    return undefined;
  } finally {
    run.dispose();
    for (const one of [...own, ...lazily]) one.dispose();
  }
};

interface Kind {
  readonly check: Check;
  readonly dtypes: readonly DType[];
}

const floatsAndIntegers: readonly DType[] = ['float32', 'int32', 'float32', 'bool', 'float16'];

const kinds: Readonly<Record<string, Kind>> = {
  'random graphs': { check: eager(true), dtypes: floatsAndIntegers },
  'random graphs unfused': { check: eager(false), dtypes: floatsAndIntegers },
  'random graphs jit': { check: traced, dtypes: floatsAndIntegers },
  'random graphs gradient': { check: gradients, dtypes: ['float32'] },
  'random graphs variables': { check: stateful, dtypes: ['float32'] },
};

async function attempt(check: Check, program: RandomProgram, tally: Tally): Promise<string | undefined> {
  try {
    return await check(program, tally);
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message.split('\n')[0]}` : String(error);
  }
}

/** Runs every kind of random test on the default device. A failure is shrunk to a small program. */
export async function fuzz({ backend, storage, runs, seed }: FuzzOptions): Promise<ConformanceResult[]> {
  const results: ConformanceResult[] = [];
  for (const [name, { check, dtypes }] of Object.entries(kinds)) {
    const tally: Tally = { elements: 0, unjudged: 0 };
    let reason: string | undefined;
    const property = fc.asyncProperty(
      randomPrograms(dtypes.filter((dtype) => storage.includes(dtype))),
      async (program) => {
        const found = await attempt(check, program, tally);
        if (found !== undefined) reason = `${found} of ${describeProgram(program)}`;
        return found === undefined;
      },
    );
    const outcome = await fc.check(property, { seed, numRuns: runs, endOnFailure: false });
    if (tally.unjudged > tally.elements / 4)
      reason ??= `${tally.unjudged} of ${tally.elements} elements cannot be judged`;
    const base = {
      case: name,
      op: 'random graphs',
      dtype: 'float32',
      backend,
      mode: 'random',
      maxRel: 0,
      maxUlp: 0,
    } as const;
    results.push(
      reason === undefined && !outcome.failed
        ? { ...base, status: 'pass' }
        : { ...base, status: 'fail', reason: `${reason} (seed ${seed}, path ${outcome.counterexamplePath})` },
    );
  }
  return results;
}
