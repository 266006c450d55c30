/** A WebGPU device as this backend holds it: its queue, what it can do, whether it works, whose it is. */
import { BackendUnavailableError, type DeviceInfo, Health, messageOf } from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import {
  type Described,
  describeDevice,
  described,
  type Limits,
  limitNames,
  shaderFeaturesOf,
  usefulFeatures,
} from './description.ts';
import { disposedError, lostError, reportedError } from './failures.ts';
import { convertsHalves } from './halves.ts';

export class GpuDevice {
  readonly device: GPUDevice;
  readonly queue: GPUQueue;
  readonly limits: Limits;
  readonly features: ReadonlySet<string>;
  readonly info: DeviceInfo;
  readonly shaderFeatures: ShaderFeatures;
  readonly health: Health = new Health();
  /** False for a device that the user made: it is never destroyed here, and its other errors are not ours. */
  readonly #owned: boolean;
  readonly #onError = (event: GPUUncapturedErrorEvent): void => {
    event.preventDefault();
    const failure = reportedError(event.error, 'some time before this call', true);
    // Not at once: Dawn calls this while it holds the device's lock, and to let go of the device would wait for it.
    queueMicrotask(() => this.health.fail(failure));
  };

  constructor(device: GPUDevice, description: Described, exactHalves: boolean, owned: boolean) {
    this.device = device;
    this.queue = device.queue;
    this.limits = description.limits;
    this.features = description.features;
    this.info = describeDevice(description);
    this.shaderFeatures = shaderFeaturesOf(description, exactHalves);
    this.#owned = owned;
    void device.lost.then((info) => this.health.fail(lostError(info, owned)));
    if (!owned) return;
    device.addEventListener('uncapturederror', this.#onError);
    // Whatever went wrong, what the device holds is of no use any more.
    this.health.onFailure(() => {
      device.removeEventListener('uncapturederror', this.#onError);
      device.destroy();
    });
  }

  /**
   * Runs something that may be refused. What an own device refuses reaches it as an event; on a device of the user that
   * could as well be an error of theirs, so there it is caught around each of our own calls.
   */
  watch<T>(doing: string, action: () => T): T {
    if (this.#owned) return action();
    const { device } = this;
    const kinds: readonly GPUErrorFilter[] = ['internal', 'out-of-memory', 'validation'];
    for (const kind of kinds) device.pushErrorScope(kind);
    try {
      return action();
    } finally {
      for (const _ of kinds) {
        device.popErrorScope().then(
          (error) => error && this.health.fail(reportedError(error, doing, false)),
          () => {}, // the device was lost, which is reported elsewhere
        );
      }
    }
  }

  dispose(): void {
    this.health.fail(disposedError());
  }
}

/** Opens a device with everything useful that its adapter has; with `pretendDefaults`, with nothing beyond the least. */
export async function openDevice(adapter: GPUAdapter, pretendDefaults: boolean): Promise<GpuDevice> {
  const wanted = described(adapter, adapter.info, pretendDefaults);
  const requiredLimits = pretendDefaults
    ? {}
    : Object.fromEntries(limitNames.map((name) => [name, wanted.limits[name]]));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      label: 'tutti',
      requiredFeatures: usefulFeatures.filter((feature) => wanted.features.has(feature)),
      requiredLimits,
    });
  } catch (cause) {
    throw new BackendUnavailableError(
      `the GPU driver does not open a device: ${messageOf(cause).split('\n')[0]}`,
      {
        cause,
        fix: 'an adapter opens one device only: do not pass an adapter that has been used; else update the GPU driver',
      },
    );
  }
  return new GpuDevice(device, wanted, !pretendDefaults && (await convertsHalves(device)), true);
}

/** A device that the user made and goes on owning. */
export async function borrowDevice(
  device: GPUDevice,
  info: GPUAdapterInfo | undefined,
  pretendDefaults: boolean,
): Promise<GpuDevice> {
  const exactHalves = !pretendDefaults && (await convertsHalves(device));
  return new GpuDevice(device, described(device, info, pretendDefaults), exactHalves, false);
}
