/** The backend behind a device, for functions of a package that work below the tensors. */
import { ArgumentError, type Backend, DeviceError } from '../backend/index.ts';
import { describe, isPromise } from '../tensor/describe.ts';
import { Device } from '../tensor/device.ts';

/** A package's own backend. */
export interface OwnBackend<B extends Backend> {
  /** As programs ask for it. */
  readonly name: string;
  /** As people read it. */
  readonly title: string;
  readonly type: new (...args: never[]) => B;
  /** What to do with something that is no device, where the package knows it. */
  readonly adapt?: (given: unknown) => string | undefined;
}

/**
 * The backend of a device, which must be one of the package.
 *
 * @throws ArgumentError for what is no device; DeviceError for a device of another backend, and for one that is not open.
 */
export function backendOfDevice<B extends Backend>(
  device: Device,
  op: string,
  { name, title, type, adapt }: OwnBackend<B>,
): B {
  const awaited = `await device('${name}')`;
  const asDefault = `await setDefaultDevice('${name}')`;
  if (!(device instanceof Device)) {
    const usual = `pass what ${awaited} gives, or leave it out and call ${asDefault} once`;
    throw new ArgumentError(`${op}: expected a device, received ${describe(device)}`, {
      op,
      received: device,
      fix: isPromise(device) ? 'await it first' : (adapt?.(device) ?? usual),
    });
  }
  if (!device.isOpen) {
    throw new DeviceError(`${op}: the default device has not been opened yet`, {
      op,
      received: device.id,
      fix: `${asDefault} once, before this`,
    });
  }
  const { backend } = device;
  if (backend instanceof type) return backend;
  throw new DeviceError(`${op}: device ${device} is not one of ${title}`, {
    op,
    received: device.id,
    fix:
      `call ${asDefault} first, pass { device: ${awaited} }, move the tensor with await x.to('${name}'), or import the function from ` +
      'the package of that device',
  });
}
