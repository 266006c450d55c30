/** The backend behind a device, for what reaches below the tensors. */
import { ArgumentError, announceBackend, DeviceError } from '@tutti/core/backend';
import { Device, defaultDevice, describe, isPromise } from '@tutti/core/interop';
import { WebgpuBackend } from '../backend.ts';
import { webgpu } from '../factory.ts';

// Every function of this folder comes through here.
announceBackend(webgpu);

/** @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open. */
export function backendOf(device: Device, op: string): WebgpuBackend {
  if (!(device instanceof Device)) throw noDevice(device, op);
  if (!device.isOpen) {
    throw new DeviceError(`${op}: the default device has not been opened yet`, {
      op,
      received: device.id,
      fix: "await setDefaultDevice('webgpu') once, before this",
    });
  }
  const { backend } = device;
  if (backend instanceof WebgpuBackend) return backend;
  throw new DeviceError(`${op}: device ${device} is not one of WebGPU`, {
    op,
    received: device.id,
    fix: "call await setDefaultDevice('webgpu') first, pass { device: await device('webgpu') }, or move the tensor with await x.to('webgpu')",
  });
}

function noDevice(given: unknown, op: string): ArgumentError {
  const isGpu = Object.prototype.toString.call(given) === '[object GPUDevice]';
  return new ArgumentError(`${op}: expected a device, received ${describe(given)}`, {
    op,
    received: given,
    fix: isPromise(given)
      ? 'await it first'
      : isGpu
        ? "compute on it: registerBackend(createWebgpuBackend({ device: yours })), and pass what await device('webgpu') gives"
        : "pass what await device('webgpu') gives, or leave it out and call await setDefaultDevice('webgpu') once",
  });
}

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
