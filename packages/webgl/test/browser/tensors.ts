/** Programs of the framework on WebGL. */
import {
  automaticChoice,
  memory,
  realize,
  registerBackend,
  setDefaultDevice,
  tensor,
  unregisterBackend,
} from '@tutti/core';
import { course, interruptedCourse, referenceCourse, rounds } from '@tutti/testbed/training';
import type { WebglBackend } from '../../src/backend.ts';
import { createWebglBackend, webgl } from '../../src/index.ts';
import { failure, newContext } from './device.ts';

const checks = {
  reference: referenceCourse,

  async course(count: number) {
    registerBackend(webgl);
    await setDefaultDevice('webgl');
    return course(count);
  },

  /** Memory and programs of the GPU before and after so many steps. */
  async flat(count: number) {
    registerBackend(webgl);
    const { backend } = await setDefaultDevice('webgl');
    const { run, traces } = rounds();
    const after = async (steps: number) => {
      await run(steps);
      const { bytes, buffers, reserved } = memory()['webgl']!;
      return { bytes, buffers, reserved, programs: (backend as WebglBackend).programs };
    };
    return { before: await after(60), after: await after(count), traces: traces() };
  },

  /** Of kernels that have not been compiled, and of some that are being compiled. */
  async sync() {
    registerBackend(webgl);
    await setDefaultDevice('webgl');
    const values = [...tensor([1, 2, 3]).mul(7).sqrt().dataSync()];
    const sum = tensor([1, 2, 3]).mul(7).sum(0, { keepDim: true }).sqrt();
    const started = realize(sum);
    const again = [...sum.dataSync()];
    await started;
    return { values, again };
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
    const { losses, failures, another } = await interruptedCourse('webgl', () =>
      gl!.getExtension('WEBGL_lose_context')!.loseContext(),
    );
    const failed = await Promise.all(failures.map((each) => failure(() => Promise.reject(each))));
    return { failed, losses, another };
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;
