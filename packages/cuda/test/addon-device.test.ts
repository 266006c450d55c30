import { describe, expect, it } from 'vitest';
import { interfaceVersion } from '../src/native/binding.ts';
import {
  binding,
  bytesOf,
  Commands,
  compiled,
  compilerPath,
  driverPath,
  floatsOf,
  functionOf,
  intsOf,
  openDevice,
  openDriver,
  saxpy,
  shared,
  submit,
} from './support/addon.ts';

const iota = (length: number, factor = 1): Float32Array =>
  Float32Array.from({ length }, (_, i) => i * factor);

describe('the binding', () => {
  it('has the version that the TypeScript side needs', () => {
    expect(binding.interfaceVersion).toBe(interfaceVersion);
  });

  it('gives one driver for one path, which says that it emulates', () => {
    const driver = openDriver();
    expect(binding.openDriver(driverPath)).toBe(driver);
    expect(driver.emulated).toBe(true);
    expect(driver.version).toBeGreaterThanOrEqual(12_000);
    expect(driver.deviceCount()).toBe(1);
  });

  it('describes a device', () => {
    const description = openDriver().describe(0);
    expect(description).toMatchObject({ computeCapability: 90, maxThreadsPerBlock: 1024, memoryPools: true });
    expect(description.name).not.toBe('');
    expect(description.uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(description.totalBytes).toBeGreaterThan(0);
    expect(description.maxSharedBytesPerBlock).toBeGreaterThanOrEqual(description.sharedBytesPerBlock);
  });

  it('refuses a device that does not exist, and wrong arguments', () => {
    const driver = openDriver();
    expect(() => driver.describe(7)).toThrow(
      expect.objectContaining({ code: 'CUDA_ERROR_INVALID_DEVICE', call: 'cuDeviceGet', status: 101 }),
    );
    expect(() => driver.open(7, { stagingBytes: 1 << 20 })).toThrow(/CUDA_ERROR_INVALID_DEVICE/);
    const wrong = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    for (const index of [-1, 0.5, Number.NaN, '0', undefined, {}]) {
      expect(() => driver.describe(index as number)).toThrow(wrong);
    }
    for (const stagingBytes of [0, 100, 2 ** 40, undefined]) {
      expect(() => driver.open(0, { stagingBytes: stagingBytes as number })).toThrow(wrong);
    }
    expect(() => driver.open(0, undefined as never)).toThrow(wrong);
    expect(() => binding.openDriver(undefined as never)).toThrow(wrong);
  });

  it('does not let classes be made from outside', () => {
    for (const object of [openDriver(), openDevice(), binding.openCompiler(compilerPath)]) {
      expect(() => new (object.constructor as new () => unknown)()).toThrow(/made by the addon alone/);
    }
  });
});

describe('the compiler', () => {
  const compiler = binding.openCompiler(compilerPath);
  const options = ['--gpu-architecture=sm_90'];

  it('tells its version and architectures', () => {
    expect(compiler.version[0]).toBeGreaterThanOrEqual(12);
    expect(compiler.architectures).toEqual(expect.arrayContaining([75, 80, 90]));
  });

  it('gives an image, several at once', async () => {
    const texts = [0, 1, 2, 3, 4].map((n) => `extern "C" __global__ void k${n}(int* a) { a[0] = ${n}; }`);
    const results = await Promise.all(texts.map((text) => compiler.compile(text, 'k.cu', options)));
    for (const { image, log } of results) {
      expect([...image.subarray(0, 4)]).toEqual([0x7f, 0x45, 0x4c, 0x46]);
      expect(log).toBeTypeOf('string');
    }
  });

  it('rejects a text that does not compile, with the log', async () => {
    const failure = compiler.compile('extern "C" __global__ void k() { nonsense }', 'k.cu', options);
    await expect(failure).rejects.toMatchObject({
      code: 'NVRTC_ERROR_COMPILATION',
      call: 'nvrtcCompileProgram',
      log: expect.stringContaining('nonsense'),
    });
  });

  it('refuses wrong arguments', () => {
    expect(() => compiler.compile(1 as never, 'k.cu', [])).toThrow(/source: not a string/);
    expect(() => compiler.compile('', 'k.cu', [1] as never)).toThrow(/options: not a string/);
    expect(() => compiler.compile('', 'k.cu', 'x' as never)).toThrow(/options: not an array/);
  });
});

describe('memory', () => {
  it('counts what is live', () => {
    const device = openDevice();
    const [a, b] = [device.allocate(1000), device.allocate(3)];
    expect(a % 256).toBe(0);
    expect(b % 256).toBe(0);
    expect(device.statistics()).toMatchObject({ allocations: 2, bytes: 1003 });
    device.free(a);
    expect(device.statistics()).toMatchObject({ allocations: 1, bytes: 3 });
    expect(() => device.free(a)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => device.free(b + 1)).toThrow(/no allocation begins/);
    device.trim();
    const { free, total } = device.memoryInfo();
    expect(total).toBeGreaterThan(0);
    expect(free).toBeLessThanOrEqual(total);
    expect(() => device.allocate(0)).toThrow(/no bytes/);
    expect(() => device.allocate(2 ** 50)).toThrow(
      expect.objectContaining({ code: 'CUDA_ERROR_OUT_OF_MEMORY' }),
    );
  });

  it.each([1, 4096, 262_145, 3_000_001])('reads what was written, %i bytes', async (bytes) => {
    const device = openDevice();
    const address = device.allocate(bytes);
    const data = Uint8Array.from({ length: bytes }, (_, i) => (i * 7 + (i >> 9)) & 255);
    for (const idle of [true, false]) {
      device.write(address, data, idle);
      expect(Buffer.compare(await device.read(address, bytes), data)).toBe(0);
      data[0]! ^= 255;
    }
    data[0] = 77;
    device.write(address, data, true);
    data.fill(0);
    expect(device.readSync(address, 1)[0]).toBe(77);
  });

  it('reads large results in pieces, and parts of a buffer', async () => {
    const device = openDevice();
    const bytes = 9_500_000;
    const data = Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 11)) & 255);
    const address = device.allocate(bytes);
    device.write(address, data, true);
    expect(Buffer.compare(device.readSync(address, bytes), data)).toBe(0);
    expect([...(await device.read(address + 4_000_001, 3))]).toEqual([
      ...data.subarray(4_000_001, 4_000_004),
    ]);
    expect(await device.read(address, 0)).toHaveLength(0);
    expect(device.readSync(address, 0)).toHaveLength(0);
  });

  it('refuses ranges that are not within one allocation', () => {
    const device = openDevice();
    const address = device.allocate(100);
    const wrong = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
    expect(() => device.write(address + 1, new Uint8Array(100), false)).toThrow(wrong);
    expect(() => device.write(0, new Uint8Array(1), true)).toThrow(wrong);
    expect(() => device.readSync(address, 101)).toThrow(wrong);
    expect(() => device.read(address, 2 ** 50)).toThrow(wrong);
    expect(() => device.readSync(address - 1, 1)).toThrow(wrong);
    expect(() => device.readSync(2 ** 53, 1)).toThrow(wrong);
    expect(() => device.write(address, new Float32Array(2) as never, false)).toThrow(/not a Uint8Array/);
    expect(() => device.write(address, 'x' as never, false)).toThrow(wrong);
  });

  it('tells uploads that go beside the work from those that wait for it', () => {
    const device = openDevice();
    const address = device.allocate(64);
    device.write(address, new Uint8Array(64), true);
    device.write(address, new Uint8Array(64), false);
    device.write(address, new Uint8Array(0), false);
    expect(device.statistics()).toMatchObject({ overlappedWrites: 1, orderedWrites: 1 });
  });
});

describe('work', () => {
  const n = 1000;

  async function start() {
    const device = openDevice();
    const fn = await functionOf(device, saxpy, 'saxpy');
    const [x, y] = [device.allocate(n * 4), device.allocate(n * 4)];
    device.write(x, bytesOf(iota(n)), true);
    device.write(y, bytesOf(iota(n, 10)), true);
    const run = new Commands().launch(fn, Math.ceil(n / 128), 128, [
      { address: x },
      { address: y },
      { float: 2 },
      { int: n },
    ]);
    return { device, fn, x, y, run };
  }

  it('launches and copies in order', async () => {
    const { device, x, y, run } = await start();
    const z = device.allocate(n * 4);
    submit(device, run.copy(z, y, n * 4).copy(x, y, 8));
    expect(floatsOf(await device.read(z, n * 4))).toEqual(iota(n, 12));
    expect([...floatsOf(device.readSync(x, 12))]).toEqual([0, 12, 2]);
    await device.passed();
  });

  it('sees uploads from either stream in the order of the calls', async () => {
    const { device, x, y, run } = await start();
    submit(device, run);
    device.write(x, bytesOf(iota(n, 100)), false);
    submit(device, run);
    device.write(y, bytesOf(Float32Array.of(7)), false);
    const after = floatsOf(await device.read(y, n * 4));
    expect(after[0]).toBe(7);
    expect(after[1]).toBe(10 + 2 + 200);
  });

  it('writes to memory that was allocated just before', async () => {
    const { device, run } = await start();
    submit(device, run);
    const fresh = Array.from({ length: 20 }, () => device.allocate(4096));
    for (const [i, address] of fresh.entries()) device.write(address, new Uint8Array(4096).fill(i), true);
    for (const [i, address] of fresh.entries()) {
      expect(device.readSync(address, 4096).every((byte) => byte === i)).toBe(true);
    }
  });

  it('frees behind the work that uses it', async () => {
    const { device, x, y, run } = await start();
    const z = device.allocate(n * 4);
    submit(device, run.copy(z, y, n * 4));
    for (const each of [x, y]) device.free(each);
    const [again, more] = [device.allocate(n * 4), device.allocate(n * 4)];
    for (const each of [again, more]) device.write(each, new Uint8Array(n * 4), true);
    expect(floatsOf(await device.read(z, n * 4))).toEqual(iota(n, 12));
  });

  it('captures a graph without running it, and runs it as often as asked', async () => {
    const { device, y, run } = await start();
    const { words } = run;
    const graph = device.capture(words, words.length);
    words.fill(0);
    expect(floatsOf(device.readSync(y, 8))[1]).toBe(10);
    for (let i = 0; i < 3; i++) device.launchGraph(graph);
    expect(floatsOf(await device.read(y, 8))[1]).toBe(16);
    expect(device.statistics().graphs).toBe(1);
    device.releaseGraph(graph);
    expect(device.statistics().graphs).toBe(0);
    expect(() => device.launchGraph(graph)).toThrow(/there is no graph/);
    expect(() => device.releaseGraph(graph)).toThrow(/there is no graph/);
  });

  it('gives the milliseconds between marks', async () => {
    const { device, y, run } = await start();
    const timed = new Commands().mark();
    const { words } = run;
    const all = Uint32Array.from([...timed.words, ...words, ...timed.words, ...timed.words]);
    const times = await device.time(all, all.length);
    expect(times).toBeInstanceOf(Float64Array);
    expect(times).toHaveLength(2);
    for (const each of times) expect(each).toBeGreaterThanOrEqual(0);
    expect(floatsOf(device.readSync(y, 8))[1]).toBe(12);
    expect(await device.time(words, words.length)).toHaveLength(0);
  });

  it('uses dynamic shared memory up to what the function was asked for with', async () => {
    const device = openDevice();
    const module = device.loadModule(await compiled(shared));
    const fn = device.getFunction(module, 'shared_sum', 512);
    const out = device.allocate(8);
    submit(device, new Commands().launch(fn, 2, 128, [{ address: out }], 512));
    expect([...intsOf(await device.read(out, 8))]).toEqual([8128, 8128]);
    const more = new Commands().launch(fn, 2, 256, [{ address: out }], 1024);
    expect(() => submit(device, more)).toThrow(/1024 bytes of dynamic shared memory/);
    expect(device.getFunction(module, 'shared_sum', 100_000)).toBe(fn);
    submit(device, more);
    expect([...intsOf(await device.read(out, 8))]).toEqual([32640, 32640]);
    expect(device.functionInfo(fn).maxThreadsPerBlock).toBeGreaterThan(0);
  });

  it('keeps the code of an unloaded module for the graphs that run it', async () => {
    const device = openDevice();
    const module = device.loadModule(await compiled(saxpy));
    const fn = device.getFunction(module, 'saxpy', 0);
    const x = device.allocate(256);
    const run = new Commands().launch(fn, 1, 32, [{ address: x }, { address: x }, { float: 1 }, { int: 32 }]);
    device.write(x, bytesOf(new Float32Array(32).fill(1)), true);
    const graph = device.capture(run.words, run.words.length);
    device.launchGraph(graph);
    device.unloadModule(module);
    expect(device.statistics().modules).toBe(0);
    expect(() => submit(device, run)).toThrow(/there is no function/);
    expect(() => device.functionInfo(fn)).toThrow(/there is no function/);
    expect(() => device.unloadModule(module)).toThrow(/there is no module/);
    expect(() => device.getFunction(module, 'saxpy', 0)).toThrow(/there is no module/);
    device.launchGraph(graph);
    device.releaseGraph(graph);
    expect(floatsOf(await device.read(x, 4))[0]).toBe(4);
  });

  it('refuses images that are not whole, and names that a module has not', async () => {
    const device = openDevice();
    const image = await compiled(saxpy);
    for (const wrong of [new Uint8Array(0), new Uint8Array(1000), image.subarray(0, image.length >> 1)]) {
      expect(() => device.loadModule(wrong)).toThrow(/not a whole CUBIN/);
    }
    const unaligned = new Uint8Array(image.length + 1);
    unaligned.set(image, 1);
    const module = device.loadModule(unaligned.subarray(1));
    expect(() => device.getFunction(module, 'missing', 0)).toThrow(
      expect.objectContaining({ code: 'CUDA_ERROR_NOT_FOUND' }),
    );
  });
});

describe('closing', () => {
  it('rejects what is pending, and everything after it', async () => {
    const device = openDevice();
    const address = device.allocate(1 << 20);
    device.write(address, new Uint8Array(1 << 20), true);
    const words = new Commands().mark().words;
    const pending = [device.passed(), device.read(address, 1 << 20), device.time(words, words.length)];
    device.close();
    for (const each of await Promise.allSettled(pending)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'DISPOSED' } });
    }
    device.close();
    const disposed = expect.objectContaining({ code: 'DISPOSED' });
    expect(() => device.allocate(4)).toThrow(disposed);
    expect(() => device.passed()).toThrow(disposed);
    expect(() => device.submit(words, 0)).toThrow(disposed);
  });

  it('releases everything', async () => {
    const device = openDevice();
    const fn = await functionOf(device, saxpy, 'saxpy');
    const x = device.allocate(4096);
    const run = new Commands().launch(fn, 1, 32, [{ address: x }, { address: x }, { float: 1 }, { int: 32 }]);
    device.capture(run.words, run.words.length);
    submit(device, run);
    await device.read(x, 4096);
    expect(device.statistics()).toMatchObject({ allocations: 1, modules: 1, graphs: 1 });
    expect(device.statistics().pinnedBytes).toBeGreaterThan(0);
    device.close();
    expect(device.statistics()).toEqual({
      allocations: 0,
      bytes: 0,
      pinnedBytes: 0,
      modules: 0,
      graphs: 0,
      products: 0,
      overlappedWrites: 0,
      orderedWrites: 0,
    });
  });

  it('leaves other devices of the process alone', async () => {
    const [first, second] = [openDevice(), openDevice()];
    const address = second.allocate(4);
    second.write(address, Uint8Array.of(1, 2, 3, 4), true);
    first.close();
    expect([...(await second.read(address, 4))]).toEqual([1, 2, 3, 4]);
  });
});
