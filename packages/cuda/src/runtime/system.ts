/** What there is on this machine: the driver, its devices, and the compiler for them. */
import { messageOf } from '@tutti/core/backend';
import { architectureFor, formatCapability, leastCapability } from '../compiler/architecture.ts';
import { type Found, findBlas, findCompiler, isMissing } from '../compiler/find.ts';
import type { Binding, Blas, Compiler, DeviceDescription, Driver } from '../native/binding.ts';
import { codeOf } from './failures.ts';
import { type Absent, isAbsent, type Surroundings } from './host.ts';

/** A path, and the option or variable that names it. */
export interface Named {
  readonly path: string;
  readonly by: string;
}

export interface SystemWishes {
  readonly driver: Named | undefined;
  readonly nvrtc: Named | undefined;
  /** Undefined: it is looked for. */
  readonly cublaslt: Named | 'off' | undefined;
  /** A driver that emulates is what is wanted; no other is taken then. */
  readonly emulation: boolean;
}

export interface FoundDevice {
  /** As the driver counts. */
  readonly index: number;
  readonly description: DeviceDescription;
}

export interface System {
  readonly driver: Driver;
  readonly compiler: Compiler;
  readonly compilerPath: string;
  /** For matrix products; absent: why there is none. */
  readonly blas: Found<Blas> | Absent | 'off';
  /** Those that kernels can be compiled for, at least one. */
  readonly devices: readonly FoundDevice[];
}

/** Code that NVRTC 12 and later make is loaded by drivers of that release and later; and no earlier NVRTC knows sm_90. */
const leastVersion = 12_000;

export function findSystem(
  binding: Binding,
  wishes: SystemWishes,
  surroundings: Surroundings,
): System | Absent {
  const driver = openDriver(binding, wishes, surroundings);
  if (isAbsent(driver)) return driver;
  const devices = findDevices(driver, surroundings);
  if (isAbsent(devices)) return devices;
  const major = Math.floor(driver.version / 1000);
  const found = findCompiler(
    {
      open: (path) => binding.openCompiler(path),
      objection: (compiler) => objectionTo(compiler, major, devices),
      named: wishes.nvrtc,
      remedy: nvrtcRemedy(major),
    },
    surroundings,
  );
  if (isAbsent(found)) return found;
  const blas = findProducts(binding, driver, wishes.cublaslt, surroundings);
  // What was named is wanted; what was not is done without.
  if (wishes.cublaslt && blas !== 'off' && isAbsent(blas)) return blas;
  return { driver, compiler: found.library, compilerPath: found.path, blas, devices };
}

const blasVariable = 'TUTTI_CUDA_CUBLASLT';

function findProducts(
  binding: Binding,
  driver: Driver,
  named: SystemWishes['cublaslt'],
  surroundings: Surroundings,
): System['blas'] {
  if (named === 'off') return 'off';
  const major = Math.floor(driver.version / 1000);
  const objection = (blas: Blas): string | undefined => {
    if (blas.emulated !== driver.emulated)
      return blas.emulated ? 'emulates a GPU on the processor' : 'is for a GPU, and the driver emulates one';
    const release = Math.floor(blas.version / 10_000);
    if (release < 12) return 'is of a release before CUDA 12';
    return release > major
      ? `is of CUDA ${release}, which the driver, of CUDA ${major}, does not run`
      : undefined;
  };
  const without = named && named.by !== blasVariable ? "cublaslt: 'off'" : `${blasVariable}=off`;
  const remedy = `pip install ${major === 12 ? 'nvidia-cublas-cu12' : 'nvidia-cublas'}, install the CUDA toolkit ${major}, or go without: ${without}`;
  return findBlas({ open: (path) => binding.openBlas(path), objection, named, remedy }, surroundings);
}

/** NVIDIA names the package after the release, but for the latest. */
const nvrtcRemedy = (major: number): string =>
  `pip install ${major === 12 ? 'nvidia-cuda-nvrtc-cu12' : 'nvidia-cuda-nvrtc'}, or install the CUDA toolkit ${major}`;

const usualDriver = (platform: string): string => (platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1');

function openDriver(
  binding: Binding,
  { driver: named, emulation }: SystemWishes,
  surroundings: Surroundings,
): Driver | Absent {
  const path = named?.path ?? usualDriver(surroundings.platform);
  let driver: Driver;
  try {
    driver = binding.openDriver(path);
  } catch (error) {
    return driverAbsent(error, path, named, surroundings);
  }
  if (driver.emulated !== emulation) return wrongKind(driver, path, named);
  if (driver.version >= leastVersion) return driver;
  return {
    reason: `the NVIDIA driver is too old: it knows CUDA up to ${versionOf(driver.version)}, and kernels are compiled for 12.0 and later`,
    fix: 'update the NVIDIA driver to 525 or later',
  };
}

const versionOf = (version: number): string =>
  `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;

function wrongKind({ emulated }: Driver, path: string, named: Named | undefined): Absent {
  const by = named ? `${path}, which ${named.by} names,` : path;
  return emulated
    ? {
        reason: `${by} emulates a GPU on the processor`,
        fix: 'for tests, take createCudaBackend({ emulation: true, driver, nvrtc }); otherwise name no driver, so that the real one is taken',
      }
    : {
        reason: `${by} is the driver of a GPU, and an emulation was asked for`,
        fix: 'leave the option `emulation` out',
      };
}

function driverAbsent(error: unknown, path: string, named: Named | undefined, at: Surroundings): Absent {
  const code = codeOf(error);
  const message = messageOf(error);
  const install =
    'install the NVIDIA driver for this GPU, and check it with nvidia-smi' +
    (at.platform === 'linux' ? '; in a container, start it with the GPUs (docker run --gpus all)' : '');
  if (code === 'LIBRARY_NOT_FOUND') {
    return named
      ? {
          reason: `the driver that ${named.by} names, ${path}, ${isMissing(error, path) ? 'was not found' : `does not load: ${message}`}`,
          fix: 'name another, or none',
        }
      : { reason: `no NVIDIA driver: ${path} was not found`, fix: install };
  }
  // No driver is so old that it lacks what is called before its version is known.
  if (code === 'SYMBOL_NOT_FOUND') {
    return named
      ? { reason: `what ${named.by} names is no NVIDIA driver: ${message}`, fix: 'name another, or none' }
      : { reason: `no NVIDIA driver: ${message}`, fix: install };
  }
  return {
    reason: `the NVIDIA driver does not start: ${message}`,
    fix: startRemedies[code ?? ''] ?? install,
  };
}

/** What can be done where the driver is there and does not start. */
const startRemedies: Readonly<Record<string, string>> = {
  CUDA_ERROR_NO_DEVICE:
    'check with nvidia-smi that there is a GPU, and that CUDA_VISIBLE_DEVICES does not hide it; in a container, start it with the GPUs (docker run --gpus all)',
  CUDA_ERROR_STUB_LIBRARY:
    'the library found is the stub that comes with the CUDA toolkit for linking: take its folder out of LD_LIBRARY_PATH',
  CUDA_ERROR_SYSTEM_NOT_READY:
    'start the services of the driver (nvidia-fabricmanager), and check with nvidia-smi',
  CUDA_ERROR_SYSTEM_DRIVER_MISMATCH:
    'the library and the kernel module of the driver are of different versions: restart the machine',
  CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE:
    'the library found is one of CUDA forward compatibility, which this GPU does not have: take its folder out of LD_LIBRARY_PATH',
  CUDA_ERROR_UNKNOWN: 'check with nvidia-smi; after an update of the driver, restart the machine',
};

function findDevices(driver: Driver, { environment }: Surroundings): FoundDevice[] | Absent {
  let all: FoundDevice[];
  try {
    all = Array.from({ length: driver.deviceCount() }, (_, index) => ({
      index,
      description: driver.describe(index),
    }));
  } catch (error) {
    return {
      reason: `the NVIDIA driver does not tell its devices: ${messageOf(error)}`,
      fix: 'check with nvidia-smi',
    };
  }
  const devices = all.filter(({ description }) => description.computeCapability >= leastCapability);
  if (devices.length > 0) return devices;
  const [first] = all;
  if (first) {
    const { name, computeCapability } = first.description;
    return {
      reason: `${name} has compute capability ${formatCapability(computeCapability)}, and kernels need ${formatCapability(leastCapability)}`,
      fix: 'use a GPU of the Turing generation (2018) or later, or another device: `tutti doctor` lists those of this machine',
    };
  }
  const hidden = environment['CUDA_VISIBLE_DEVICES'];
  return {
    reason: `the NVIDIA driver finds no GPU${hidden === undefined ? '' : `; CUDA_VISIBLE_DEVICES is "${hidden}"`}`,
    fix: startRemedies['CUDA_ERROR_NO_DEVICE']!,
  };
}

/** Why a compiler is of no use. */
function objectionTo(
  { version: [major, minor], architectures }: Compiler,
  driverMajor: number,
  devices: readonly FoundDevice[],
): string | undefined {
  if (major < 12) return `is of CUDA ${major}.${minor}, and 12.0 is the least`;
  if (major > driverMajor)
    return `is of CUDA ${major}.${minor}, whose code the driver, of CUDA ${driverMajor}, does not load`;
  const unknown = devices.find(
    ({ description }) => !architectureFor(description.computeCapability, architectures),
  );
  if (!unknown) return undefined;
  const { name, computeCapability } = unknown.description;
  return `is of CUDA ${major}.${minor}, which does not know ${name} (compute capability ${formatCapability(computeCapability)})`;
}
