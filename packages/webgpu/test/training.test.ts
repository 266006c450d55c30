/** Programs of the framework on the device: the same numbers as the reference interpreter gives, and nothing left behind. */
import {
  add,
  conv2d,
  crossEntropy,
  device,
  type JitFunction,
  jit,
  linear,
  maxPool2d,
  memory,
  mul,
  noGrad,
  registerBackend,
  relu,
  reshape,
  setDefaultDevice,
  sqrt,
  square,
  sub,
  type Tensor,
  tensor,
  unregisterBackend,
  type Variable,
  variable,
  zeros,
} from '@tutti/core';
import { interpreterBackend } from '@tutti/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { createWebgpuBackend } from '../src/index.ts';
import { adapter } from './support/device.ts';

/** Numbers that are the same everywhere, between -scale and scale. */
function numbers(count: number, scale: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
}

const shapes = [[4, 1, 3, 3], [4], [10, 36], [10]] as const;

type Step = JitFunction<[Tensor, Tensor], Tensor>;

/** A convolution, a pool and a linear layer, trained with momentum and a running scale. */
function network(saved?: readonly Float32Array[]): { step: Step; parameters: readonly Variable[] } {
  const parameters = shapes.map((shape, i) => {
    const size = shape.reduce<number>((a, b) => a * b, 1);
    return variable(tensor(saved?.[i] ?? numbers(size, 0.3, i + 1), { shape: [...shape] }));
  });
  const moments = parameters.map(({ shape }) => variable(zeros(shape), { requiresGrad: false }));
  const step = jit((x: Tensor, y: Tensor) => {
    const [w, b, v, c] = parameters as [Variable, Variable, Variable, Variable];
    const hidden = maxPool2d(relu(conv2d(x, w, { bias: b })), 2);
    const loss = crossEntropy(linear(reshape(hidden, [x.shape[0]!, -1]), v, c), y);
    loss.backward();
    noGrad(() => {
      for (const [i, parameter] of parameters.entries()) {
        const gradient = parameter.grad!;
        const moment = moments[i]!;
        moment.assign(add(mul(moment, 0.9), mul(square(gradient), 0.1)));
        parameter.assign(sub(parameter, mul(gradient, mul(0.01, sqrt(add(moment, 1)).reciprocal()))));
        parameter.grad = undefined;
      }
    });
    return loss;
  });
  return { step, parameters };
}

const batch = (): [Tensor, Tensor] => [
  tensor(numbers(4 * 64, 1, 99), { shape: [4, 1, 8, 8] }),
  tensor(new Int32Array([3, 1, 4, 1])),
];

async function train(step: Step, count: number): Promise<number[]> {
  const [x, y] = batch();
  const losses: number[] = [];
  for (let i = 0; i < count; i++) {
    const loss = await step(x, y);
    losses.push(await loss.item());
    loss.dispose();
  }
  return losses;
}

async function reference(count: number): Promise<number[]> {
  registerBackend(interpreterBackend());
  await setDefaultDevice('interpreter');
  return train(network().step, count);
}

afterEach(async () => {
  await unregisterBackend('webgpu');
  await unregisterBackend('interpreter');
});

describe.each(['adapter', 'default'] as const)('with the limits of the %s', (limits) => {
  it('training takes the same course as on the reference', async () => {
    const expected = await reference(6);
    registerBackend(createWebgpuBackend({ limits }));
    await setDefaultDevice('webgpu');
    const losses = await train(network().step, 6);
    expect(losses[5]).toBeLessThan(losses[0]!);
    for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(1e-5);
  });
});

it('memory stays flat over 1,000 training steps', async () => {
  registerBackend(createWebgpuBackend());
  await setDefaultDevice('webgpu');
  const { step } = network();
  const [x, y] = batch();
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) (await step(x, y)).dispose();
    const last = await step(x, y);
    await last.item(); // what was checked along the way is settled when a value is read
    last.dispose();
  };
  await run(600);
  const before = memory()['webgpu']!;
  await run(1000);
  const { bytes, buffers } = before;
  expect(memory()['webgpu']).toMatchObject({ bytes, buffers });
  // How many of these checks are under way at once depends on the device's speed; they are 256 bytes each.
  expect(memory()['webgpu']!.reserved).toBeLessThan(before.reserved + 512 * 1024);
  expect(step.stats.traces).toBe(1);
}, 120_000);

it('after a lost device, training goes on from what was saved', async () => {
  const expected = await reference(6);
  let lost: GPUDevice | undefined;
  const factory = createWebgpuBackend();
  registerBackend({
    ...factory,
    // The first device is the test's own, so that it can be lost.
    async open(index) {
      if (lost) return factory.open(index);
      lost = await (await adapter()).requestDevice();
      return createWebgpuBackend({ device: lost }).open(index);
    },
  });
  await setDefaultDevice('webgpu');
  const first = network();
  const losses = await train(first.step, 3);
  const saved = await Promise.all(first.parameters.map((each) => each.data() as Promise<Float32Array>));

  lost!.destroy();
  await expect(train(first.step, 1)).rejects.toMatchObject({ code: 'TUTTI_DEVICE' });
  await expect(first.parameters[0]!.data()).rejects.toThrow(/make another GPUDevice/);

  await setDefaultDevice('webgpu');
  expect((await device('webgpu')).backend.failure).toBeUndefined();
  losses.push(...(await train(network(saved).step, 3)));
  // The moments start anew, so that the course is close and not the same.
  for (const [i, loss] of losses.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(0.02);
});
