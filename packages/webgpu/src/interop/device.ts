/** The backend behind a device, for what reaches below the tensors. */
import { DeviceError } from '@tutti/core/backend';
import { type Device, defaultDevice } from '@tutti/core/interop';
import { WebgpuBackend } from '../backend.ts';

/** @throws DeviceError for a device of another backend, and for one that is not open. */
export function backendOf(device: Device, op: string): WebgpuBackend {
  const { backend } = device;
  if (backend instanceof WebgpuBackend) return backend;
  throw new DeviceError(`${op}: device ${device} is not one of WebGPU`, {
    op,
    received: device.id,
    fix: "call await setDefaultDevice('webgpu') first, pass { device: await device('webgpu') }, or move the tensor with await x.to('webgpu')",
  });
}

/**
 * The `GPUDevice` that a device computes on: what works with tensors' memory, a renderer say, has to be made of it. It stays
 * the library's, unless the library was given it: `destroy()` is a lost device to all its tensors.
 *
 * @throws DeviceError for a device of another backend, and for one that is not open.
 *
 * @example
 * const gpu = gpuDeviceOf(await setDefaultDevice('webgpu'));
 */
export function gpuDeviceOf(device: Device = defaultDevice()): GPUDevice {
  return backendOf(device, 'gpuDeviceOf').perform('while the GPUDevice was asked for', (gpu) => gpu);
}
