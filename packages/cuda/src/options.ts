/** Settings of the backend: options of a program, and variables of the environment. */
import { ArgumentError } from '@tutti/core/backend';
import { checkOptions, closestName, describe as describeValue, type OptionNames } from '@tutti/core/interop';
import { usualFolder } from './compiler/cache.ts';
import { parseBytes, type Surroundings } from './runtime/host.ts';
import type { Named } from './runtime/system.ts';

export interface CudaOptions {
  /** The driver's library. Default: the variable `TUTTI_CUDA_DRIVER`, or else `libcuda.so.1` (`nvcuda.dll`). */
  readonly driver?: string;
  /** The compiler's library, NVRTC. Default: the variable `TUTTI_CUDA_NVRTC`, or else it is looked for. */
  readonly nvrtc?: string;
  /**
   * NVIDIA's library of matrix products, cuBLASLt: its path, or `off`. Default: the variable `TUTTI_CUDA_CUBLASLT`, or else it is looked
   * for, and done without where there is none.
   */
  readonly cublaslt?: string;
  /**
   * How exact float32 products are (matmul, convolution): `ieee`, or `tf32`, which rounds operands to 10 bits of mantissa and
   * is several times as fast on tensor cores, from compute capability 8.0 on. Default: the variable `TUTTI_CUDA_PRECISION`, or else `ieee`.
   */
  readonly precision?: 'ieee' | 'tf32';
  /** Plans that are run again and again become CUDA graphs: `auto`, the default, or `off`. */
  readonly graphs?: 'auto' | 'off';
  /**
   * The folder in which compiled kernels are kept for the next process, or `off`. Default: the variable `TUTTI_CUDA_CACHE`, or else
   * `tutti/cuda` in the user's folder for caches.
   */
  readonly cache?: string;
  /**
   * The most memory to take on a device, in bytes. Default: the variable `TUTTI_CUDA_MEMORY_LIMIT` (bytes, or `20GiB`), or else what there
   * is.
   */
  readonly memoryLimit?: number;
  /**
   * For tests: `driver` and `nvrtc` emulate a GPU on the processor. The backend is then called `cuda-emulated`, so that nobody takes it
   * for a GPU; without this, such a driver is refused.
   */
  readonly emulation?: boolean;
}

/** What the options and the environment come to. */
export interface Settings {
  readonly driver: Named | undefined;
  readonly nvrtc: Named | undefined;
  /** Undefined: it is looked for. */
  readonly cublaslt: Named | 'off' | undefined;
  readonly emulation: boolean;
  readonly tf32: boolean;
  readonly graphs: boolean;
  /** Undefined: compiled kernels are not kept. */
  readonly cacheFolder: string | undefined;
  readonly memoryLimit: number | undefined;
}

export const op = 'createCudaBackend';
const optionNames: OptionNames<CudaOptions> = {
  driver: true,
  nvrtc: true,
  cublaslt: true,
  precision: true,
  graphs: true,
  cache: true,
  memoryLimit: true,
  emulation: true,
};

/** @throws ArgumentError for options that do not exist or are not what they should be. */
export function checkCudaOptions(options: CudaOptions): void {
  checkOptions(op, options, optionNames);
  for (const name of ['driver', 'nvrtc', 'cublaslt', 'cache'] as const) {
    const value: unknown = options[name];
    if (value === undefined || (typeof value === 'string' && value !== '')) continue;
    throw refused(name, value, `pass a path${mayBeOff.has(name) ? " or 'off'" : ''}, or leave it out`);
  }
  const emulation: unknown = options.emulation;
  if (emulation !== undefined && typeof emulation !== 'boolean')
    throw refused('emulation', emulation, 'pass true or false');
  const { precision, graphs, memoryLimit } = options;
  if (![undefined, 'ieee', 'tf32'].includes(precision))
    throw refused('precision', precision, "pass 'ieee' or 'tf32'");
  if (![undefined, 'auto', 'off'].includes(graphs)) throw refused('graphs', graphs, "pass 'auto' or 'off'");
  if (memoryLimit !== undefined && !(Number.isInteger(memoryLimit) && memoryLimit > 0))
    throw refused('memoryLimit', memoryLimit, 'pass a whole number of bytes above 0');
  if (options.emulation && (options.driver === undefined || options.nvrtc === undefined)) {
    throw new ArgumentError(`${op}: an emulation needs its driver and its compiler`, {
      op,
      received: options,
      fix: 'pass the paths of both libraries: { emulation: true, driver, nvrtc }',
    });
  }
}

/** What follows `TUTTI_CUDA_` in the names of variables. */
const variableNames: readonly string[] = [
  ...['DRIVER', 'NVRTC', 'CUBLASLT', 'PRECISION', 'CACHE', 'MEMORY_LIMIT'],
  ...['ADDON', 'GLIBC'], // where the addon is, and for which C library it is packed
];

/** One sentence for each variable that is set and read by nobody. */
export function unknownVariables({ environment }: Surroundings): string[] {
  const prefix = 'TUTTI_CUDA_';
  return Object.keys(environment).flatMap((name) => {
    const rest = name.slice(prefix.length);
    // The emulator, which is a driver, reads variables of its own.
    if (!name.startsWith(prefix) || rest.startsWith('EMULATOR_') || variableNames.includes(rest)) return [];
    const meant = closestName(rest, variableNames);
    return [`there is no variable ${name}${meant === undefined ? '' : `: did you mean ${prefix}${meant}?`}`];
  });
}

const mayBeOff: ReadonlySet<string> = new Set(['cublaslt', 'cache']);

const refused = (name: string, value: unknown, fix: string): ArgumentError =>
  new ArgumentError(`${op}: ${name} is ${describeValue(value)}`, { op, received: value, fix });

/** @throws ArgumentError for a variable that says nothing that is known. */
export function settingsOf(options: CudaOptions, surroundings: Surroundings): Settings {
  const variable = (name: string): string | undefined => surroundings.environment[name] || undefined;
  const emulation = options.emulation ?? false;
  const named = (option: 'driver' | 'nvrtc' | 'cublaslt', name: string): Named | undefined => {
    const path = options[option];
    if (path !== undefined) return { path, by: `the option ${option}` };
    const set = variable(name);
    return set === undefined ? undefined : { path: set, by: name };
  };
  const cublaslt = named('cublaslt', 'TUTTI_CUDA_CUBLASLT');
  const cache = options.cache ?? variable('TUTTI_CUDA_CACHE');
  return {
    driver: named('driver', 'TUTTI_CUDA_DRIVER'),
    nvrtc: named('nvrtc', 'TUTTI_CUDA_NVRTC'),
    // What is found on a machine is made for GPUs.
    cublaslt: isOff(cublaslt?.path) || (emulation && !cublaslt) ? 'off' : cublaslt,
    emulation,
    tf32: (options.precision ?? precisionOf(variable('TUTTI_CUDA_PRECISION'))) === 'tf32',
    graphs: options.graphs !== 'off',
    // What an emulation compiles is of no use to anybody else.
    cacheFolder: isOff(cache) ? undefined : (cache ?? (emulation ? undefined : usualFolder(surroundings))),
    memoryLimit: options.memoryLimit ?? limitOf(variable('TUTTI_CUDA_MEMORY_LIMIT')),
  };
}

const isOff = (path: string | undefined): boolean => path?.toLowerCase() === 'off';

function precisionOf(text: string | undefined): CudaOptions['precision'] {
  const precision = text?.toLowerCase();
  if (precision === undefined || precision === 'ieee' || precision === 'tf32') return precision;
  throw refusedVariable('TUTTI_CUDA_PRECISION', text, 'set it to ieee or tf32, or leave it out');
}

function limitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const bytes = parseBytes(text);
  if (bytes) return bytes;
  const fix = 'set it to a number of bytes above 0, or to one like 512MiB or 20GiB, or leave it out';
  throw refusedVariable('TUTTI_CUDA_MEMORY_LIMIT', text, fix);
}

const refusedVariable = (name: string, received: string | undefined, fix: string): ArgumentError =>
  new ArgumentError(`${name} is ${describeValue(received)}`, { received, fix });
