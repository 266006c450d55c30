/** Backends that are known, devices that are open, and which device new tensors go to. */
import {
  type BackendFactory,
  BackendUnavailableError,
  DeviceError,
  type DeviceInfo,
  messageOf,
  type ProbeResult,
  TuttiError,
} from '../backend/index.ts';
import { closestName } from '../backend/suggest.ts';
import { currentDevice, replaceDefaultDevice } from '../tensor/context.ts';
import { Device, undecided } from '../tensor/device.ts';
import { refuseOptions } from '../tensor/options.ts';
import { environmentVariable, isNode, settings } from './settings.ts';

/** A device that is there, or a backend that is not, with the reason and the remedy. */
export type DeviceEntry =
  | { readonly id: string; readonly backend: string; readonly available: true; readonly info: DeviceInfo }
  | {
      readonly id: string;
      readonly backend: string;
      readonly available: false;
      readonly reason: string;
      readonly fix: string;
    };

/** What the automatic choice comes to, and why not to the others that it would have preferred. */
export interface DeviceChoice {
  /** The id of a device, which may not be there if `TUTTI_DEVICE` named it; undefined where no device is available. */
  readonly taken: string | undefined;
  readonly because: 'TUTTI_DEVICE' | 'priority';
  readonly passedOver: readonly { readonly backend: string; readonly reason: string; readonly fix: string }[];
}

/** A choice whose device has been opened. */
export interface DeviceSelection extends DeviceChoice {
  readonly taken: string;
  readonly description: string;
}

const factories = new Map<string, BackendFactory>();
/** Names that were taken out of them. */
const unregistered = new Set<string>();
const probes = new Map<string, Promise<ProbeResult>>();
const opened = new Map<string, Promise<Device>>();
const live = new Map<string, Device>();

/** In Node, it names the default device. */
const variable = 'TUTTI_DEVICE';

let lastSelection: DeviceSelection | undefined;

/**
 * Makes a backend known. Registering the name again replaces it, unless a device of the other one is open and well.
 *
 * @throws DeviceError when it is not a `BackendFactory`, and when a device of another backend of this name is open.
 */
export function registerBackend(factory: BackendFactory): void {
  checkFactory(factory);
  checkReplacement(factory);
  factories.set(factory.name, factory);
  unregistered.delete(factory.name);
  probes.delete(factory.name);
  if (!currentDevice()) replaceDefaultDevice(automaticDevice());
}

const backendName = /^[a-z][a-z0-9-]*$/;

function checkFactory(factory: BackendFactory): void {
  if (typeof factory === 'function') {
    const { name } = factory as { readonly name: string };
    throw new DeviceError('registerBackend: this is not a backend: it is a function', {
      received: `function ${name}`,
      fix: `pass what it gives: registerBackend(${name || 'make'}())`,
    });
  }
  const given: Partial<BackendFactory> = factory ?? {};
  const wrong =
    typeof given.name !== 'string' || !backendName.test(given.name)
      ? 'its `name` is not a word of small letters, digits and dashes'
      : typeof given.priority !== 'number' || Number.isNaN(given.priority)
        ? 'its `priority` is not a number'
        : (['probe', 'open'] as const)
            .filter((method) => typeof given[method] !== 'function')
            .map((method) => `it has no method \`${method}\``)[0];
  if (!wrong) return;
  throw new DeviceError(`registerBackend: this is not a backend: ${wrong}`, {
    received: factory,
    fix: 'pass a BackendFactory: { name, priority, probe, open }, as in docs/adding-a-backend.md',
  });
}

/** Whoever has registered a backend expects its devices, and not the one that is open. */
function checkReplacement(factory: BackendFactory): void {
  const { name } = factory;
  if (factories.get(name) === factory) return;
  const open = [...opened.keys()].find((id) => id.split(':')[0] === name && !live.get(id)?.backend.failure);
  if (open === undefined) return;
  throw new DeviceError(`registerBackend: device ${open} of another backend named ${name} is open`, {
    received: factory,
    fix: `register it before the device is first used, or dispose that one first: await unregisterBackend('${name}')`,
  });
}

/**
 * Closes what is open of a backend, and forgets it: `registerBackend` brings it back. Its devices are disposed; the default device is
 * chosen again if it was one.
 */
export async function unregisterBackend(name: string): Promise<void> {
  if (factories.delete(name)) unregistered.add(name);
  probes.delete(name);
  for (const [id, device] of opened) {
    if (id.split(':')[0] !== name) continue;
    opened.delete(id);
    live.delete(id);
    const gone = await device.catch(() => undefined); // it may just be failing to open
    if (!gone) continue;
    gone.dispose();
    if (currentDevice()?.same(gone)) replaceDefaultDevice(automaticDevice());
  }
}

const automaticDevice = (): Device | undefined =>
  factories.size > 0 ? new Device({ choose: chooseDevice }) : undefined;

/** The backends that are registered, best first. */
export const registeredBackends = (): BackendFactory[] =>
  [...factories.values()].sort((a, b) => b.priority - a.priority);

/**
 * A probe that fails by throwing is an answer too: the backend is not available.
 *
 * @throws ArgumentError of a probe: whoever set something wrong wants that backend, and no other in its place.
 */
function probe(factory: BackendFactory): Promise<ProbeResult> {
  let result = probes.get(factory.name);
  if (!result) {
    result = answerOf(factory).catch((error: unknown) => {
      if (TuttiError.isInstance(error) && error.code === 'TUTTI_ARGUMENT') {
        probes.delete(factory.name); // it may be set right
        throw error;
      }
      return {
        available: false,
        reason: `probing it failed: ${messageOf(error)}`,
        fix: 'see the message; reinstall the backend if it persists',
      };
    });
    probes.set(factory.name, result);
  }
  return result;
}

/** For lists, in which a wrong setting stands beside what is there. */
const probeToList = (factory: BackendFactory): Promise<ProbeResult> =>
  probe(factory).catch((error: TuttiError) => ({
    available: false,
    reason: error.message.split('\n  fix: ', 1)[0]!,
    fix: error.fix ?? 'see the message',
  }));

async function answerOf(factory: BackendFactory): Promise<ProbeResult> {
  const answer: Partial<ProbeResult & { devices: unknown }> = (await factory.probe()) ?? {};
  if (answer.available === false || (answer.available && Array.isArray(answer.devices))) {
    return answer as ProbeResult;
  }
  throw new DeviceError(
    'its probe() gave neither { available: true, devices } nor { available: false, reason, fix }',
  );
}

const deviceId = (backend: string, index: number): string => (index === 0 ? backend : `${backend}:${index}`);

/** All devices of all known backends, best first, and for a backend without one the reason. */
export async function devices(): Promise<DeviceEntry[]> {
  const entries = registeredBackends().map(async (factory): Promise<DeviceEntry[]> => {
    const backend = factory.name;
    const result = await probeToList(factory);
    if (!result.available) return [{ id: backend, backend, ...result }];
    return result.devices.map((info, index) => ({
      id: deviceId(backend, index),
      backend,
      available: true,
      info,
    }));
  });
  return (await Promise.all(entries)).flat();
}

interface DeviceName {
  readonly id: string;
  /** Begins messages with what gave the id, where that was not the caller. */
  readonly from: string;
}

function parseId({ id, from }: DeviceName): { readonly factory: BackendFactory; readonly index: number } {
  const match = /^([a-z][a-z0-9-]*)(?::(\d+))?$/.exec(id);
  const factory = match && factories.get(match[1]!);
  if (factory) return { factory, index: Number(match[2] ?? 0) };
  const name = match?.[1] ?? id.split(':', 1)[0]!;
  if (factories.has(name)) {
    throw new BackendUnavailableError(`${from}"${id}" is no device: behind ${name}: stands its number`, {
      received: id,
      fix: `use '${name}', or '${name}:1' for the second device of ${name}`,
    });
  }
  throw new BackendUnavailableError(`${from}there is no backend called "${name}"`, {
    received: id,
    fix: fixOfName(name),
  });
}

function fixOfName(name: string): string {
  const known = registeredBackends().map((each) => each.name);
  if (unregistered.has(name)) {
    return `unregisterBackend('${name}') took it out: registerBackend(...) brings it back; known backends: ${known.join(', ') || 'none'}`;
  }
  if (known.length === 0) return "import from 'tutti', which registers the installed backends";
  const meant = closestName(name, [undecided, ...known]);
  const guess = meant === undefined ? '' : `did you mean ${meant}? `;
  return `${guess}known backends: ${known.join(', ')}; ${undecided} is the best of them that is available`;
}

/**
 * Opens a device: `cpu`, `cuda:1`, or `auto` for the best there is. One that is open already is given again, unless it
 * has failed.
 *
 * @throws BackendUnavailableError with the reason and the remedy when it is not there; ArgumentError where a setting of the backend is
 * wrong. There is no fallback.
 */
export async function device(id: string): Promise<Device> {
  if (id === undecided) return chooseDevice();
  return namedDevice({ id, from: '' });
}

async function namedDevice(name: DeviceName): Promise<Device> {
  const { factory, index } = parseId(name);
  const canonical = deviceId(factory.name, index);
  forgetFailed(canonical);
  let result = opened.get(canonical);
  if (!result) {
    result = open(factory, index, { id: canonical, from: name.from });
    opened.set(canonical, result);
    result.catch(() => opened.delete(canonical));
  }
  return result;
}

/** A device that failed is opened anew when it is asked for again. */
function forgetFailed(id: string): void {
  const known = live.get(id);
  if (!known?.backend.failure) return;
  known.dispose();
  opened.delete(id);
  live.delete(id);
}

async function open(factory: BackendFactory, index: number, { id, from }: DeviceName): Promise<Device> {
  const result = await probe(factory);
  if (!result.available) {
    throw new BackendUnavailableError(`${from}device ${id} is not available: ${result.reason}`, {
      received: id,
      fix: result.fix,
    });
  }
  if (index >= result.devices.length) {
    throw new BackendUnavailableError(
      `${from}there is no device ${id}: ${factory.name} has ${result.devices.length}`,
      {
        received: id,
        fix: `use ${result.devices.map((_, i) => deviceId(factory.name, i)).join(', ')}`,
      },
    );
  }
  const made = new Device({ id, backend: await factory.open(index) });
  live.set(id, made);
  return made;
}

/**
 * What the automatic choice comes to now: the device that `TUTTI_DEVICE` names, or the available one of the highest
 * priority. One that software stands in for is slower than what it stands in for would be, and than backends made for the
 * processor: it is taken only where nothing else is there. Opens nothing.
 *
 * @throws ArgumentError where a setting is wrong of a backend that is asked before one is found.
 */
export async function automaticChoice(): Promise<DeviceChoice> {
  const asked = environmentVariable(variable);
  if (asked && asked !== undecided) return { taken: asked, because: variable, passedOver: [] };
  const passedOver: DeviceChoice['passedOver'][number][] = [];
  let emulated: string | undefined;
  for (const factory of registeredBackends()) {
    const { name } = factory;
    const result = await probe(factory);
    if (!result.available) {
      passedOver.push({ backend: name, reason: result.reason, fix: result.fix });
      continue;
    }
    const real = result.devices.findIndex((info) => !info.emulated);
    if (real >= 0) return { taken: deviceId(name, real), because: 'priority', passedOver };
    if (result.devices.length > 0) emulated ??= name;
    passedOver.push({
      backend: name,
      reason: `software stands in for its hardware (${result.devices[0]?.description ?? 'no device'})`,
      fix: `to use it all the same, ${isNode() ? `set ${variable}=${name} or ` : ''}call setDefaultDevice('${name}')`,
    });
  }
  return {
    taken: emulated,
    because: 'priority',
    passedOver: passedOver.filter(({ backend }) => backend !== emulated),
  };
}

async function chooseDevice(): Promise<Device> {
  const { taken, because, passedOver } = await automaticChoice();
  if (taken === undefined) {
    const reasons = passedOver.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ');
    throw new BackendUnavailableError(`no device is available (${reasons || 'no backend is registered'})`, {
      fix: passedOver[0]?.fix ?? "import from 'tutti', which registers the installed backends",
    });
  }
  const chosen = await namedDevice({ id: taken, from: because === variable ? `${variable}: ` : '' });
  const { id } = chosen;
  const { description } = chosen.backend.info;
  lastSelection = { taken: id, description, because, passedOver };
  tellChoice(chosen, because, passedOver);
  return chosen;
}

function tellChoice(
  { id, backend }: Device,
  because: string,
  passedOver: DeviceChoice['passedOver'] = [],
): void {
  if (settings().debug < 1) return;
  const others = passedOver.map((other) => `\n  not ${other.backend}: ${other.reason}`).join('');
  settings().log(`device ${id} (${backend.info.description}), by ${because}${others}`);
}

/** Devices that have been opened. */
export const openDevices = (): readonly Device[] => [...live.values()];

/** What the last automatic choice took and why; undefined before there was one. */
export const deviceSelection = (): DeviceSelection | undefined => lastSelection;

/**
 * Sets the device that new tensors go to, and opens it. `auto` chooses again.
 *
 * @throws BackendUnavailableError
 */
export async function setDefaultDevice(target: string | Device): Promise<Device>;
export async function setDefaultDevice(
  target: string | Device,
  ...others: readonly unknown[]
): Promise<Device> {
  refuseOptions(
    'setDefaultDevice',
    others,
    'settings belong to a backend: register one that was made with them',
  );
  const chosen = typeof target === 'string' ? await device(target) : target;
  if (!(chosen instanceof Device)) {
    throw new DeviceError('setDefaultDevice: neither a device nor the id of one', {
      received: target,
      fix: 'pass a device, or an id that devices() lists',
    });
  }
  await chosen.open();
  if (target !== undecided) tellChoice(chosen, 'setDefaultDevice');
  replaceDefaultDevice(chosen);
  return chosen;
}
