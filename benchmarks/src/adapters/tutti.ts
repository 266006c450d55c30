/** This library. Single operations run as a user writes them; only the training step and the replay are under `jit`. */
import type { Tensor } from 'tutti';
import { cnnParameters, learningRate, type Operands, trainedSteps, type Work } from '../work.ts';
import { type Adapter, type KernelTime, losses, type Prepared, type Session } from './adapter.ts';

type Tutti = typeof import('tutti');

/** `id`: of the device that everything runs on, or `auto`. */
export const tutti = (id: string): Adapter => ({
  name: 'tutti',
  async open(): Promise<Session> {
    const tutti = await import('tutti');
    const device = await tutti.setDefaultDevice(id);
    return {
      description: `device ${device.id}: ${device.backend.info.description}; waits by synchronize`,
      prepare: (work, operands) => prepare(tutti, work, operands),
    };
  },
});

async function prepare(tutti: Tutti, work: Work, operands: Operands): Promise<Prepared> {
  if (work.kind === 'trainStep') return trainStep(tutti, work.batch, operands);
  if (work.kind === 'replay') return replay(tutti, work, operands);
  const compute = await computation(tutti, work, operands);
  const device = tutti.defaultDevice();
  const run = async (): Promise<void> => {
    const y = compute();
    await y.realize();
    y.dispose();
    await tutti.synchronize(device);
  };
  return {
    run,
    result: async () => asFloats(await compute().data()),
    kernels: () => countKernels(tutti, run),
    profile: () => profile(tutti, run),
  };
}

const asFloats = (values: ArrayLike<number>): Float32Array =>
  values instanceof Float32Array ? values : Float32Array.from(values);

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

async function computation(
  tutti: Tutti,
  work: Exclude<Work, { kind: 'trainStep' | 'replay' }>,
  operands: Operands,
): Promise<() => Tensor> {
  const of = (name: string, shape: number[]): Promise<Tensor> =>
    tutti.tensor(operands[name]!, { shape }).realize();
  /** The result of `f`, without the tensors in between. */
  const tidy =
    (f: () => Tensor): (() => Tensor) =>
    () =>
      tutti.scope(f);
  switch (work.kind) {
    case 'matmul':
    case 'firstResult': {
      const n = work.kind === 'matmul' ? work.n : 2;
      const [a, b] = [await of('a', [n, n]), await of('b', [n, n])];
      return () => tutti.matmul(a, b);
    }
    case 'scaleAdd': {
      const x = await of('x', [work.length]);
      return tidy(() => x.mul(2).add(1));
    }
    case 'chain': {
      const x = await of('x', [work.length]);
      return tidy(() => chain(tutti, x));
    }
    case 'sum': {
      const x = await of('x', [work.length]);
      return () => tutti.sum(x);
    }
    case 'softmax': {
      const x = await of('x', [work.rows, work.columns]);
      return tidy(() => tutti.softmax(x));
    }
    case 'layerNorm': {
      const { rows, columns } = work;
      const x = await of('x', [rows, columns]);
      const [weight, bias] = [await of('weight', [columns]), await of('bias', [columns])];
      return tidy(() => tutti.layerNorm(x, [columns], { weight, bias }));
    }
    case 'conv': {
      const { batch, inputs, outputs, size } = work;
      const x = await of('x', [batch, inputs, size, size]);
      const weight = await of('weight', [outputs, inputs, 3, 3]);
      return tidy(() => tutti.conv2d(x, weight, { padding: 1 }));
    }
    case 'attention': {
      const { heads, length, size } = work;
      const [q, k, v] = [
        await of('q', [heads, length, size]),
        await of('k', [heads, length, size]),
        await of('v', [heads, length, size]),
      ];
      return tidy(() => tutti.scaledDotProductAttention(q, k, v));
    }
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
): Promise<Prepared> {
  // Without fusion every operation is a kernel; tanh of tanh is nothing that algebra could shorten.
  tutti.configure({ fusion: false });
  const device = tutti.defaultDevice();
  const x = await tutti.tensor(operands['x']!).realize();
  const plan = tutti.jit((value: Tensor) => {
    let y = value;
    for (let i = 0; i < kernels; i++) y = tutti.tanh(y);
    return y;
  });
  const wait = (): Promise<void> => tutti.synchronize(device);
  const queue = async (): Promise<void> => (await plan(x)).dispose();
  const run = queueOnly ? queue : () => queue().then(wait);
  return {
    run,
    ...(queueOnly && { settle: wait }),
    result: async () => asFloats(await (await plan(x)).data()),
    kernels: () => countKernels(tutti, run),
    profile: () => profile(tutti, run),
  };
}

function trainStep(tutti: Tutti, batch: number, operands: Operands): Prepared {
  const { crossEntropy, jit, maxPool2d, nn, optim, relu, tensor } = tutti;
  class Cnn extends nn.Module {
    conv1 = new nn.Conv2d(1, 32, 3);
    conv2 = new nn.Conv2d(32, 64, 3);
    fc1 = new nn.Linear(9216, 128);
    fc2 = new nn.Linear(128, 10);
    forward(x: Tensor): Tensor {
      const features = maxPool2d(relu(this.conv2.call(relu(this.conv1.call(x)))), 2);
      return this.fc2.call(relu(this.fc1.call(features.flatten(1))));
    }
  }
  const device = tutti.defaultDevice();
  const images = tensor(operands['images']!, { shape: [batch, 1, 28, 28] });
  const labels = tensor(Int32Array.from(operands['labels']!));
  const model = new Cnn();
  model.loadStateDict(
    Object.fromEntries(
      Object.entries(cnnParameters).map(([name, shape]) => [name, tensor(operands[name]!, { shape })]),
    ),
  );
  const optimizer = new optim.Adam(model.parameters(), { lr: learningRate });
  const step = jit((x: Tensor, y: Tensor) => {
    const loss = crossEntropy(model.call(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  const run = async (): Promise<void> => {
    (await step(images, labels)).dispose();
    await tutti.synchronize(device);
  };
  return {
    run,
    result: () => losses(trainedSteps, async () => (await step(images, labels)).item()),
    kernels: () => countKernels(tutti, run),
    profile: () => profile(tutti, run),
  };
}
