/** The backend behind a device, for what reaches below the tensors. */
import { announceBackend } from '@tutti/core/backend';
import { backendOfDevice, type Device, defaultDevice, type OwnBackend } from '@tutti/core/interop';
import { WebgpuBackend } from '../backend.ts';
import { webgpu } from '../factory.ts';

// Every function of this folder comes through here.
announceBackend(webgpu);

const own: OwnBackend<WebgpuBackend> = {
  name: webgpu.name,
  title: 'WebGPU',
  type: WebgpuBackend,
  adapt: (given) =>
    Object.prototype.toString.call(given) === '[object GPUDevice]'
      ? "compute on it: registerBackend(createWebgpuBackend({ device: yours })), and pass what await device('webgpu') gives"
      : undefined,
};

/** @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open. */
export const backendOf = (device: Device, op: string): WebgpuBackend => backendOfDevice(device, op, own);

/**
 * The `GPUDevice` that a device computes on: what works with tensors' memory, a renderer say, has to be made of it. It stays
 * the library's, unless the library was given it: `destroy()` is a lost device to all its tensors.
 *
 * @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open.
 *
 * @example
 * const gpu = gpuDeviceOf(await setDefaultDevice('webgpu'));
 */
export function gpuDeviceOf(device: Device = defaultDevice()): GPUDevice {
  return backendOf(device, 'gpuDeviceOf').perform('while the GPUDevice was asked for', (gpu) => gpu);
}
