/** What the browser's test asks the page to do: each check gives what JSON can hold. */
import { registerBackend, setDefaultDevice, tensor } from '@tutti/core';
import { imageChecks, refusal } from '@tutti/testbed/images';
import { createWebgpuBackend, fromImage, gpuBufferOf, gpuDeviceOf, toCanvas } from '../../src/index.ts';

/** Their names are globals in browsers, which TypeScript's library does not have. */
const copyTarget = 8;
const mapRead = 1;

registerBackend(createWebgpuBackend());
const ready = setDefaultDevice('webgpu');

const checks = {
  ...imageChecks({ ready, fromImage, toCanvas, otherContext: '2d' }),

  async buffer() {
    const device = gpuDeviceOf(await ready);
    const { buffer, offset, size } = await gpuBufferOf(tensor([1, 2, 3]).mul(3));
    const target = device.createBuffer({ size, usage: copyTarget | mapRead });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, target, 0, size);
    device.queue.submit([encoder.finish()]);
    await target.mapAsync(mapRead);
    return [...new Float32Array(target.getMappedRange())];
  },

  /** A canvas that nobody has drawn on gives WebGPU no pixels. */
  async undrawn() {
    await ready;
    return refusal(() => fromImage(document.createElement('canvas')));
  },
};

Object.assign(globalThis, { checks });
export type Checks = typeof checks;
