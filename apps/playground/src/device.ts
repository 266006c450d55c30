import { type Device, deviceSelection, devices, knownBackends, setDefaultDevice } from 'tutti';

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
  const passedOver = selection ? await inPages(selection.passedOver) : [];
  return {
    id,
    description,
    because: selection ? 'the best one here' : 'named in the address',
    passedOver,
  };
}

/** Without those that no page has; a device that is here, but was not chosen, is asked for in the address. */
async function inPages(passedOver: Taken['passedOver']): Promise<Taken['passedOver']> {
  const here = new Set((await devices()).filter(({ available }) => available).map(({ backend }) => backend));
  const never = new Set(
    knownBackends.filter(({ planned, nodeOnly }) => planned || nodeOnly).map(({ name }) => name),
  );
  return passedOver
    .filter(({ backend }) => !never.has(backend))
    .map((each) =>
      here.has(each.backend) ? { ...each, fix: `?device=${each.backend} in the address` } : each,
    );
}
