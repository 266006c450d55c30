/** What is done with a random program on the default device, and how the results are judged. */
import { configure, jit, scope, type Tensor, variable, vjp } from '@tutti/core';
import { makeLeaf, takeView } from '../cases/inputs.ts';
import { evaluateAll } from '../oracle/evaluate.ts';
import type { OracleValue } from '../oracle/value.ts';
import { compare } from '../tolerance/compare.ts';
import { leafInputs, nextState, type RandomProgram, runProgram } from './program.ts';

/** How often values that nothing is known about were met: a suite that judges little proves little. */
export interface Tally {
  elements: number;
  unjudged: number;
}

/** How a result differs from what it should be, or undefined. */
export async function mismatch(
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

/** Why a subject of a test is not what it should be, or undefined. */
export type Check<T = RandomProgram> = (subject: T, tally: Tally) => Promise<string | undefined>;

const build = (program: RandomProgram): Tensor[] =>
  runProgram(
    program,
    leafInputs(program).map((input) => takeView(makeLeaf(input), input)),
  );

export const eager =
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

export const traced: Check = async (program, tally) => {
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

export const gradients: Check = async (program, tally) => {
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
export const stateful: Check = async (program, tally) => {
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
