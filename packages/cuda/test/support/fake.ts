/** An addon that does nothing and remembers what it was asked for: for what does not need a device. */
import { existsSync } from 'node:fs';
import {
  type Binding,
  type Blas,
  type CompiledImage,
  type Compiler,
  type DeviceDescription,
  type Driver,
  interfaceVersion,
  type NativeDevice,
} from '../../src/native/binding.ts';
import type { Surroundings } from '../../src/runtime/host.ts';

export function nativeError(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

export const turing: DeviceDescription = {
  name: 'Fake T4',
  computeCapability: 75,
  totalBytes: 16 * 2 ** 30,
  multiprocessors: 40,
  maxThreadsPerBlock: 1024,
  sharedBytesPerBlock: 48 * 1024,
  maxSharedBytesPerBlock: 64 * 1024,
  sharedBytesPerMultiprocessor: 64 * 1024,
  registersPerMultiprocessor: 65536,
  l2Bytes: 4 * 2 ** 20,
  memoryPools: true,
  uuid: '00000000-0000-0000-0000-000000000000',
};

export const driverOf = (
  rest: Partial<Driver> = {},
  devices: readonly DeviceDescription[] = [turing],
): Driver => ({
  version: 13000,
  emulated: false,
  deviceCount: () => devices.length,
  describe: (index) => devices[index]!,
  open: () => fakeDevice().native,
  ...rest,
});

const imageOf = (source: string): CompiledImage => ({ image: Buffer.from(source), log: '' });

export const compilerOf = (rest: Partial<Compiler> = {}): Compiler => ({
  version: [13, 0],
  architectures: [75, 80, 86, 89, 90, 100, 120],
  compile: (source): Promise<CompiledImage> => Promise.resolve(imageOf(source)),
  compileSync: imageOf,
  ...rest,
});

/** Opens what is there by path, as a real one does; anything else is not found. */
export const bindingOf = (
  drivers: Readonly<Record<string, Driver | Error>>,
  compilers: Readonly<Record<string, Compiler | Error>> = {},
  libraries: Readonly<Record<string, Blas | Error>> = {},
): Binding => {
  const open = <T>(all: Readonly<Record<string, T | Error>>, path: string): T => {
    const found = all[path];
    if (found instanceof Error) throw found;
    if (!found)
      throw nativeError('LIBRARY_NOT_FOUND', `${path}: ${existsSync(path) ? 'no library' : 'no such file'}`);
    return found;
  };
  return {
    interfaceVersion,
    openDriver: (path) => open(drivers, path),
    openCompiler: (path) => open(compilers, path),
    openBlas: (path) => open(libraries, path),
  };
};

export const surroundings = (rest: Partial<Surroundings> = {}): Surroundings => ({
  platform: 'linux',
  environment: {},
  home: '/nowhere/home',
  root: '/nowhere',
  ...rest,
});

export interface FakeDevice {
  readonly native: NativeDevice;
  /** What was called, as text. */
  readonly calls: string[];
  /** Makes the next calls of a method fail. */
  fail(method: keyof NativeDevice, error: Error, times?: number): void;
  /** Lets everything that waits for the device go on. */
  pass(): Promise<void>;
  /** The words of the last call that had some. */
  words(): number[];
}

/** A device whose work is done when the test says so. */
export function fakeDevice(): FakeDevice {
  const calls: string[] = [];
  const failures = new Map<string, { error: Error; times: number }>();
  let waiting: (() => void)[] = [];
  let [address, graph] = [0x7f00_0000_0100, 0];
  let last: Uint32Array = new Uint32Array(0);
  const call = <T>(method: keyof NativeDevice, text: string, result: () => T): T => {
    const failure = failures.get(method);
    if (failure && failure.times-- > 0) throw failure.error;
    calls.push(text ? `${method} ${text}` : method);
    return result();
  };
  const later = <T>(value: T): Promise<T> => new Promise((resolve) => waiting.push(() => resolve(value)));
  const keep = (words: Uint32Array, length: number): void => {
    last = words.slice(0, length);
  };
  const native: NativeDevice = {
    allocate: (bytes) =>
      call('allocate', `${bytes}`, () => {
        address += Math.ceil(bytes / 256) * 256;
        return address - Math.ceil(bytes / 256) * 256;
      }),
    free: () => call('free', '', () => {}),
    trim: () => call('trim', '', () => {}),
    memoryInfo: () => ({ free: 2 ** 30, total: 16 * 2 ** 30 }),
    loadModule: () => call('loadModule', '', () => 7),
    unloadModule: () => {},
    getFunction: (_module, entry, shared) => call('getFunction', `${entry} ${shared}`, () => 9),
    functionInfo: () => ({ registers: 8, localBytes: 0, staticSharedBytes: 0, maxThreadsPerBlock: 1024 }),
    prepareProduct: () => call('prepareProduct', '', () => 5),
    releaseProduct: () => {},
    submit: (words, length) => call('submit', `${length}`, () => keep(words, length)),
    capture: (words, length) =>
      call('capture', `${length}`, () => {
        keep(words, length);
        return ++graph;
      }),
    launchGraph: (each) => call('launchGraph', `${each}`, () => {}),
    releaseGraph: (each) => call('releaseGraph', `${each}`, () => {}),
    time: (words, length) =>
      call('time', `${length}`, () => {
        keep(words, length);
        return later(Float64Array.of(1, 2));
      }),
    write: (_address, data, idle) =>
      call('write', `${data.byteLength} ${idle ? 'beside' : 'after'}`, () => {}),
    read: (_address, bytes) => call('read', `${bytes}`, () => later(new Uint8Array(bytes))),
    readSync: (_address, bytes) => call('readSync', `${bytes}`, () => new Uint8Array(bytes)),
    copyFrom: (_source, _address, _from, bytes) => call('copyFrom', `${bytes}`, () => {}),
    passed: () => call('passed', '', () => later(undefined)),
    statistics: () => {
      throw nativeError('CUDA_ERROR_NOT_SUPPORTED');
    },
    close: () => call('close', '', () => {}),
  };
  return {
    native,
    calls,
    fail: (method, error, times = 1) => failures.set(method, { error, times }),
    async pass() {
      const all = waiting;
      waiting = [];
      for (const go of all) go();
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
    words: () => [...last],
  };
}
