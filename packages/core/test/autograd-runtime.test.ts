/** Gradients computed by kernels: lazily, after the forward pass has run, unfused, and in a plan. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { interpreterBackend, type Recording } from '../src/testing/index.ts';
import * as core from './all.ts';
import {
  checkpoint,
  configure,
  grad,
  jit,
  scope,
  setDefaultDevice,
  type Tensor,
  tensor,
  type Variable,
  variable,
} from './all.ts';

let recording: Recording;

beforeEach(async () => {
  recording = { kernels: [], commands: [] };
  core.registerBackend(interpreterBackend({ recording }));
  await setDefaultDevice('interpreter');
});

afterEach(async () => {
  configure({ fusion: true });
  await core.unregisterBackend('interpreter');
});

const wave = (count: number, scale = 1): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + 0.3) * scale);

interface Model {
  readonly images: Tensor;
  readonly labels: Tensor;
  readonly kernel: Variable;
  readonly weight: Variable;
  readonly bias: Variable;
}

const makeModel = (): Model => ({
  images: tensor(wave(2 * 2 * 6 * 6), { shape: [2, 2, 6, 6] }),
  labels: tensor([1, 0], { dtype: 'int32' }),
  kernel: variable(tensor(wave(3 * 2 * 3 * 3, 0.5), { shape: [3, 2, 3, 3] })),
  weight: variable(tensor(wave(3 * 27, 0.2), { shape: [3, 27] })),
  bias: variable(tensor([0.1, -0.2, 0.3])),
});

function lossOf({ kernel, weight, bias }: Model, images: Tensor, labels: Tensor): Tensor {
  const hidden = core.maxPool2d(core.relu(core.conv2d(images, kernel, { padding: 1 })), 2);
  return core.crossEntropy(core.linear(core.flatten(hidden, 1), weight, bias), labels);
}

const gradsOf = async ({ kernel, weight, bias }: Model): Promise<number[]> =>
  (await Promise.all([kernel, weight, bias].map(async (x) => [...(await x.grad!.data())]))).flat();

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i]!, 5);
}

/** Loss and gradients, with the forward pass and the backward pass in one plan. */
async function reference(): Promise<number[]> {
  const model = makeModel();
  lossOf(model, model.images, model.labels).backward();
  return gradsOf(model);
}

describe('gradients of a small network', () => {
  it('agree with differences of the loss', async () => {
    const model = makeModel();
    const [first] = await reference();
    const lossAt = async (value: number): Promise<number> => {
      const moved = wave(54, 0.5);
      moved[0] = value;
      model.kernel.assign(tensor(moved, { shape: [3, 2, 3, 3] }));
      return lossOf(model, model.images, model.labels).item();
    };
    const at = wave(54, 0.5)[0]!;
    const quotient = ((await lossAt(at + 0.01)) - (await lossAt(at - 0.01))) / 0.02;
    expect(first).toBeCloseTo(quotient, 3);
  });

  it('are the same when the forward pass has run before', async () => {
    const model = makeModel();
    const loss = lossOf(model, model.images, model.labels);
    await loss.item();
    loss.backward();
    expectClose(await gradsOf(model), await reference());
  });

  it('are the same without fusion', async () => {
    const expected = await reference();
    configure({ fusion: false });
    expectClose(await reference(), expected);
  });

  it('are the same when they are asked for one by one, and the loss last', async () => {
    const model = makeModel();
    const loss = lossOf(model, model.images, model.labels);
    loss.backward();
    await model.bias.grad!.data();
    await model.kernel.grad!.data();
    expectClose(await gradsOf(model), await reference());
    expect(Number.isFinite(await loss.item())).toBe(true);
  });

  it('are the same in a plan, as returned values', async () => {
    const model = makeModel();
    const step = jit((images: Tensor, labels: Tensor) => {
      lossOf(model, images, labels).backward();
      return [model.kernel.grad!, model.weight.grad!, model.bias.grad!];
    });
    for (let run = 0; run < 2; run++) {
      const grads = await step(model.images, model.labels);
      expectClose(
        (await Promise.all(grads.map(async (g) => [...(await g.data())]))).flat(),
        await reference(),
      );
    }
    expect(step.stats.traces).toBe(1);
    expect(model.kernel.grad).toBeUndefined();
  });

  it('descend in a plan that assigns the parameters', async () => {
    const model = makeModel();
    const rate = tensor(0.1);
    const step = jit((images: Tensor, labels: Tensor) => {
      const loss = lossOf(model, images, labels);
      loss.backward();
      for (const p of [model.kernel, model.weight, model.bias])
        p.assign(core.sub(p, core.mul(p.grad!, rate)));
      return loss;
    });
    const losses: number[] = [];
    for (let run = 0; run < 5; run++) losses.push(await (await step(model.images, model.labels)).item());
    for (let run = 1; run < 5; run++) expect(losses[run]!).toBeLessThan(losses[run - 1]!);
  });

  it('are the same with a checkpoint, eagerly and in a plan', async () => {
    const expected = await reference();
    const pooled = (model: Model) =>
      checkpoint((images: Tensor) =>
        core.maxPool2d(core.relu(core.conv2d(images, model.kernel, { padding: 1 })), 2),
      );
    const lossWith = (model: Model, images: Tensor, labels: Tensor) =>
      core.crossEntropy(
        core.linear(core.flatten(pooled(model)(images), 1), model.weight, model.bias),
        labels,
      );
    const eager = makeModel();
    const loss = lossWith(eager, eager.images, eager.labels);
    await loss.item();
    loss.backward();
    expectClose(await gradsOf(eager), expected);
    const planned = makeModel();
    const step = jit((images: Tensor, labels: Tensor) => {
      lossWith(planned, images, labels).backward();
      return planned.kernel.grad!;
    });
    expectClose([...(await (await step(planned.images, planned.labels)).data())], expected.slice(0, 54));
  });
});

describe('memory', () => {
  const buffers = (): number => core.memory()['interpreter']?.buffers ?? 0;

  it('all comes back when a step ends, but for parameters and their gradients', async () => {
    const model = makeModel();
    const once = async (): Promise<void> => {
      const loss = scope(() => {
        const result = lossOf(model, model.images, model.labels);
        result.backward();
        return result;
      });
      await gradsOf(model);
      await loss.item(); // settles the check of the labels
      loss.dispose();
      for (const p of [model.kernel, model.weight, model.bias]) {
        p.grad!.dispose();
        p.grad = undefined;
      }
    };
    await once();
    const after = buffers();
    await once();
    await once();
    expect(buffers()).toBe(after);
    expect(after).toBe(5); // the data and the parameters
  });

  it('functional gradients hold nothing but the result', async () => {
    const x = tensor(wave(8));
    const result = scope(() => grad((t: Tensor) => core.sum(core.exp(core.mul(t, t))))(x));
    await result.data();
    expect(buffers()).toBe(2);
    expect(result.node.inputs).toHaveLength(0);
  });
});

describe('equal steps', () => {
  it('find their plan again, with a checkpoint too', async () => {
    const step = async (): Promise<void> => {
      const x = variable(tensor(wave(4)));
      core.sum(checkpoint((t: Tensor) => core.tanh(core.exp(t)))(core.sin(x))).backward();
      await x.grad!.data();
    };
    await step();
    const built = core.statistics().plansBuilt;
    await step();
    expect(core.statistics().plansBuilt).toBe(built);
  });
});
