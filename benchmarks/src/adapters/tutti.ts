/**
 * This library. Single operations run as a user writes them; the training steps and the replay are under `jit`, and in the suite `cuda`
 * everything is, which is how a user gets CUDA graphs.
 */
import type { Tensor } from 'tutti';
import { type Operands, recipesOf } from '../operands.ts';
import { hasGradients, precisionOf, type Work } from '../work.ts';
import type { Adapter, KernelTime, Prepared, Session } from './adapter.ts';
import { asFloats, type Queue, type Tutti } from './tutti-queue.ts';
import { cnnStep, languageModelStep, type TrainingStep, trainedLosses } from './tutti-training.ts';
import { uploads } from './tutti-uploads.ts';

export interface TuttiOptions {
  /** Of the device that everything runs on. */
  readonly device: string;
  /** Whether single operations are under `jit`. */
  readonly jit?: boolean;
  /** Makes a device known that the library does not know by itself. */
  readonly register?: () => Promise<void>;
}

export const tutti = ({ device: id, jit = false, register }: TuttiOptions): Adapter => ({
  name: 'tutti',
  async open(): Promise<Session> {
    const tutti = await import('tutti');
    await register?.();
    const device = await tutti.setDefaultDevice(id);
    return {
      description: `device ${device.id}: ${device.backend.info.description}; waits by synchronize`,
      prepare: async (work, operands, iterations) =>
        prepare(tutti, await queueOf(tutti, work, operands, jit), iterations),
    };
  },
});

function prepare(tutti: Tutti, { queue, result, queueOnly, parts }: Queue, iterations: number): Prepared {
  const wait = (): Promise<void> => tutti.synchronize(tutti.defaultDevice());
  const repeated = (work: () => Promise<void>, end: () => Promise<void>) => async (): Promise<void> => {
    for (let i = 0; i < iterations; i++) await work();
    await end();
  };
  const once = async (): Promise<void> => {
    await queue();
    await wait();
  };
  const names = Object.entries(parts ?? {}).map(([name, work]) => [name, repeated(work, wait)] as const);
  return {
    run: queueOnly ? repeated(queue, async () => {}) : repeated(queue, wait),
    iterations,
    result,
    kernels: () => countKernels(tutti, once),
    profile: () => profile(tutti, once),
    ...(queueOnly && { settle: wait }),
    ...(parts && { parts: Object.fromEntries(names) }),
  };
}

async function queueOf(tutti: Tutti, work: Work, operands: Operands, jit: boolean): Promise<Queue> {
  switch (work.kind) {
    case 'trainStep':
      return training(await cnnStep(tutti, work, operands));
    case 'languageModel':
      return training(await languageModelStep(tutti, work, operands));
    case 'replay':
      return replay(tutti, work, operands);
    case 'upload':
      return uploads(tutti, work, operands);
    default:
      return computation(tutti, work, await operandTensors(tutti, work, operands), jit);
  }
}

const training = (step: TrainingStep): Queue => ({
  queue: async () => (await step()).dispose(),
  result: () => trainedLosses(step),
});

/** The operands on the device, in the dtype that the work is computed in. */
async function operandTensors(tutti: Tutti, work: Work, operands: Operands): Promise<Tensor[]> {
  const precision = precisionOf(work);
  const dtype = precision === 'tf32' ? 'float32' : precision;
  const tensors = recipesOf(work).map(({ name, shape }) =>
    tutti.scope(() => tutti.cast(tutti.tensor(operands[name]!, { shape }), dtype)),
  );
  await tutti.realize(...tensors);
  return tensors;
}

/** The values of tensors, one after the other. */
async function valuesOf(tensors: readonly Tensor[]): Promise<Float32Array> {
  const values: Float32Array[] = [];
  for (const tensor of tensors) values.push(asFloats(await tensor.data()));
  if (values.length === 1) return values[0]!;
  const all = new Float32Array(values.reduce((length, each) => length + each.length, 0));
  let offset = 0;
  for (const each of values) {
    all.set(each, offset);
    offset += each.length;
  }
  return all;
}

function computation(tutti: Tutti, work: SingleOperation, inputs: Tensor[], jit: boolean): Queue {
  const forward = operation(tutti, work);
  const f = (...given: Tensor[]): Tensor[] => {
    if (!hasGradients(work)) return [forward(...given)];
    const [y, pull] = tutti.vjp(forward, ...given.slice(0, -1));
    return [y, ...pull(given.at(-1)!)];
  };
  const eager = async (...given: Tensor[]): Promise<Tensor[]> => {
    const results = tutti.scope(() => f(...given));
    await tutti.realize(...results);
    return results;
  };
  const run = jit ? tutti.jit(f) : eager;
  return {
    queue: async () => {
      for (const each of await run(...inputs)) each.dispose();
    },
    result: async () => valuesOf(await run(...inputs)),
  };
}

type SingleOperation = Exclude<Work, { readonly kind: 'trainStep' | 'languageModel' | 'replay' | 'upload' }>;

/** The operation as a function of its operands, in the order of their recipes. */
function operation(tutti: Tutti, work: SingleOperation): (...operands: Tensor[]) => Tensor {
  switch (work.kind) {
    case 'matmul':
    case 'firstResult':
      return (a, b) => tutti.matmul(a!, b!);
    case 'scaleAdd':
      return (x) => x!.mul(2).add(1);
    case 'chain':
      return (x) => chain(tutti, x!);
    case 'sum':
      return (x) => tutti.sum(x!);
    case 'softmax':
      return (x) => tutti.softmax(x!);
    case 'layerNorm':
      return (x, weight, bias) => tutti.layerNorm(x!, [work.columns], { weight: weight!, bias: bias! });
    case 'conv':
      return (x, weight) => tutti.conv2d(x!, weight!, { padding: 1 });
    case 'attention':
      return (q, k, v) => tutti.scaledDotProductAttention(q!, k!, v!);
  }
}

function chain(tutti: Tutti, x: Tensor): Tensor {
  const y = tutti.tanh(x.mul(1.5).add(0.5));
  const z = tutti.sqrt(y.mul(y).add(1));
  return tutti.maximum(tutti.exp(z.sub(0.25)).mul(0.125), 0.25);
}

async function replay(
  tutti: Tutti,
  { kernels, queueOnly }: Extract<Work, { kind: 'replay' }>,
  operands: Operands,
): Promise<Queue> {
  // Without fusion every operation is a kernel; tanh of tanh is nothing that algebra could shorten.
  tutti.configure({ fusion: false });
  const x = await tutti.tensor(operands['x']!).realize();
  const plan = tutti.jit((value: Tensor) => {
    let y = value;
    for (let i = 0; i < kernels; i++) y = tutti.tanh(y);
    return y;
  });
  return {
    queue: async () => (await plan(x)).dispose(),
    queueOnly,
    result: async () => asFloats(await (await plan(x)).data()),
  };
}

async function countKernels(tutti: Tutti, run: () => Promise<void>): Promise<number> {
  const before = tutti.statistics().stepsRun;
  await run();
  return tutti.statistics().stepsRun - before;
}

/** What `configure({ times: true })` prints: a line for every step of every plan. Nothing where the device cannot time. */
async function profile(tutti: Tutti, run: () => Promise<void>): Promise<KernelTime[]> {
  if (!tutti.defaultDevice().backend.info.capabilities.timing) return [];
  const plans: string[] = [];
  const { plansRun } = tutti.statistics();
  const before = tutti.configure({ times: true, log: (text) => plans.push(text) });
  try {
    await run();
    // The times arrive a little later than the results.
    while (plans.length < tutti.statistics().plansRun - plansRun) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    tutti.configure(before);
  }
  return [...plans.join('\n').matchAll(/^ *([\d.]+) ms {2}\d+: (.*)$/gm)].map(([, time, kernel]) => ({
    kernel: kernel!,
    milliseconds: Number(time),
  }));
}
