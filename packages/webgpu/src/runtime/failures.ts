/** What a device fails with. */
import {
  DeviceError,
  type DisposedError,
  disposedDevice,
  KernelError,
  OutOfMemoryError,
  type TuttiError,
} from '@tutti/core/backend';

/** A device of the user's is given again as it is: they have to bring another. */
const openAgain = (owned: boolean): string =>
  owned
    ? "open the device again: await setDefaultDevice('webgpu'), and load the parameters that were saved"
    : 'make another GPUDevice, registerBackend(createWebgpuBackend({ device: another })), ' +
      "await setDefaultDevice('webgpu'), and load the parameters that were saved";

export const disposedError = (): DisposedError => disposedDevice('webgpu');

/**
 * `destroyed` is the reason when the program called `destroy()`, and in Chromium also when the browser's GPU process ended.
 *
 * @param owned Whether the library made the device.
 */
export function lostError(info: Pick<GPUDeviceLostInfo, 'reason' | 'message'>, owned: boolean): DeviceError {
  const why = info.message ? `: ${info.message.replace(/\.$/, '')}` : '';
  const what = info.reason === 'destroyed' ? 'was destroyed, by the program or by the browser' : 'was lost';
  return new DeviceError(`the GPU device ${what}${why}; its tensors are gone`, {
    received: info.reason,
    fix: openAgain(owned),
  });
}

/** What WebGPU reports without being asked: a command that it refused. Whatever came after has not been computed. */
export function reportedError(error: GPUError, doing: string, owned: boolean): TuttiError {
  const kind = Object.prototype.toString.call(error);
  if (kind.includes('OutOfMemory')) {
    return new OutOfMemoryError(`the GPU ran out of memory, ${doing}: ${error.message}`, {
      fix: `free tensors (scope, dispose) or use smaller batches; then ${openAgain(owned)}`,
    });
  }
  return new KernelError(`WebGPU refused a command, ${doing}: ${error.message}`, {
    received: error.message,
    fix:
      'a GPUBuffer of yours (fromGPUBuffer) must be of the same device, gpuDeviceOf(), and neither mapped nor destroyed while it ' +
      'is in use; where there is none, this is a defect of the library: please report it with the text above. The device has ' +
      `ended: ${openAgain(owned)}`,
  });
}
