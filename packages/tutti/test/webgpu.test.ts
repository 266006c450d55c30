/** Training on WebGPU as a user writes it: nothing is left behind, a lost device is got over, and two devices do not meet. */
import { useDriver } from '@tutti/testbed';
import { gpuDeviceOf, webgpu } from '@tutti/webgpu';
import {
  crossEntropy,
  type Device,
  type JitFunction,
  jit,
  manualSeed,
  memory,
  nn,
  optim,
  registerBackend,
  relu,
  setDefaultDevice,
  type Tensor,
  tensor,
  unregisterBackend,
} from 'tutti';
import { afterEach, expect, it } from 'vitest';

await useDriver();

class Mlp extends nn.Module {
  readonly hidden: nn.Linear = new nn.Linear(6, 16);
  readonly output: nn.Linear = new nn.Linear(16, 3);

  forward(x: Tensor): Tensor {
    return this.output.call(relu(this.hidden.call(x)));
  }
}

interface Training {
  readonly model: Mlp;
  readonly optimizer: optim.Adam;
  readonly step: JitFunction<[Tensor, Tensor], Tensor>;
}

/** A model on the default device, the same each time. */
function makeTraining(): Training {
  manualSeed(5);
  const model = new Mlp();
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.02 });
  const step = jit((x: Tensor, y: Tensor) => {
    const loss = crossEntropy(model.call(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    return loss;
  });
  return { model, optimizer, step };
}

const batch = (target: Device): [Tensor, Tensor] => [
  tensor(
    Array.from({ length: 8 }, (_, i) => Array.from({ length: 6 }, (_, j) => Math.sin(7 * i + 3 * j))),
    { device: target },
  ),
  tensor([0, 1, 2, 0, 1, 2, 0, 1], { dtype: 'int32', device: target }),
];

async function losses(training: Training, target: Device, count: number): Promise<number[]> {
  const [x, y] = batch(target);
  const all: number[] = [];
  for (let i = 0; i < count; i++) {
    using loss = await training.step(x, y);
    all.push(await loss.item());
  }
  return all;
}

const bytesOf = async ({
  model,
  optimizer,
}: Training): Promise<{ model: Uint8Array; state: Uint8Array }> => ({
  model: await nn.encodeSafetensors(model.stateDict()),
  state: await nn.encodeSafetensors(optimizer.stateDict().tensors),
});

/** Sums are added up in another order on another device. */
function expectAlike(got: readonly number[], want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  for (const [i, loss] of got.entries())
    expect(Math.abs(loss / want[i]! - 1), `step ${i}`).toBeLessThan(1e-4);
}

async function onCpu(count: number): Promise<number[]> {
  const cpu = await setDefaultDevice('cpu');
  return losses(makeTraining(), cpu, count);
}

afterEach(async () => {
  await setDefaultDevice('cpu');
  await unregisterBackend('other');
});

it('memory stays flat over 1,000 training steps', async () => {
  const device = await setDefaultDevice('webgpu');
  const { step } = makeTraining();
  const [x, y] = batch(device);
  const run = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) (await step(x, y)).dispose();
    using last = await step(x, y);
    await last.item();
  };
  await run(100);
  const { bytes, buffers } = memory()['webgpu']!;
  await run(1000);
  expect(memory()['webgpu']).toMatchObject({ bytes, buffers });
  expect(step.stats.traces).toBe(1);
}, 120_000);

it('after a device is lost in the middle of a training, the training goes on from its state dicts', async () => {
  const expected = await onCpu(20);
  const lost = await setDefaultDevice('webgpu');
  const before = makeTraining();
  const course = await losses(before, lost, 10);
  const saved = await bytesOf(before);
  const { lrs } = before.optimizer.stateDict();

  const interrupted = losses(before, lost, 1_000_000);
  setTimeout(() => gpuDeviceOf(lost).destroy(), 20);
  await expect(interrupted).rejects.toMatchObject({
    code: 'TUTTI_DEVICE',
    message: expect.stringMatching(/the GPU device was .*; its tensors are gone/),
    fix: expect.stringContaining('open the device again'),
  });
  await expect(before.model.hidden.weight.data()).rejects.toMatchObject({ code: 'TUTTI_DEVICE' });

  const found = await setDefaultDevice('webgpu');
  expect(found.backend.failure).toBeUndefined();
  const after = makeTraining();
  after.model.loadStateDict(nn.decodeSafetensors(saved.model));
  after.optimizer.loadStateDict({ tensors: nn.decodeSafetensors(saved.state), lrs });
  course.push(...(await losses(after, found, 10)));
  expectAlike(course, expected);
});

it('two devices train side by side', async () => {
  const expected = await onCpu(10);
  registerBackend({ ...webgpu, name: 'other' });
  const first = await setDefaultDevice('webgpu');
  const one = makeTraining();
  const second = await setDefaultDevice('other');
  const two = makeTraining();
  const courses = await Promise.all([losses(one, first, 10), losses(two, second, 10)]);
  for (const course of courses) expectAlike(course, expected);

  const [x] = batch(first);
  expect(() => two.model.call(x)).toThrow(/operands on different devices/);
  using moved = await x.to(second);
  expect(two.model.call(moved).shape).toEqual([8, 3]);
});
