/**
 * Where the emulated CUDA driver is, and how it is told what to be. It is for tests: the backend's own addon loads it as it would
 * load the driver of a GPU.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the libraries. */
export interface CudaEmulator {
  readonly driver: string;
  /** NVRTC's interface. */
  readonly compiler: string;
  /** cuBLASLt's interface. */
  readonly blas?: string;
}

const folder = join(import.meta.dirname, '..', 'build');

/** The libraries, or why there are none. */
export function cudaEmulator(): CudaEmulator | { readonly missing: string } {
  const driver = join(folder, 'libcuda.so.1');
  const compiler = join(folder, 'libnvrtc.so.13');
  const blas = join(folder, 'libcublasLt.so.13');
  if (!existsSync(driver) || !existsSync(compiler)) {
    return {
      missing:
        process.platform === 'linux'
          ? 'the CUDA emulator is not built: install g++ and run `node packages/cuda-emulator/scripts/build-emulator.mjs`'
          : 'the CUDA emulator is made for Linux',
    };
  }
  return existsSync(blas) ? { driver, compiler, blas } : { driver, compiler };
}

/** What goes wrong. A number n is the n-th occasion in the process, from 1. */
export interface EmulatorFaults {
  /** `cuInit` says that there is no device. */
  readonly noDevice?: boolean;
  /** `cuInit` ends with this error. */
  readonly init?: number;
  /** `cuDriverGetVersion` gives this: 11080 for CUDA 11.8. */
  readonly driverVersion?: number;
  /** Retaining the primary context ends with this error. */
  readonly context?: number;
  /** Devices without memory pools. */
  readonly noPools?: boolean;
  /** Out of memory: the n-th allocation of device memory. */
  readonly allocate?: number;
  /** Out of memory: the n-th allocation of pinned memory. */
  readonly pinned?: number;
  /** Out of memory: the n-th stream, event or memory pool. */
  readonly create?: number;
  /** Out of memory: the n-th graph that is instantiated. */
  readonly graph?: number;
  /** The n-th module is no valid image. */
  readonly module?: number;
  /** The call of the n-th launch ends with `CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES`; the device goes on. */
  readonly launch?: number;
  /** The n-th kernel that runs ends with `CUDA_ERROR_LAUNCH_FAILED`, from which the device does not recover. */
  readonly launchFailure?: number;
  /** The same with `CUDA_ERROR_ILLEGAL_ADDRESS`. */
  readonly illegalAddress?: number;
  /** The n-th compilation fails. */
  readonly compile?: number;
  /** cuBLASLt finds no algorithm, the n-th time it is asked. */
  readonly blasHeuristic?: number;
  /** The n-th call of a matmul of cuBLASLt fails. */
  readonly blas?: number;
  /** Milliseconds that every stream waits before each operation. */
  readonly slow?: number;
  /** The same for one stream of a context: 0 is the default stream, 1 the first that is made. */
  readonly slowStream?: { readonly stream: number; readonly milliseconds: number };
}

export interface EmulatorSettings {
  /** Number of devices. Default 1. */
  readonly devices?: number;
  /** 90 for compute capability 9.0, which is the default. */
  readonly capability?: number;
  readonly multiprocessors?: number;
  /** Bytes of memory of each device. Default 4 GiB. */
  readonly memory?: number;
  /** `lazy`: a stream runs only what somebody waits for. */
  readonly streams?: 'eager' | 'lazy';
  /** Of threads in a block and of blocks in a launch. */
  readonly order?: 'forward' | 'reverse' | 'shuffled';
  /** Of the shuffled order. */
  readonly seed?: number;
  /** Seconds of processor time after which a kernel ends with `CUDA_ERROR_LAUNCH_TIMEOUT`; 0 for none. Default 20. */
  readonly timeout?: number;
  /** A folder where compiled kernels are kept. */
  readonly cache?: string;
  /** Prints what is left when a context ends. */
  readonly leaks?: boolean;
  /** Prints at the end of the process how many compilations, modules and kernels there were, and their time. */
  readonly statistics?: boolean;
  /** Compiles kernels with AddressSanitizer; the process has to be started with its library, see README.md. */
  readonly sanitize?: boolean;
  readonly faults?: EmulatorFaults;
}

const prefix = 'TUTTI_CUDA_EMULATOR_';

/** The environment variables that say so, for a process that is started with them. */
export function emulatorEnvironment(settings: EmulatorSettings): Record<string, string> {
  const { order, seed } = settings;
  const values = {
    DEVICES: settings.devices,
    CAPABILITY: settings.capability,
    MULTIPROCESSORS: settings.multiprocessors,
    MEMORY: settings.memory,
    STREAMS: settings.streams,
    ORDER: order === 'shuffled' && seed !== undefined ? `shuffled:${seed}` : order,
    TIMEOUT: settings.timeout,
    CACHE: settings.cache,
    LEAKS: settings.leaks ? 'report' : undefined,
    STATISTICS: settings.statistics ? 'report' : undefined,
    SANITIZE: settings.sanitize ? 'address' : undefined,
    FAULTS: faultList(settings.faults ?? {}),
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [prefix + name, String(value)]));
}

const faultNames: Record<keyof EmulatorFaults, string> = {
  noDevice: 'no-device',
  init: 'init',
  driverVersion: 'driver-version',
  context: 'context',
  noPools: 'no-pools',
  allocate: 'allocate',
  pinned: 'pinned',
  create: 'create',
  graph: 'graph',
  module: 'module',
  launch: 'launch',
  launchFailure: 'launch-failure',
  illegalAddress: 'illegal-address',
  compile: 'compile',
  blasHeuristic: 'blas-heuristic',
  blas: 'blas',
  slow: 'slow',
  slowStream: 'slow-stream',
};

/** What a setting may be, in words, and whether a text is that. */
interface Kind {
  readonly words: string;
  readonly fits: (text: string) => boolean;
}

const wholeNumber: Kind = { words: 'a whole number', fits: (text) => /^\d+$/.test(text) };
const oneOf = (...choices: string[]): Kind => ({
  words: choices.join(' or '),
  fits: (text) => choices.includes(text),
});

/** Faults that have no number of their own. */
const withoutNumber = [faultNames.noDevice, faultNames.noPools];

function isFault(text: string): boolean {
  if (withoutNumber.includes(text)) return true;
  const [, name, stream] = /^([a-z-]+?)(-\d+)?:\d+$/.exec(text) ?? [];
  if (name === undefined || !Object.values(faultNames).includes(name)) return false;
  return (stream !== undefined) === (name === faultNames.slowStream);
}

const kinds: Readonly<Record<string, Kind>> = {
  DEVICES: wholeNumber,
  CAPABILITY: wholeNumber,
  MULTIPROCESSORS: wholeNumber,
  MEMORY: { ...wholeNumber, words: 'a whole number of bytes' },
  STREAMS: oneOf('eager', 'lazy'),
  ORDER: {
    words: 'forward, reverse, shuffled or shuffled:<seed>',
    fits: (text) => /^(forward|reverse|shuffled(:\d+)?)$/.test(text),
  },
  TIMEOUT: { ...wholeNumber, words: 'a whole number of seconds' },
  CACHE: { words: 'a folder', fits: () => true },
  LEAKS: oneOf('report'),
  STATISTICS: oneOf('report'),
  SANITIZE: oneOf('address'),
  FAULTS: {
    words: `name:number,name:number with names out of ${Object.values(faultNames).join(', ')}`,
    fits: (text) => text.split(',').every(isFault),
  },
};

/** What is wrong with the variables of an environment that are for the emulator, which itself takes no notice of what it does not understand. */
export function settingsProblem(
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(prefix) || !text) continue;
    const kind = kinds[variable.slice(prefix.length)];
    if (!kind)
      return `${variable} is no setting of the emulator: settings are ${Object.keys(kinds).join(', ')}`;
    if (!kind.fits(text)) return `${variable} is ${text}, which is not ${kind.words}`;
  }
  return undefined;
}

/** `name:number,name:number`, as the libraries read it. */
function faultList(faults: EmulatorFaults): string | undefined {
  const list = Object.entries(faults).flatMap(([key, value]) => {
    const name = faultNames[key as keyof EmulatorFaults];
    if (value === undefined || value === false) return [];
    if (typeof value === 'object') return [`${name}-${value.stream}:${value.milliseconds}`];
    return [typeof value === 'number' ? `${name}:${value}` : name];
  });
  return list.length === 0 ? undefined : list.join(',');
}
