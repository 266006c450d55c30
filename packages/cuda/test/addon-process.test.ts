/** What a whole process does: garbage, worker threads, the end. Each test starts a Node of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmulatorSettings } from '@tutti/cuda-emulator';
import { afterAll, describe, expect, it } from 'vitest';
import { addonPath, compilerPath, driverPath, runScript, saxpy } from './support/addon.ts';

const folder = mkdtempSync(join(tmpdir(), 'tutti-cuda-process-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A device with saxpy on it: `y += x`, where x is all ones. */
const start = `
  const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
  const prepare = () => {
    const device = driver().open(0, { stagingBytes: 1 << 16 });
    const [x, y] = [device.allocate(128), device.allocate(128)];
    device.write(x, new Uint8Array(new Float32Array(32).fill(1).buffer), true);
    device.write(y, new Uint8Array(128), true);
    const fn = device.getFunction(device.loadModule(image), 'saxpy', 0);
    return { device, x, y, words: saxpyWords(fn, x, y, 32) };
  };
  const value = (bytes) => new Float32Array(bytes.buffer, bytes.byteOffset, 1)[0];
`;
const slow = (milliseconds: number): EmulatorSettings => ({ faults: { slow: milliseconds } });

describe('much work', () => {
  it('of 10,000 launches, one by one and together', () => {
    const { code, output, errors } = runScript(`${start}
      const { device, y, words } = prepare();
      for (let i = 0; i < 10_000; i++) device.submit(words, words.length);
      const many = new Uint32Array(words.length * 100);
      for (let i = 0; i < 100; i++) many.set(words, i * words.length);
      for (let i = 0; i < 100; i++) device.submit(many, many.length);
      const graph = device.capture(many, many.length);
      for (let i = 0; i < 100; i++) device.launchGraph(graph);
      console.log(value(await device.read(y, 128)));
      device.close();
    `);
    expect({ code, output, errors }).toEqual({ code: 0, output: '30000', errors: '' });
  });

  it('of reads, writes and promises at once', () => {
    const { code, output } = runScript(`${start}
      const { device, y, words } = prepare();
      const seen = [];
      for (let i = 1; i <= 500; i++) {
        device.submit(words, words.length);
        seen.push(device.read(y, 4).then(value), device.passed());
        // Nothing touches the target any more once everything has passed.
        if (i % 5 === 0) await device.passed();
        device.write(y, new Uint8Array(Float32Array.of(i * 10).buffer), i % 5 === 0);
      }
      const values = (await Promise.all(seen)).filter((each) => each !== undefined);
      console.log(values.length, values.every((each, i) => each === i * 10 + 1));
      device.close();
    `);
    expect({ code, output }).toEqual({ code: 0, output: '500 true' });
  });
});

describe('several devices', () => {
  it('work at once in one thread, each with its own memory', () => {
    const { code, output, errors } = runScript(
      `
      const image = (await compiler().compile(saxpy, 'saxpy.cu', options)).image;
      console.log(driver().deviceCount(), driver().describe(0).uuid !== driver().describe(1).uuid);
      const all = [0, 1, 0].map((index) => {
        const device = driver().open(index, { stagingBytes: 1 << 16 });
        const [x, y] = [device.allocate(128), device.allocate(128)];
        device.write(x, new Uint8Array(new Float32Array(32).fill(1).buffer), true);
        device.write(y, new Uint8Array(128), true);
        const words = saxpyWords(device.getFunction(device.loadModule(image), 'saxpy', 0), x, y, 32);
        return { device, y, words, graph: device.capture(words, words.length) };
      });
      for (let i = 0; i < 20; i++) {
        for (const { device, words, graph } of all) {
          device.submit(words, words.length);
          device.launchGraph(graph);
        }
      }
      const reads = await Promise.all(all.map(({ device, y }) => device.read(y, 128)));
      console.log(reads.map((bytes) => new Float32Array(bytes.buffer)[31]).join());
      all[0].device.close();
      console.log(new Float32Array(all[2].device.readSync(all[2].y, 128).buffer)[0]);
      for (const { device } of all) device.close();
      `,
      // What is left is not counted by device.
      { devices: 2, leaks: false },
    );
    expect({ code, output, errors }).toEqual({ code: 0, output: '2 true\n40,40,40\n40', errors: '' });
  });
});

describe('garbage collection', () => {
  it('closes a device that nobody has any more', () => {
    const { code, output, errors } = runScript(
      `${start}
      const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
      const gone = [];
      for (let i = 0; i < 30; i++) {
        const { device, y, words } = prepare();
        gone.push(new WeakRef(device));
        device.submit(words, words.length);
        device.capture(words, words.length);
        if (i % 2) await device.read(y, 4);
        if (i % 3 === 0) device.close();
      }
      for (let i = 0; i < 5; i++) {
        await turn();
        global.gc();
      }
      console.log(gone.filter((each) => each.deref()).length);
      `,
      {},
      ['--expose-gc'],
    );
    // The last one may still be on the stack.
    expect({ code, errors, few: Number(output) <= 1 }).toEqual({ code: 0, errors: '', few: true });
  });

  it('leaves alone what a promise needs', () => {
    const { code, output } = runScript(
      `${start}
      const reads = [];
      for (let i = 0; i < 10; i++) {
        const { device, y, words } = prepare();
        device.submit(words, words.length);
        reads.push(device.read(y, 128));
        reads.push(compiler().compile(saxpy + '//' + i, 'saxpy.cu', options).then(() => undefined));
        global.gc();
      }
      for (let i = 0; i < 10; i++) {
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      const values = (await Promise.all(reads)).filter(Boolean).map(value);
      console.log(values.join(''));
      `,
      slow(2),
      ['--expose-gc'],
    );
    expect({ code, output }).toEqual({ code: 0, output: '1111111111' });
  });
});

describe('worker threads', () => {
  const worker = join(folder, 'worker.cjs');
  writeFileSync(
    worker,
    `
    const { workerData, parentPort } = require('node:worker_threads');
    const binding = require(${JSON.stringify(addonPath)});
    (async () => {
      const compiler = binding.openCompiler(${JSON.stringify(compilerPath)});
      const device = binding.openDriver(${JSON.stringify(driverPath)}).open(0, { stagingBytes: 1 << 16 });
      const address = device.allocate(100_000);
      const data = new Uint8Array(100_000).fill(workerData.index);
      let rounds = 0;
      while (workerData.rounds === undefined || rounds < workerData.rounds) {
        const work = [];
        for (let i = 0; i < 10; i++) {
          device.write(address, data, i % 2 === 0 && i > 0 ? false : i === 0);
          work.push(device.read(address, 100_000), device.passed());
        }
        if (rounds % 10 === 0) work.push(compiler.compile('extern "C" __global__ void k() {}', 'k.cu', ['--gpu-architecture=sm_90']));
        for (const each of await Promise.all(work)) {
          if (each instanceof Uint8Array && each.some((byte) => byte !== workerData.index)) throw new Error('wrong bytes');
        }
        if (rounds++ === 0) parentPort.postMessage('at work');
      }
      if (workerData.closes) device.close();
    })();
    `,
  );

  it('work at once, close or do not, and may be terminated in the middle', () => {
    const { code, output, errors } = runScript(`
      const start = (data) => {
        const worker = new Worker(${JSON.stringify(worker)}, { workerData: data });
        worker.on('error', (error) => console.log(error));
        return {
          worker,
          atWork: new Promise((resolve) => worker.on('message', resolve)),
          end: new Promise((resolve) => worker.on('exit', resolve)),
        };
      };
      for (let round = 0; round < 3; round++) {
        const four = [
          start({ index: 1, rounds: 20, closes: true }),
          start({ index: 2, rounds: 20 }),
          start({ index: 3 }),
          start({ index: 4, rounds: 20, closes: true }),
        ];
        await four[2].atWork;
        await new Promise((resolve) => setTimeout(resolve, 7 * round));
        four[2].worker.terminate();
        console.log(...(await Promise.all(four.map((each) => each.end))));
      }
      const device = driver().open(0, { stagingBytes: 1 << 16 });
      console.log(device.statistics().allocations);
    `);
    expect({ code, output, errors }).toEqual({ code: 0, output: '0 0 1 0\n0 0 1 0\n0 0 1 0\n0', errors: '' });
  });
});

describe('a worker', () => {
  const worker = join(folder, 'busy.cjs');
  writeFileSync(
    worker,
    `
    const binding = require(${JSON.stringify(addonPath)});
    const compiler = binding.openCompiler(${JSON.stringify(compilerPath)});
    const options = ['--gpu-architecture=sm_90'];
    const text = ${JSON.stringify(saxpy)};
    const long = (value) => [value % 2 ** 32, Math.floor(value / 2 ** 32)];
    const data = new Uint8Array(100_000);
    const work = async () => {
      const device = binding.openDriver(${JSON.stringify(driverPath)}).open(0, { stagingBytes: 1 << 16 });
      const { image } = await compiler.compile(text, 'saxpy.cu', options);
      const fn = device.getFunction(device.loadModule(image), 'saxpy', 0);
      const [x, y] = [device.allocate(100_000), device.allocate(100_000)];
      const words = Uint32Array.of(0, 17, fn, 100, 1, 1, 128, 1, 1, 0, 24, ...long(x), ...long(y), 0, 10_000);
      const timed = Uint32Array.of(2, 2, ...words, 2, 2);
      for (let round = 0; round < 10; round++) {
        const pending = [compiler.compile(text + '//' + round, 'saxpy.cu', options)];
        for (let i = 0; i < 10; i++) {
          device.write(x, data, i === 0);
          device.submit(words, words.length);
          pending.push(device.read(y, 100_000), device.passed(), device.time(timed, timed.length));
          const graph = device.capture(words, words.length);
          device.launchGraph(graph);
          device.releaseGraph(graph);
          try { device.submit(words, 5); } catch {}
        }
        await Promise.all(pending);
      }
      device.close();
      return work();
    };
    work();
    `,
  );

  it('may be terminated at any moment', () => {
    const { code, output, errors } = runScript(`
      const lane = async (shift) => {
        for (let at = shift; at < 240; at += 30) {
          const worker = new Worker(${JSON.stringify(worker)});
          worker.on('error', (error) => console.log(error));
          const end = new Promise((resolve) => worker.on('exit', resolve));
          await new Promise((resolve) => worker.on('online', resolve));
          await new Promise((resolve) => setTimeout(resolve, at));
          worker.terminate();
          await end;
        }
      };
      await Promise.all([lane(0), lane(7), lane(18)]);
      console.log('ended');
    `);
    expect({ code, output, errors }).toEqual({ code: 0, output: 'ended', errors: '' });
  });
});

describe('the end of a process', () => {
  it('comes by itself where nothing is pending, devices open or not', () => {
    const { code, output, signal } = runScript(`${start}
      const { device, words } = prepare();
      device.submit(words, words.length);
      await device.passed();
      console.log('last');
    `);
    expect({ code, output, signal }).toEqual({ code: 0, output: 'last', signal: null });
  });

  it('waits for what is pending', () => {
    const { code, output } = runScript(
      `${start}
      const { device, y, words } = prepare();
      device.submit(words, words.length);
      device.read(y, 4).then((bytes) => console.log(value(bytes)));
      compiler().compile(saxpy, 'saxpy.cu', options).then(() => console.log('compiled'));
      `,
      slow(20),
    );
    expect(code).toBe(0);
    expect(output.split('\n').sort()).toEqual(['1', 'compiled']);
  });

  it.each([
    ['process.exit(3)', 3],
    ["setTimeout(() => { throw new Error('planned') }, 1)", 1],
  ])('is orderly in the middle of work: %s', (ending, expected) => {
    const { code, signal } = runScript(
      `${start}
      const { device, y, words } = prepare();
      for (let i = 0; i < 5; i++) {
        device.submit(words, words.length);
        device.passed();
        device.read(y, 4);
        compiler().compile(saxpy + '//' + i, 'saxpy.cu', options);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
      ${ending};
      `,
      slow(10),
    );
    expect({ code, signal }).toEqual({ code: expected, signal: null });
  });
});

const valgrind = spawnSync('valgrind', ['--version'], { stdio: 'ignore' }).status === 0;
describe(`memory errors${valgrind ? '' : ' (not run: there is no valgrind on this machine)'}`, () => {
  it.skipIf(!valgrind)(
    'are none under valgrind',
    () => {
      const script = join(import.meta.dirname, '../scripts/valgrind.mjs');
      const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
      expect({ status, said: stdout + stderr }).toMatchObject({ status: 0 });
    },
    180_000,
  );
});
