import { statSync } from 'node:fs';
import {
  type Backend,
  type BackendFactory,
  BackendUnavailableError,
  type DeviceInfo,
  InternalError,
  messageOf,
  type ProbeResult,
} from '@tutti/core/backend';
import { CudaBackend } from './backend.ts';
import { architectureFor } from './compiler/architecture.ts';
import { DiskCache, objectionTo } from './compiler/cache.ts';
import { KernelCompiler } from './compiler/compile.ts';
import { compileJoint, compileKernel } from './kernels/index.ts';
import { loadBinding } from './native/load.ts';
import {
  type CudaOptions,
  checkCudaOptions,
  type Settings,
  settingsOf,
  unknownVariables,
} from './options.ts';
import { routine } from './routines/index.ts';
import { describeDevice, featuresOf } from './runtime/description.ts';
import { CudaDevice } from './runtime/device.ts';
import { codeOf, endsProcess } from './runtime/failures.ts';
import { type Absent, isAbsent, machine } from './runtime/host.ts';
import { type FoundDevice, findSystem, type System } from './runtime/system.ts';

/** Uploads go through so much memory that the device reads by itself. */
const stagingBytes = 32 * 1024 * 1024;

/**
 * Makes a factory with settings of its own. Register it before the device is opened for the first time: a name is not taken
 * over while a device of it is open.
 *
 * @throws ArgumentError for options that do not exist or are not what they should be.
 *
 * @example
 * registerBackend(createCudaBackend({ precision: 'tf32' }));
 * await setDefaultDevice('cuda');
 */
export function createCudaBackend(options: CudaOptions = {}): BackendFactory {
  checkCudaOptions(options);
  const name = options.emulation ? 'cuda-emulated' : 'cuda';
  return {
    name,
    priority: options.emulation ? 5 : 40,
    async probe(): Promise<ProbeResult> {
      const settings = settingsOf(options, machine());
      const system = find(settings);
      if (isAbsent(system)) {
        const reason = [system.reason, ...unknownVariables(machine())].join('; ');
        return { available: false, reason, fix: system.fix };
      }
      const notes = await notesOn(settings, system);
      return { available: true, devices: system.devices.map((device) => describe(system, device, notes)) };
    },
    async open(index: number): Promise<Backend> {
      const settings = settingsOf(options, machine());
      const system = find(settings);
      if (isAbsent(system)) throw new BackendUnavailableError(system.reason, { fix: system.fix });
      const device = system.devices[index];
      if (!device) {
        throw new BackendUnavailableError(`there is no device ${name}:${index}`, {
          fix: `use ${system.devices.map((_, i) => idOf(name, i)).join(', ')}`,
        });
      }
      const info = describe(system, device, await notesOn(settings, system));
      return new CudaBackend(openDevice(idOf(name, index), system, device, info, settings), {
        compileKernel,
        compileJoint,
        routine,
      });
    },
  };
}

const idOf = (backend: string, index: number): string => (index === 0 ? backend : `${backend}:${index}`);

/** NVIDIA GPUs as a backend, with the settings of the environment. */
export const cuda: BackendFactory = createCudaBackend();

function find(settings: Settings): System | Absent {
  const binding = loadBinding();
  return isAbsent(binding) ? binding : findSystem(binding, settings, machine());
}

const describe = ({ driver, compiler }: System, device: FoundDevice, notes: readonly string[]): DeviceInfo =>
  describeDevice(device.description, driver, compiler, notes);

/** What else there is, and what does not work and does no harm. */
async function notesOn({ cacheFolder }: Settings, { blas }: System): Promise<readonly string[]> {
  const objection = cacheFolder === undefined ? undefined : await objectionTo(cacheFolder);
  return [
    blas === 'off'
      ? 'cuBLASLt off'
      : isAbsent(blas)
        ? blas.reason
        : `cuBLASLt ${blasVersion(blas.library.version)}`,
    ...unknownVariables(machine()),
    ...(objection === undefined ? [] : [`compiled kernels are not kept because ${objection}`]),
  ];
}

const blasVersion = (version: number): string =>
  `${Math.floor(version / 10_000)}.${Math.floor((version % 10_000) / 100)}`;

function openDevice(
  name: string,
  { driver, compiler, compilerPath, blas }: System,
  { index, description }: FoundDevice,
  info: DeviceInfo,
  { cacheFolder, graphs, memoryLimit, tf32 }: Settings,
): CudaDevice {
  const architecture = architectureFor(description.computeCapability, compiler.architectures);
  if (!architecture) throw new InternalError(`no architecture for ${description.name}`);
  const cache = cacheFolder === undefined ? undefined : new DiskCache(cacheFolder);
  const products = blas === 'off' || isAbsent(blas) ? undefined : blas.path;
  const identity = driver.emulated ? stampOf(compilerPath) : '';
  try {
    return new CudaDevice({
      name,
      info,
      features: featuresOf(description, driver, { tf32, blas: products !== undefined }),
      native: driver.open(index, { stagingBytes, blas: products }),
      compiler: new KernelCompiler({ compiler, architecture, identity, cache }),
      graphs,
      memoryLimit,
    });
  } catch (error) {
    throw new BackendUnavailableError(`${name}, ${description.name}, cannot be opened: ${messageOf(error)}`, {
      received: name,
      fix: endsProcess(error)
        ? 'restart the process: the driver takes no more work from this one'
        : (openRemedies[codeOf(error) ?? ''] ?? 'check with nvidia-smi'),
      cause: error,
    });
  }
}

const openRemedies: Readonly<Record<string, string>> = {
  CUDA_ERROR_OUT_OF_MEMORY: 'end other programs that use the GPU (nvidia-smi lists them)',
  CUDA_ERROR_DEVICE_UNAVAILABLE: 'end the program that has the GPU for itself (nvidia-smi lists them)',
};

/** An emulator is built again and again at the same version. */
function stampOf(path: string): string {
  const { size, mtimeMs } = statSync(path);
  return `${size} bytes of ${mtimeMs}`;
}
