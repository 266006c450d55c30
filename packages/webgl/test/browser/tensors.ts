/** Programs of the framework on WebGL. */
import {
  add,
  automaticChoice,
  conv2d,
  crossEntropy,
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
import type { WebglBackend } from '../../src/backend.ts';
import { createWebglBackend, webgl } from '../../src/index.ts';
import { failure, newContext } from './device.ts';

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

const interpreter = interpreterBackend();

const checks = {
  async reference(count: number) {
    registerBackend(interpreter);
    await setDefaultDevice('interpreter');
    return train(network().step, count);
  },

  async course(count: number) {
    registerBackend(webgl);
    await setDefaultDevice('webgl');
    return train(network().step, count);
  },

  /** Memory and programs of the GPU before and after so many steps. */
  async flat(count: number) {
    registerBackend(webgl);
    const { backend } = await setDefaultDevice('webgl');
    const { step } = network();
    const [x, y] = batch();
    const run = async (steps: number) => {
      for (let i = 0; i < steps; i++) (await step(x, y)).dispose();
      const last = await step(x, y);
      await last.item(); // what was checked along the way is settled when a value is read
      last.dispose();
      const { bytes, buffers, reserved } = memory()['webgl']!;
      return { bytes, buffers, reserved, programs: (backend as WebglBackend).programs };
    };
    return { before: await run(60), after: await run(count), traces: step.stats.traces };
  },

  /** Where there is no WebGPU, with a GPU that is none in software. */
  async choice() {
    await unregisterBackend('webgl');
    const absent = { available: false, reason: 'this browser has no WebGPU', fix: 'take another' } as const;
    registerBackend({ ...webgl, name: 'webgpu', priority: 30, probe: async () => absent });
    registerBackend({
      ...webgl,
      async probe() {
        const found = await webgl.probe();
        if (!found.available) return found;
        return { available: true, devices: found.devices.map((each) => ({ ...each, emulated: false })) };
      },
    });
    const { taken, passedOver } = await automaticChoice();
    const opened = (await setDefaultDevice('auto')).id;
    await unregisterBackend('webgpu');
    await unregisterBackend('webgl');
    return { taken, passedOver, opened };
  },

  /** The context is lost after three steps, and training goes on in another one. */
  async lost() {
    await unregisterBackend('webgl');
    let gl: WebGL2RenderingContext | undefined;
    registerBackend({
      ...webgl,
      // The first context is the test's own, so that it can be lost.
      async open(index) {
        if (gl) return webgl.open(index);
        gl = newContext();
        return createWebglBackend({ context: gl }).open(index);
      },
    });
    const first = { backend: (await setDefaultDevice('webgl')).backend };
    const { step, parameters } = network();
    const losses = await train(step, 3);
    const saved = await Promise.all(parameters.map((each) => each.data() as Promise<Float32Array>));
    gl!.getExtension('WEBGL_lose_context')!.loseContext();
    const failed = [await failure(() => train(step, 1)), await failure(() => parameters[0]!.data())];
    const second = await setDefaultDevice('webgl');
    losses.push(...(await train(network(saved).step, 3)));
    return { failed, losses, another: first.backend !== second.backend };
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;
