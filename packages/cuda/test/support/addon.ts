/** The built addon on the emulated driver and compiler. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cudaEmulator, type EmulatorSettings, emulatorEnvironment } from '@tutti/cuda-emulator';
import { afterEach } from 'vitest';
import { type Binding, commandCode, type Driver, type NativeDevice } from '../../src/native/binding.ts';

/** Another build may be named: the one with AddressSanitizer. */
export const addonPath: string =
  process.env['TUTTI_CUDA_ADDON'] || join(import.meta.dirname, '../../build/tutti_cuda.node');

const emulator = cudaEmulator();
if ('missing' in emulator) throw new Error(`the addon is tested on the emulator: ${emulator.missing}`);
export const driverPath: string = emulator.driver;
export const compilerPath: string = emulator.compiler;
export const blasPath: string = emulator.blas!;

export const binding: Binding = createRequire(import.meta.url)(addonPath) as Binding;
export const openDriver = (): Driver => binding.openDriver(driverPath);

const open: NativeDevice[] = [];
afterEach(() => {
  for (const device of open.splice(0)) device.close();
});

/** Closed after the test. */
export function openDevice(stagingBytes: number = 1 << 20, blas?: string): NativeDevice {
  const device = openDriver().open(0, { stagingBytes, blas });
  open.push(device);
  return device;
}

const compiler = binding.openCompiler(compilerPath);
const images = new Map<string, Promise<Uint8Array>>();

/** Machine code for a text, compiled once. */
export function compiled(code: string): Promise<Uint8Array> {
  let image = images.get(code);
  if (!image) {
    image = compiler
      .compile(code, 'test.cu', ['--gpu-architecture=sm_90', '--std=c++17', '-fmad=false'])
      .then((result) => result.image);
    images.set(code, image);
  }
  return image;
}

/** Puts a text's function on a device. */
export async function functionOf(
  device: NativeDevice,
  code: string,
  entry: string,
  sharedBytes = 0,
): Promise<number> {
  return device.getFunction(device.loadModule(await compiled(code)), entry, sharedBytes);
}

/** `y[i] = a * x[i] + y[i]`: parameters x, y, a, n. */
export const saxpy = `extern "C" __global__ void saxpy(const float* x, float* y, float a, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = a * x[i] + y[i];
}`;

/** Stores the sum of what its threads put into dynamic shared memory: parameters out. */
export const shared = `extern "C" __global__ void shared_sum(int* out) {
  extern __shared__ unsigned char bytes[];
  int* values = (int*)bytes;
  values[threadIdx.x] = threadIdx.x;
  __syncthreads();
  if (threadIdx.x != 0) return;
  int sum = 0;
  for (int i = 0; i < (int)blockDim.x; i++) sum += values[i];
  out[blockIdx.x] = sum;
}`;

type Parameter = { readonly address: number } | { readonly float: number } | { readonly int: number };

/** Encodes commands. */
export class Commands {
  readonly #words: number[] = [];

  launch(
    fn: number,
    grid: number,
    block: number,
    parameters: readonly Parameter[],
    sharedBytes: number = 0,
  ): this {
    const packed = pack(parameters);
    this.#words.push(commandCode.launch, 11 + packed.length, fn, grid, 1, 1, block, 1, 1, sharedBytes);
    this.#words.push(packed.length * 4, ...packed);
    return this;
  }

  copy(target: number, source: number, bytes: number): this {
    this.#words.push(commandCode.copy, 8, ...long(target), ...long(source), ...long(bytes));
    return this;
  }

  product(
    id: number,
    addresses: readonly [lhs: number, rhs: number, result: number, bias: number, workspace: number],
  ): this {
    this.#words.push(commandCode.product, 13, id, ...addresses.flatMap(long));
    return this;
  }

  mark(): this {
    this.#words.push(commandCode.mark, 2);
    return this;
  }

  get words(): Uint32Array {
    return Uint32Array.from(this.#words);
  }
}

function pack(parameters: readonly Parameter[]): number[] {
  const words: number[] = [];
  for (const parameter of parameters) {
    if ('address' in parameter) {
      if (words.length % 2 === 1) words.push(0);
      words.push(...long(parameter.address));
    } else if ('float' in parameter) {
      words.push(new Uint32Array(Float32Array.of(parameter.float).buffer)[0]!);
    } else {
      words.push(parameter.int >>> 0);
    }
  }
  return words;
}

export const long = (value: number): [number, number] => [value % 2 ** 32, Math.floor(value / 2 ** 32)];

export const bytesOf = (array: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(array.buffer.slice(0));
export const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);
export const intsOf = (bytes: Uint8Array): Int32Array => new Int32Array(bytes.slice().buffer);

/** Runs the commands and waits. */
export function submit(device: NativeDevice, commands: Commands): void {
  const { words } = commands;
  device.submit(words, words.length);
}

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** What scripts in processes of their own begin with. */
const prelude = `
const { workerData, parentPort, Worker, isMainThread } = require('node:worker_threads');
const binding = require(${JSON.stringify(addonPath)});
const driver = (path = ${JSON.stringify(driverPath)}) => binding.openDriver(path);
const compiler = () => binding.openCompiler(${JSON.stringify(compilerPath)});
const options = ['--gpu-architecture=sm_90', '--std=c++17', '-fmad=false'];
const saxpy = ${JSON.stringify(saxpy)};
const long = (value) => [value % 2 ** 32, Math.floor(value / 2 ** 32)];
const one = new Uint32Array(Float32Array.of(1).buffer)[0];
const saxpyWords = (fn, x, y, n) =>
  Uint32Array.of(0, 17, fn, Math.ceil(n / 32), 1, 1, 32, 1, 1, 0, 24, ...long(x), ...long(y), one, n);
const codeOf = (body) => {
  try {
    body();
    return 'ok';
  } catch (error) {
    return error.code;
  }
};
`;

/**
 * Runs a script in a Node of its own. What it throws ends it. What is left of a device when its last user has gone is reported among the
 * errors.
 */
export function runScript(
  script: string,
  settings: EmulatorSettings = {},
  flags: readonly string[] = [],
): Outcome {
  const result = spawnSync(process.execPath, [...flags, '-e', `${prelude}(async () => {${script}\n})();`], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...emulatorEnvironment({ leaks: true, ...settings }) },
  });
  const { status: code, signal, stdout, stderr } = result;
  return { code, signal, output: stdout.trim(), errors: stderr.trim() };
}
