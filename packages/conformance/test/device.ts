import { Device } from '@tutti/core';
import { DeviceError } from '@tutti/core/backend';
import { replaceDefaultDevice } from '@tutti/core/graph';

/** A default device on which graphs can be built and nothing can run: all that the oracle needs. */
export function useGraphOnlyDevice(): void {
  const refuse = () => Promise.reject(new DeviceError('this device only lets graphs be built'));
  replaceDefaultDevice(new Device({ choose: refuse }));
}
