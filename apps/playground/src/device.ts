import { type Device, deviceSelection, setDefaultDevice } from 'tutti';

export interface Taken {
  readonly id: string;
  readonly description: string;
  readonly because: string;
  /** The devices that the automatic choice would have preferred. */
  readonly passedOver: readonly { readonly backend: string; readonly reason: string; readonly fix: string }[];
}

/** Opens the device that the address names, and no other in its place. @throws BackendUnavailableError */
export async function takeDevice(wanted: string): Promise<Taken> {
  const device: Device = await setDefaultDevice(wanted);
  const { id } = device;
  const { description } = device.backend.info;
  const selection = wanted === 'auto' ? deviceSelection() : undefined;
  return {
    id,
    description,
    because: selection ? 'the best one here' : 'named in the address',
    passedOver: selection?.passedOver ?? [],
  };
}
