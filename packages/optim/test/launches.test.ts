/** On devices that run joint kernels, the updates of many small parameters are few launches, and give the same bits. */
import {
  jit,
  linear,
  mean,
  registerBackend,
  relu,
  setDefaultDevice,
  square,
  statistics,
  type Tensor,
  tensor,
  unregisterBackend,
  type Variable,
  variable,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { Adam, AdamW, clipGradNorm, type Optimizer, SGD } from '@tutti/optim';
import { afterAll, beforeAll, expect, test } from 'vitest';

const capabilities = { buffersPerKernel: 64, parallelism: 1 };

beforeAll(() => {
  registerBackend(interpreterBackend({ name: 'alone', capabilities }));
  registerBackend(
    interpreterBackend({ name: 'joint', capabilities: { ...capabilities, jointBuffers: 1000 } }),
  );
});
afterAll(async () => {
  await unregisterBackend('alone');
  await unregisterBackend('joint');
});

const [layers, width, batch] = [6, 4, 3];

const numbers = (shape: number[], seed: number): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(seed + 1.3 * i)),
    { shape },
  );
};

/** A chain of layers, trained for three steps: what became of the parameters, and the launches of a step. */
async function train(
  device: string,
  make: (parameters: Variable[]) => Optimizer,
  { useJit = true, clip = false } = {},
): Promise<{ readonly values: number[][]; readonly launches: number }> {
  await setDefaultDevice(device);
  const shapes = Array.from({ length: layers }, () => [[width, width], [width], [width]]).flat();
  const parameters = shapes.map((shape, i) => variable(numbers(shape, i)));
  const optimizer = make(parameters);
  const step = (x: Tensor, y: Tensor): Tensor => {
    let h = x;
    for (let i = 0; i < layers; i++) {
      const [weight, bias, scale] = parameters.slice(3 * i, 3 * i + 3) as [Variable, Variable, Variable];
      h = relu(linear(h, weight, bias))
        .mul(scale)
        .add(h);
    }
    const loss = mean(square(h.sub(y)));
    loss.backward();
    if (clip) clipGradNorm(parameters, 0.5);
    optimizer.step();
    optimizer.zeroGrad();
    return loss;
  };
  const run = useJit ? jit(step) : step;
  const [x, y] = [numbers([batch, width], 50), numbers([batch, width], 60)];
  let launches = 0;
  for (let turn = 0; turn < 3; turn++) {
    const before = statistics().stepsRun;
    await (await run(x, y)).data();
    launches = statistics().stepsRun - before;
  }
  return { values: await Promise.all(parameters.map(async (each) => [...(await each.data())])), launches };
}

const optimizers: [string, (parameters: Variable[]) => Optimizer][] = [
  ['Adam', (parameters) => new Adam(parameters, { lr: 0.01 })],
  ['AdamW', (parameters) => new AdamW(parameters, { lr: 0.01 })],
  ['SGD with momentum', (parameters) => new SGD(parameters, { lr: 0.01, momentum: 0.9 })],
];

for (const [name, make] of optimizers) {
  test.each([
    ['with jit', {}],
    ['without jit', { useJit: false }],
    ['with jit, behind the norm of all gradients', { clip: true }],
  ])(`${name}, %s`, async (_, options) => {
    const alone = await train('alone', make, options);
    const joint = await train('joint', make, options);
    expect(joint.values).toEqual(alone.values);
    expect(joint.launches).toBeLessThan(0.75 * alone.launches);
  });
}
