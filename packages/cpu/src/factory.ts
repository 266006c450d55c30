import {
  ArgumentError,
  type Backend,
  type BackendFactory,
  BackendUnavailableError,
  type Capabilities,
  type DeviceInfo,
  defaultCapabilities,
  type ProbeResult,
} from '@tutti/core/backend';
import { CpuBackend } from './backend.ts';
import { features } from './runtime/features.ts';
import { environment, hardwareThreads, notice, processorName } from './runtime/host.ts';

export interface CpuOptions {
  /**
   * Threads that compute. Default: the variable `TUTTI_THREADS`, or else every hardware thread. 1 uses no worker
   * threads: then a submission runs before `submit` returns.
   */
  readonly threads?: number;
}

const capabilities: Capabilities = {
  ...defaultCapabilities,
  buffersPerKernel: 64,
  // Byte offsets inside a buffer stay below 2^31, so that index arithmetic may be signed.
  bytesPerBuffer: 2 ** 31 - 65536,
  rowPrograms: true,
  multipleOutputs: true,
  scatterStores: true,
  parallelism: 16,
  reduceSplit: 1 << 17,
  syncRead: true,
  timing: true,
};

const noSimd = {
  available: false,
  reason: 'this WebAssembly engine has no 128-bit SIMD',
  fix: 'use Node 20 or later, or a browser from 2023 or later',
} as const;

/** Makes a factory with settings of its own. */
export function createCpuBackend(options: CpuOptions = {}): BackendFactory {
  return {
    name: 'cpu',
    priority: 10,
    async probe(): Promise<ProbeResult> {
      if (!features.simd) return noSimd;
      return { available: true, devices: [describe(threadCount(options))] };
    },
    async open(index: number): Promise<Backend> {
      if (!features.simd) throw new BackendUnavailableError(noSimd.reason, { fix: noSimd.fix });
      if (index !== 0) {
        throw new BackendUnavailableError(`there is no device cpu:${index}`, { fix: "use 'cpu' or 'cpu:0'" });
      }
      const threads = threadCount(options);
      if (!features.threads && wishedThreads(options) > 1) notice(noThreads);
      return new CpuBackend({ info: describe(threads), threads });
    },
  };
}

/** The CPU as a backend, with the settings of the environment. */
export const cpu: BackendFactory = createCpuBackend();

const noThreads =
  'running on one thread, because this page may not share memory between threads.\n' +
  '  fix: serve it with the headers Cross-Origin-Opener-Policy: same-origin and ' +
  'Cross-Origin-Embedder-Policy: require-corp (in Node: use version 20.16 or later)';

function wishedThreads(options: CpuOptions): number {
  const text = environment('TUTTI_THREADS');
  const wish = options.threads ?? (text ? Number(text) : hardwareThreads());
  if (!Number.isInteger(wish) || wish < 1 || wish > 1024) {
    throw new ArgumentError(`${wish} is not a number of threads`, {
      received: options.threads ?? text,
      fix: 'set the option `threads` or the variable TUTTI_THREADS to a whole number from 1',
    });
  }
  return wish;
}

const threadCount = (options: CpuOptions): number => (features.threads ? wishedThreads(options) : 1);

function describe(threads: number): DeviceInfo {
  const simd = features.relaxedMadd ? 'SIMD with relaxed FMA' : 'SIMD';
  return {
    description: `${processorName()}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${simd}`,
    emulated: false,
    capabilities,
  };
}
