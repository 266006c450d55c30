/** The backend behind a device, for what reaches below the tensors. */
import { announceBackend } from '@tutti/core/backend';
import { backendOfDevice, type Device } from '@tutti/core/interop';
import { WebglBackend } from '../backend.ts';
import { webgl } from '../factory.ts';

// Every function of this folder comes through here.
announceBackend(webgl);

/** @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open. */
export const backendOf = (device: Device, op: string): WebglBackend =>
  backendOfDevice(device, op, { name: webgl.name, title: 'WebGL', type: WebglBackend });
