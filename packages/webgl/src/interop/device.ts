/** The backend behind a device, for what reaches below the tensors. */
import { ArgumentError, announceBackend, DeviceError } from '@tutti/core/backend';
import { Device, describe, isPromise } from '@tutti/core/interop';
import { WebglBackend } from '../backend.ts';
import { webgl } from '../factory.ts';

// Every function of this folder comes through here.
announceBackend(webgl);

/** @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open. */
export function backendOf(device: Device, op: string): WebglBackend {
  if (!(device instanceof Device)) {
    throw new ArgumentError(`${op}: expected a device, received ${describe(device)}`, {
      op,
      received: device,
      fix: isPromise(device)
        ? 'await it first'
        : "pass what await device('webgl') gives, or leave it out and call await setDefaultDevice('webgl') once",
    });
  }
  if (!device.isOpen) {
    throw new DeviceError(`${op}: the default device has not been opened yet`, {
      op,
      received: device.id,
      fix: "await setDefaultDevice('webgl') once, before this",
    });
  }
  const { backend } = device;
  if (backend instanceof WebglBackend) return backend;
  throw new DeviceError(`${op}: device ${device} is not one of WebGL`, {
    op,
    received: device.id,
    fix: "call await setDefaultDevice('webgl') first, pass { device: await device('webgl') }, or import the function from the package of that device",
  });
}
