/** What a whole process does: these start Node anew, with the built package. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** A copy of the built package inside this one, so that its imports resolve. */
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(import.meta.dirname, '../node_modules/.test-'));
  cpSync(join(import.meta.dirname, '../dist'), folder, { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));

const prelude = `
import { CpuBackend } from './backend.js';
import { createCpuBackend } from './index.js';
const probe = await createCpuBackend().probe();
const make = (threads) => new CpuBackend({ info: probe.devices[0], threads, inlineBelow: 0, sharedBelow: 0 });
const program = (name, body, units = 2) => ({
  name, source: () => name, bufferCount: 0, scalarCount: 0, scalarTypes: [], workspaceBytes: 0, scratchBytes: 0,
  stages: [{ units, grain: 1, cost: 1e6, emit: body }],
});
const burn = (turns) => program('burn', (fn) => {
  const i = fn.local('i32');
  fn.loopRange(i, 0, turns, 1, () => {});
});
const dispatch = (program) => ({ kind: 'dispatch', program, buffers: [], scalars: [] });
`;

function run(script: string, environment: Record<string, string> = {}, ...flags: string[]) {
  const file = join(folder, 'script.mjs');
  writeFileSync(file, prelude + script);
  const result = spawnSync(process.execPath, [...flags, file], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { ...process.env, ...environment },
  });
  return { code: result.status, output: result.stdout.trim(), errors: result.stderr.trim() };
}

describe('a process', () => {
  it('waits for pending work, and then ends by itself', () => {
    const script = `
      const backend = make(2);
      await backend.submit([dispatch(burn(200_000_000))]).done;
      console.log('done');`;
    expect(run(script)).toEqual({ code: 0, output: 'done', errors: '' });
  });

  it('ends while workers are busy with work that nobody waits for', () => {
    const script = `
      const backend = make(2);
      backend.submit([dispatch(burn(2_000_000_000)), dispatch(burn(2_000_000_000))]);
      setTimeout(() => console.log('leaving'), 100);`;
    const start = performance.now();
    expect(run(script)).toEqual({ code: 0, output: 'leaving', errors: '' });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it('ends when it disposes of a busy device, and the waiting code hears of it', () => {
    const script = `
      const backend = make(2);
      const { done } = backend.submit([dispatch(burn(2_000_000_000))]);
      setTimeout(() => backend.dispose(), 50);
      await done.catch((error) => console.log(error.code));`;
    expect(run(script)).toEqual({ code: 0, output: 'TUTTI_DISPOSED', errors: '' });
  });

  it('reads synchronously before any worker has started', () => {
    const script = `
      const backend = make(2);
      const buffer = backend.allocate(4);
      backend.write(buffer, new Uint8Array([1, 2, 3, 4]));
      backend.submit([{ kind: 'copy', source: buffer, target: buffer, bytes: 4 }]);
      console.log(backend.readSync(buffer, 0, 4).join());`;
    expect(run(script)).toEqual({ code: 0, output: '1,2,3,4', errors: '' });
  });

  it('survives a trap: the error can be caught, and an unseen one does not end the process', () => {
    const script = `
      const backend = make(2);
      backend.submit([dispatch(program('boom', (fn) => fn.op('unreachable')))]);
      for (let i = 0; i < 1000; i++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        try { backend.submit([]); } catch (error) { console.log(error.code, error.op); break; }
      }`;
    expect(run(script)).toEqual({ code: 0, output: 'TUTTI_KERNEL boom', errors: '' });
  });

  it('releases the arguments of commands that are collected', () => {
    const script = `
      const backend = make(1);
      const buffer = backend.allocate(64);
      const reserved = backend.memory().reserved;
      for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 5000; i++) {
          const command = { kind: 'copy', source: buffer, target: buffer, bytes: 4 };
          for (let again = 0; again < 3; again++) backend.submit([command]);
        }
        globalThis.gc();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      console.log(backend.memory().reserved === reserved);`;
    expect(run(script, {}, '--expose-gc')).toEqual({ code: 0, output: 'true', errors: '' });
  });

  it('obeys TUTTI_THREADS and TUTTI_RELAXED', () => {
    const script = 'console.log(probe.devices[0].description)';
    const environment = { TUTTI_THREADS: '3', TUTTI_RELAXED: '0' };
    expect(run(script, environment).output).toMatch(/, 3 threads, SIMD$/);
    expect(run(script, { TUTTI_THREADS: 'many' }).errors).toMatch(/TUTTI_THREADS to a whole number/);
  });

  it('says once why it runs on one thread where memory cannot be shared', () => {
    const script = `
      for (let i = 0; i < 2; i++) {
        const backend = await createCpuBackend({ threads: 4 }).open(0);
        console.log(backend.info.description.includes('1 thread,'), backend.info.capabilities.syncRead);
        await backend.submit([dispatch(burn(10))]).done;
      }`;
    const file = join(folder, 'index.js');
    const index = readFileSync(file, 'utf8');
    writeFileSync(file, 'delete globalThis.SharedArrayBuffer;\n' + index);
    const { code, output, errors } = run(script);
    writeFileSync(file, index);
    expect({ code, output }).toEqual({ code: 0, output: 'true true\ntrue true' });
    expect(errors.match(/running on one thread/g)).toHaveLength(1);
    expect(errors).toMatch(/fix: .*Cross-Origin-Opener-Policy/);
  });

  it('listens for messages where Atomics.waitAsync is missing', () => {
    const script = `
      delete Atomics.waitAsync;
      const backend = make(2);
      const buffer = backend.allocate(4);
      backend.write(buffer, new Uint8Array([1, 2, 3, 4]));
      const copy = { kind: 'copy', source: buffer, target: buffer, bytes: 4 };
      for (let i = 0; i < 500; i++) {
        backend.submit([copy, copy]);
        if (i % 3 === 0) await backend.read(buffer, 0, 4);
      }
      console.log((await backend.read(buffer, 0, 4)).join());
      await backend.submit([dispatch(program('boom', (fn) => fn.op('unreachable')))]).done.catch((e) => console.log(e.op));`;
    expect(run(script)).toEqual({ code: 0, output: '1,2,3,4\nboom', errors: '' });
  });

  it('goes on with one thread, and says so, when the worker file is missing', () => {
    rmSync(join(folder, 'worker.js'));
    const script = `
      const backend = make(2);
      const buffer = backend.allocate(4);
      backend.write(buffer, new Uint8Array([1, 2, 3, 4]));
      for (let i = 0; i < 3; i++) await backend.submit([{ kind: 'copy', source: buffer, target: buffer, bytes: 4 }]).done;
      console.log((await backend.read(buffer, 0, 4)).join());`;
    const { code, output, errors } = run(script);
    expect({ code, output }).toEqual({ code: 0, output: '1,2,3,4' });
    expect(errors).toMatch(/could not start.*running on one thread/s);
  });
});
