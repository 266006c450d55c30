import {
  ArgumentError,
  type Backend,
  type BackendFactory,
  BackendUnavailableError,
  type DeviceInfo,
  type ProbeResult,
} from '@tutti/core/backend';
import { checkOptions, type OptionNames, refusedOption } from '@tutti/core/interop';
import { WebgpuBackend } from './backend.ts';
import { compileKernel } from './kernels/index.ts';
import { candidates, routine } from './routines/index.ts';
import { describeDevice, described } from './runtime/description.ts';
import { borrowDevice, type GpuDevice, openDevice } from './runtime/device.ts';
import { type Absent, findAdapter, findGpu, isAbsent } from './runtime/gpu.ts';
import { environment } from './runtime/host.ts';
import { tuning as common, Tuning } from './tuning.ts';

export interface WebgpuOptions {
  /** Where adapters come from. Default: `navigator.gpu`, or else the package `webgpu` in Node. */
  readonly gpu?: GPU;
  /** The adapter to open a device of. An adapter opens one device only. */
  readonly adapter?: GPUAdapter;
  /** A device to run on. It stays yours: `dispose()` gives back what was allocated, and leaves the device alone. */
  readonly device?: GPUDevice;
  /** Which GPU, where there are several. Default: the browser's choice. */
  readonly powerPreference?: GPUPowerPreference;
  /**
   * `default` takes no more than what every WebGPU device has: default limits and no optional features, for tests. The
   * variable `TUTTI_WEBGPU_LIMITS=default` does the same. Default: `adapter`, everything useful that there is.
   */
  readonly limits?: 'adapter' | 'default';
  /**
   * Large matrix products have several programs, of which the fastest is found by timing them when a class of shapes first comes. `off`
   * takes the one that should be the fastest: no time is spent, and results are the same to the last bit in every process. Default: the
   * choices of all devices, `tuning`.
   */
  readonly tuning?: 'off' | Tuning;
  /** Flags of Dawn, in Node: `['backend=vulkan', 'enable-dawn-features=...']`. */
  readonly toggles?: readonly string[];
}

const op = 'createWebgpuBackend';
const optionNames: OptionNames<WebgpuOptions> = {
  gpu: true,
  adapter: true,
  device: true,
  powerPreference: true,
  limits: true,
  tuning: true,
  toggles: true,
};

/**
 * Makes a factory with settings of its own. Register it before the device is opened for the first time: a name is not taken
 * over while a device of it is open.
 *
 * @throws ArgumentError for options that do not exist or are not what they should be.
 */
export function createWebgpuBackend(options: WebgpuOptions = {}): BackendFactory {
  checkOptions(op, options, optionNames);
  checkValues(options);
  return {
    name: 'webgpu',
    priority: 30,
    async probe(): Promise<ProbeResult> {
      const found = await describe(options);
      if (isAbsent(found)) return { available: false, ...found };
      return { available: true, devices: [found] };
    },
    async open(index: number): Promise<Backend> {
      if (index !== 0) {
        throw new BackendUnavailableError(`there is no device webgpu:${index}`, {
          fix: "use 'webgpu' or 'webgpu:0'",
        });
      }
      const tuning = tuningOf(options);
      return new WebgpuBackend(await open(options), { compileKernel, routine, candidates }, tuning);
    },
  };
}

/** WebGPU as a backend, with the settings of the environment. */
export const webgpu: BackendFactory = createWebgpuBackend();

function checkValues({ adapter, device, powerPreference }: WebgpuOptions): void {
  const isDevice = (value: unknown): boolean =>
    typeof (value as GPUDevice | null)?.createBuffer === 'function';
  if (device !== undefined && !isDevice(device)) {
    throw refused('device', device, 'pass a GPUDevice, as await adapter.requestDevice() gives it');
  }
  const isAdapter = (value: Partial<GPUAdapter> | null): boolean => !!value?.limits && !isDevice(value);
  if (adapter !== undefined && !isAdapter(adapter)) {
    throw refused(
      'adapter',
      adapter,
      'pass what await navigator.gpu.requestAdapter() gives, unless that is null: then this machine has none',
    );
  }
  if (![undefined, 'high-performance', 'low-power'].includes(powerPreference)) {
    throw refused('powerPreference', powerPreference, "pass 'high-performance' or 'low-power'");
  }
}

const refused = (name: string, value: unknown, fix: string): ArgumentError =>
  refusedOption(op, name, value, fix);

function pretendsDefaults(options: WebgpuOptions): boolean {
  const wish = options.limits ?? environment('TUTTI_WEBGPU_LIMITS') ?? 'adapter';
  if (wish === 'adapter' || wish === 'default') return wish === 'default';
  throw new ArgumentError(`${wish} is not a choice of limits`, {
    received: wish,
    fix: "set the option `limits` or the variable TUTTI_WEBGPU_LIMITS to 'adapter' or 'default'",
  });
}

function tuningOf({ tuning: wish = common }: WebgpuOptions): Tuning | undefined {
  if (wish === 'off') return undefined;
  if (wish instanceof Tuning) return wish;
  throw new ArgumentError(`${String(wish)} is not a choice of tuning`, {
    received: wish,
    fix: "set the option `tuning` to 'off' or to a Tuning, or leave it out",
  });
}

async function adapterOf(options: WebgpuOptions): Promise<GPUAdapter | Absent> {
  if (options.adapter) return options.adapter;
  const gpu = options.gpu ?? (await findGpu(options.toggles));
  return isAbsent(gpu) ? gpu : findAdapter(gpu, options.powerPreference);
}

async function describe(options: WebgpuOptions): Promise<DeviceInfo | Absent> {
  const pretend = pretendsDefaults(options);
  const { device } = options;
  if (device) return describeDevice(described(device, infoOf(options), pretend));
  const adapter = await adapterOf(options);
  return isAbsent(adapter) ? adapter : describeDevice(described(adapter, adapter.info, pretend));
}

async function open(options: WebgpuOptions): Promise<GpuDevice> {
  const pretend = pretendsDefaults(options);
  if (options.device) return borrowDevice(options.device, infoOf(options), pretend);
  const adapter = await adapterOf(options);
  if (isAbsent(adapter)) throw new BackendUnavailableError(adapter.reason, { fix: adapter.fix });
  return openDevice(adapter, pretend);
}

/** Older browsers tell what a device is only through its adapter. */
const infoOf = ({ device, adapter }: WebgpuOptions): GPUAdapterInfo | undefined =>
  (device as Partial<GPUDevice> | undefined)?.adapterInfo ?? adapter?.info;
