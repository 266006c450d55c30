/** The device of a suite that runs on one. */
import { BackendUnavailableError } from '@tutti/core/backend';
import type { DeviceInfo } from 'tutti';

/** Backends that only a clone has, by their names, and the modules that export them. */
const modules: Readonly<Record<string, string>> = {
  'cuda-emulated': new URL('../../scripts/emulated-cuda.mjs', import.meta.url).href,
};

/** `cuda` of `cuda:1`. */
export const backendOf = (id: string): string => id.split(':')[0]!;

/** Makes a device known that the library does not know by itself. */
export async function registerDevice(id: string): Promise<void> {
  const module = modules[backendOf(id)];
  if (module === undefined) return;
  const { registerBackend } = await import('tutti');
  const { cudaEmulated } = await import(module);
  registerBackend(cudaEmulated);
}

export interface DeviceUnderTest extends Pick<DeviceInfo, 'description' | 'emulated'> {
  readonly id: string;
}

/**
 * What the device is. Opens nothing: the processes that measure have it to themselves.
 *
 * @throws BackendUnavailableError with the reason and the remedy where it is not there.
 */
export async function describeDevice(id: string): Promise<DeviceUnderTest> {
  await registerDevice(id);
  const { registeredBackends } = await import('tutti');
  const name = backendOf(id);
  const found = await registeredBackends()
    .find((factory) => factory.name === name)!
    .probe();
  if (!found.available) {
    throw new BackendUnavailableError(`device ${id} is not available: ${found.reason}`, {
      received: id,
      fix: found.fix,
    });
  }
  const ids = found.devices.map((_, i) => (i === 0 ? name : `${name}:${i}`));
  const info = found.devices[ids.indexOf(id)];
  if (info) return { id, description: info.description, emulated: info.emulated };
  throw new BackendUnavailableError(`there is no device ${id}`, {
    received: id,
    fix: `use ${ids.join(', ')}`,
  });
}
