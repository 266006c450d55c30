/** What goes wrong in a driver: every fault gives its error and leaves nothing behind. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { binding, compilerPath, driverPath, runScript } from './support/addon.ts';

const folder = mkdtempSync(join(tmpdir(), 'tutti-cuda-addon-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A copy of a library in which a function has another name. */
function without(library: string, symbol: string): string {
  const bytes = readFileSync(library);
  const name = Buffer.from(`\0${symbol}\0`);
  let found = 0;
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
    bytes[at + 1] = 'X'.charCodeAt(0);
    found++;
  }
  expect(found).toBeGreaterThan(0);
  const path = join(folder, `${symbol}.so`);
  writeFileSync(path, bytes);
  return path;
}

describe('libraries', () => {
  it('that are missing or broken are not found', () => {
    const notFound = expect.objectContaining({ code: 'LIBRARY_NOT_FOUND', call: 'dlopen' });
    const broken = join(folder, 'broken.so');
    writeFileSync(broken, 'no library');
    for (const path of ['/nowhere/libcuda.so.1', 'libtutti-nowhere.so', broken]) {
      expect(() => binding.openDriver(path)).toThrow(notFound);
      expect(() => binding.openCompiler(path)).toThrow(notFound);
    }
    expect(() => binding.openDriver('/nowhere/libcuda.so.1')).toThrow(/\/nowhere\/libcuda\.so\.1/);
  });

  it('of another kind lack functions', () => {
    const missing = expect.objectContaining({ code: 'SYMBOL_NOT_FOUND' });
    expect(() => binding.openDriver(compilerPath)).toThrow(missing);
    expect(() => binding.openCompiler(driverPath)).toThrow(/has no function nvrtcVersion/);
  });

  it('that are too old tell their version, and no more', () => {
    const path = without(driverPath, 'cuGraphInstantiateWithFlags');
    const { output } = runScript(`
      const old = driver(${JSON.stringify(path)});
      console.log(old.version > 0, codeOf(() => old.deviceCount()), codeOf(() => old.describe(0)),
        codeOf(() => old.open(0, { stagingBytes: 1 << 20 })));
    `);
    expect(output).toBe('true SYMBOL_NOT_FOUND SYMBOL_NOT_FOUND SYMBOL_NOT_FOUND');
  });
});

describe('a driver', () => {
  it('without a device does not open', () => {
    const { output } = runScript('console.log(codeOf(() => driver()));', { faults: { noDevice: true } });
    expect(output).toBe('CUDA_ERROR_NO_DEVICE');
  });

  it('that does not start can be opened again', () => {
    const script = `
      console.log(codeOf(() => driver()));
      process.env.TUTTI_CUDA_EMULATOR_FAULTS = '';
      console.log(codeOf(() => driver()));
    `;
    expect(runScript(script, { faults: { init: 999 } }).output).toBe('CUDA_ERROR_UNKNOWN\nok');
  });
});

/** Everything that takes memory or makes something, each once. Prints the code of the first that fails. */
const everything = `
  const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
  let device;
  const settled = [];
  const failure = codeOf(() => {
    device = driver().open(0, { stagingBytes: 1 << 16 });
    const [x, y] = [device.allocate(4096), device.allocate(4096)];
    device.write(x, new Uint8Array(4096), true);
    device.write(y, new Uint8Array(4096), false);
    const fn = device.getFunction(device.loadModule(image), 'saxpy', 0);
    const words = saxpyWords(fn, x, y, 1024);
    device.submit(words, words.length);
    const graph = device.capture(words, words.length);
    device.launchGraph(graph);
    settled.push(device.read(y, 4096));
    settled.push(device.passed());
    device.readSync(x, 4096);
    device.free(x);
  });
  const ends = (await Promise.allSettled(settled)).map((each) => each.reason?.code ?? 'ok');
  device?.close();
`;

describe('out of memory', () => {
  it.each(['allocate', 'pinned'] as const)(
    'at each %s in turn is an error, after which the device works',
    (fault) => {
      const codes: string[] = [];
      for (let nth = 1; nth <= 8; nth++) {
        const { code, output, errors } = runScript(
          `${everything}
        process.env.TUTTI_CUDA_EMULATOR_FAULTS = '';
        const again = driver().open(0, { stagingBytes: 1 << 16 });
        const address = again.allocate(16);
        again.write(address, new Uint8Array(16).fill(5), true);
        const read = (await again.read(address, 16))[15];
        again.close();
        console.log(failure, ends.join(), read, device ? device.statistics().allocations : 0);`,
          { faults: { [fault]: nth } },
        );
        expect({ code, errors }).toEqual({ code: 0, errors: '' });
        const [failure, , read, left] = output.split(' ');
        expect([read, left]).toEqual(['5', '0']);
        codes.push(failure!);
        if (failure === 'ok') break;
      }
      // Every one that there is failed once, and then none was left to fail.
      expect(codes.length).toBeGreaterThan(1);
      expect(codes.pop()).toBe('ok');
      for (const each of codes) expect(each).toBe('CUDA_ERROR_OUT_OF_MEMORY');
    },
  );
});

describe('what a driver refuses', () => {
  it.each([
    [{ module: 1 }, 'CUDA_ERROR_INVALID_IMAGE'],
    [{ launch: 1 }, 'CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES'],
    [{ graph: 1 }, 'CUDA_ERROR_OUT_OF_MEMORY'],
    // The status that the context is refused with.
    [{ context: 2 }, 'CUDA_ERROR_OUT_OF_MEMORY'],
  ])('%j is an error, and nothing is left behind', (faults, expected) => {
    const { code, output, errors } = runScript(
      `${everything} console.log(failure, device?.statistics().allocations ?? 0);`,
      { faults },
    );
    expect({ code, errors, output }).toEqual({ code: 0, errors: '', output: `${expected} 0` });
  });

  it('at the making of each stream or event in turn leaves nothing behind', () => {
    const codes: string[] = [];
    for (let nth = 1; nth <= 20 && codes.at(-1) !== 'ok'; nth++) {
      const script = `${everything} console.log(failure, device?.statistics().allocations ?? 0);`;
      const { code, output, errors } = runScript(script, { faults: { create: nth } });
      expect({ code, errors }).toEqual({ code: 0, errors: '' });
      expect(output).toMatch(/ 0$/);
      codes.push(output.split(' ')[0]!);
    }
    expect(codes.length).toBeGreaterThan(5);
    expect(codes.pop()).toBe('ok');
    for (const each of codes) expect(each).toBe('CUDA_ERROR_OUT_OF_MEMORY');
  });
});

describe('a device without memory pools', () => {
  it('does the same', () => {
    const { code, output } = runScript(
      `${everything} console.log(failure, ends.join(), device.statistics().allocations);`,
      { faults: { noPools: true } },
    );
    expect({ code, output }).toEqual({ code: 0, output: 'ok ok,ok 0' });
  });
});

describe('an error that the driver does not recover from', () => {
  it.each([
    ['launchFailure', 'CUDA_ERROR_LAUNCH_FAILED'],
    ['illegalAddress', 'CUDA_ERROR_ILLEGAL_ADDRESS'],
  ])('rejects what is pending and everything later: %s', (fault, expected) => {
    const { code, output } = runScript(
      `
      const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
      const device = driver().open(0, { stagingBytes: 1 << 16 });
      const x = device.allocate(4096);
      const fn = device.getFunction(device.loadModule(image), 'saxpy', 0);
      const words = saxpyWords(fn, x, x, 1024);
      await device.passed();
      device.submit(words, words.length);
      // Which throws where the failure is known by then, and rejects where it is not.
      const attempt = async (body) => body();
      const pending = [
        attempt(() => device.passed()), attempt(() => device.read(x, 4)), attempt(() => device.time(Uint32Array.of(2, 2), 2)),
      ];
      const ends = (await Promise.allSettled(pending)).map((each) => each.reason?.code);
      const later = [
        () => device.allocate(16), () => device.free(x), () => device.passed(), () => device.readSync(x, 4),
        () => device.submit(words, words.length), () => device.write(x, new Uint8Array(4), true), () => device.trim(),
        () => device.loadModule(image), () => device.capture(words, words.length), () => device.memoryInfo(),
      ].map(codeOf);
      console.log([...new Set([...ends, ...later])].join());
      device.close();
      console.log(device.statistics().allocations, codeOf(() => device.passed()));
      `,
      { faults: { [fault]: 1 } },
    );
    expect({ code, output }).toEqual({ code: 0, output: `${expected}\n0 DISPOSED` });
  });

  it('rejects with it on closing, too', () => {
    const { output } = runScript(
      `
      const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
      const device = driver().open(0, { stagingBytes: 1 << 16 });
      const x = device.allocate(4096);
      const words = saxpyWords(device.getFunction(device.loadModule(image), 'saxpy', 0), x, x, 1024);
      device.submit(words, words.length);
      const attempt = async () => device.passed();
      const pending = [attempt(), attempt(), attempt()].map((each) => each.catch((error) => error.code));
      device.close();
      console.log(...(await Promise.all(pending)));
      `,
      { faults: { launchFailure: 1 } },
    );
    expect(output).toBe(Array(3).fill('CUDA_ERROR_LAUNCH_FAILED').join(' '));
  });
});

describe('a compiler', () => {
  it('that fails once works on', () => {
    const { output } = runScript(
      `
      const nvrtc = compiler();
      const ends = await Promise.allSettled([1, 2, 3].map((n) => nvrtc.compile(saxpy + '//' + n, 'saxpy.cu', options)));
      console.log(ends.filter((each) => each.status === 'fulfilled').length, ends.find((each) => each.reason).reason.code);
      `,
      { faults: { compile: 2 } },
    );
    expect(output).toBe('2 NVRTC_ERROR_COMPILATION');
  });
});
