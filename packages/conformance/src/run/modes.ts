/** How a batch of samples is run on the default device. Many samples share one plan and one wait. */
import { configure, jit, realize, scope, type Tensor, tensor } from '@tutti/core';
import type { Input, Sample } from '../cases/case.ts';
import { makeLeaf, takeView } from '../cases/inputs.ts';
import { asList, buildGradient, type Expectation, expectationOf, weights } from '../check/expectation.ts';
import type { ConformanceResult, Mode } from './report.ts';

/** What a device gave for one sample, or why it gave nothing. */
export type Outcome = { readonly values: readonly DeviceValue[] } | { readonly error: string };

export interface DeviceValue {
  readonly shape: readonly number[];
  readonly dtype: Tensor['dtype'];
  readonly values: ArrayLike<number>;
}

/** From the leaves of a sample's operands to what is compared. */
export type Program = (sample: Sample, leaves: readonly Tensor[]) => readonly Tensor[];

export const forward: Program = (sample, leaves) =>
  asList(sample.call(...leaves.map((leaf, i) => takeView(leaf, sample.inputs[i]!))));

/** The gradients of a weighted sum of the results, with respect to the operands as they are after their views. */
export const backward: Program = (sample, leaves) => {
  const inputs = leaves.map((leaf, i) => takeView(leaf, sample.inputs[i]!));
  return buildGradient(sample, inputs, seedOf).gradients;
};

/** Elements that are exact in a 16-bit float too. */
const seedOf = (output: Tensor, i: number): Tensor =>
  tensor(
    weights(output.size, i).map((x) => Math.round(x * 16) / 16),
    { shape: output.shape, dtype: output.dtype },
  );

const describe = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message.split('\n')[0]}` : String(error);

async function read(tensors: readonly Tensor[]): Promise<Outcome> {
  const data = await Promise.all(tensors.map((x) => x.data()));
  const values = tensors.map(({ shape, dtype }, i): DeviceValue => ({ shape, dtype, values: data[i]! }));
  for (const x of tensors) x.dispose();
  return { values };
}

/** All at once: a device may bring many values back in one go. */
const readAll = (outputs: readonly (readonly Tensor[])[]): Promise<Outcome[]> =>
  Promise.all(outputs.map(read));

const makeLeaves = (sample: Sample): Tensor[] => sample.inputs.map((of: Input) => makeLeaf(of));

/** Everything in one plan. */
async function runEager(samples: readonly Sample[], program: Program): Promise<Outcome[]> {
  const outputs = scope(() => samples.map((sample) => [...program(sample, makeLeaves(sample))]));
  await realize(...outputs.flat());
  return readAll(outputs);
}

/** Everything in one traced function, whose arguments are the leaves. */
async function runTraced(samples: readonly Sample[], program: Program): Promise<Outcome[]> {
  const traced = jit((leaves: Tensor[][]) => samples.map((sample, i) => [...program(sample, leaves[i]!)]));
  const leaves = samples.map(makeLeaves);
  try {
    const outputs = await traced(leaves);
    return await readAll(outputs);
  } finally {
    for (const leaf of leaves.flat()) leaf.dispose();
    traced.dispose();
  }
}

type Runner = (samples: readonly Sample[], program: Program) => Promise<Outcome[]>;

/** Where the batch fails as a whole, its samples run one by one, so that the guilty one is named. */
async function runSeparately(samples: readonly Sample[], program: Program, run: Runner): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const sample of samples) {
    try {
      outcomes.push(...(await run([sample], program)));
    } catch (error) {
      outcomes.push({ error: describe(error) });
    }
  }
  return outcomes;
}

/** The modes in which a backend runs the cases. */
export type BackendMode = Exclude<Mode, 'reference' | 'derivative' | 'second derivative' | 'random'>;

export const backendModes: readonly BackendMode[] = ['eager', 'unfused', 'jit', 'gradient', 'jit gradient'];

const runners: Readonly<
  Record<BackendMode, { readonly run: Runner; readonly program: Program; readonly fusion: boolean }>
> = {
  eager: { run: runEager, program: forward, fusion: true },
  unfused: { run: runEager, program: forward, fusion: false },
  jit: { run: runTraced, program: forward, fusion: true },
  gradient: { run: runEager, program: backward, fusion: true },
  'jit gradient': { run: runTraced, program: backward, fusion: true },
};

export const programOf = (mode: BackendMode): Program => runners[mode].program;

export async function runBatch(samples: readonly Sample[], mode: BackendMode): Promise<Outcome[]> {
  const { run, program, fusion } = runners[mode];
  const before = configure({ fusion, verify: true });
  try {
    return await run(samples, program);
  } catch {
    return await runSeparately(samples, program, run);
  } finally {
    configure(before);
  }
}

/** The oracle's answer to a program on a sample. */
export const expect = (sample: Sample, program: Program): Expectation =>
  expectationOf(program(sample, makeLeaves(sample)), sample.inputs);

export type Measured = Pick<ConformanceResult, 'status' | 'maxRel' | 'maxUlp'> & { readonly reason?: string };
