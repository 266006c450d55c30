/** What a whole process does: these start Node anew, with the built package. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { driverEnvironment } from '@tutti/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const driver = await driverEnvironment();

/** Copies of the built package: one inside this one, where its imports resolve, and one beside which Dawn is missing. */
let [whole, bare] = ['', ''];
beforeAll(() => {
  whole = mkdtempSync(join(root, 'node_modules/.test-'));
  cpSync(join(root, 'dist'), whole, { recursive: true });
  bare = realpathSync(mkdtempSync(join(tmpdir(), 'tutti-webgpu-')));
  cpSync(join(root, 'dist'), bare, { recursive: true });
  mkdirSync(join(bare, 'node_modules/@tutti'), { recursive: true });
  symlinkSync(realpathSync(join(root, 'node_modules/@tutti/core')), join(bare, 'node_modules/@tutti/core'));
  for (const folder of [whole, bare]) writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
});
afterAll(() => {
  for (const folder of [whole, bare]) rmSync(folder, { recursive: true, force: true });
});

const prelude = `
import { createWebgpuBackend, webgpu } from './index.js';
const code = (n, turns) => \`@group(0) @binding(0) var<storage, read_write> a: array<i32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var x = a[id.x];
  for (var i = 0; i < \${turns}; i++) { x = x * 3 + 1; }
  a[id.x] = x;
}\`;
const program = (n, turns = 1) => ({
  name: 'burn', scalarTypes: [], workspaceBytes: 0, source: () => code(n, turns),
  stages: [{ code: code(n, turns), workgroups: [n / 64, 1, 1], bindings: [{ source: { kind: 'buffer', index: 0 }, access: 'readWrite' }] }],
});
const start = async (backend, n, turns) => {
  const loaded = backend.load(program(n, turns));
  await loaded.ready;
  const buffer = backend.allocate(n * 4);
  backend.write(buffer, new Uint8Array(n * 4));
  return { buffer, fence: backend.submit([{ kind: 'dispatch', program: loaded, buffers: [buffer], scalars: [] }]) };
};
`;

interface Result {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function run(script: string, environment: Record<string, string> = driver, folder = whole): Result {
  const file = join(folder, 'script.mjs');
  writeFileSync(file, prelude + script);
  const env = { ...process.env, ...environment };
  const result = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 25_000, env });
  return { code: result.status, output: result.stdout.trim(), errors: result.stderr.trim() };
}

describe('a process', () => {
  it('ends by itself when its work is done, with the device still open', () => {
    const script = `
      const backend = await webgpu.open(0);
      const { buffer, fence } = await start(backend, 64);
      await fence.done;
      console.log(new Int32Array((await backend.read(buffer, 0, 256)).buffer)[63]);`;
    expect(run(script)).toEqual({ code: 0, output: '1', errors: '' });
  });

  it('ends while the device is busy with work that nobody waits for', () => {
    const script = `
      const backend = await webgpu.open(0);
      await start(backend, 64, 2_000_000);
      console.log('leaving');`;
    expect(run(script)).toEqual({ code: 0, output: 'leaving', errors: '' });
  });

  it('ends after it disposed of a device, and can open another before', () => {
    const script = `
      for (let i = 0; i < 3; i++) {
        const backend = await webgpu.open(0);
        const { buffer, fence } = await start(backend, 64);
        console.log(new Int32Array((await backend.read(buffer, 0, 4)).buffer)[0]);
        backend.dispose();
      }`;
    expect(run(script)).toEqual({ code: 0, output: '1\n1\n1', errors: '' });
  });

  it('waits for a value that is being read', () => {
    const script = `
      const backend = await webgpu.open(0);
      const { buffer } = await start(backend, 64, 200_000);
      backend.read(buffer, 0, 4).then(() => console.log('read'));`;
    expect(run(script)).toEqual({ code: 0, output: 'read', errors: '' });
  });
});

describe('probing', () => {
  it('names the adapter, and says what is software', () => {
    const script = `
      const { available, devices: [{ description, emulated, capabilities }] } = await webgpu.probe();
      console.log(JSON.stringify({ available, description, emulated, capabilities }));`;
    const { description, emulated, capabilities } = JSON.parse(run(script).output);
    expect(description.length).toBeGreaterThan(5);
    expect(emulated).toBe(/, software/.test(description));
    expect(capabilities).toMatchObject({ rowPrograms: true, syncRead: false, timing: true });
    expect(capabilities.buffersPerKernel).toBeGreaterThanOrEqual(8);
    expect(capabilities.bytesPerBuffer).toBeGreaterThanOrEqual(128 * 1024 * 1024);

    const least = JSON.parse(run(script, { ...driver, TUTTI_WEBGPU_LIMITS: 'default' }).output);
    expect(least.capabilities).toMatchObject({ buffersPerKernel: 8, bytesPerBuffer: 128 * 1024 * 1024 });
    expect(least.description).not.toMatch(/subgroups|timestamp-query/);
  });

  it('says what to install when the package webgpu is missing', () => {
    const script = `
      console.log(JSON.stringify(await webgpu.probe()));
      await webgpu.open(0).catch((error) => console.log(error.code, error.fix));`;
    const { code, output, errors } = run(script, driver, bare);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    const [probed, opened] = output.split('\n');
    expect(JSON.parse(probed!)).toEqual({
      available: false,
      reason: 'Node has no WebGPU of its own, and the package webgpu is not installed',
      fix: 'npm install webgpu',
    });
    expect(opened).toBe('TUTTI_BACKEND_UNAVAILABLE npm install webgpu');
  });

  it('says so when the package does not load', () => {
    mkdirSync(join(bare, 'node_modules/webgpu'));
    writeFileSync(
      join(bare, 'node_modules/webgpu/package.json'),
      '{"name":"webgpu","type":"module","main":"index.js"}',
    );
    writeFileSync(
      join(bare, 'node_modules/webgpu/index.js'),
      'throw new Error("dawn.node: wrong ELF class");',
    );
    const { output } = run('console.log(JSON.stringify(await webgpu.probe()))', driver, bare);
    expect(JSON.parse(output)).toEqual({
      available: false,
      reason: 'the package webgpu is installed but does not load: dawn.node: wrong ELF class',
      fix: 'npm install webgpu again, on the system and processor that runs it',
    });
    rmSync(join(bare, 'node_modules/webgpu'), { recursive: true });
  });

  it.runIf(process.platform === 'linux')('says how to find a driver where there is none', () => {
    const script = 'console.log(JSON.stringify(await webgpu.probe()))';
    const { output } = run(script, { ...driver, VK_ICD_FILENAMES: '/nowhere.json' });
    expect(JSON.parse(output)).toMatchObject({
      available: false,
      reason: expect.stringContaining('no GPU driver'),
      fix: expect.stringContaining('VK_ICD_FILENAMES'),
    });
  });

  it('refuses a choice of limits that is none, and a device that is not there', () => {
    const script = `
      await webgpu.probe().catch((error) => console.log(error.code, error.fix));
      await createWebgpuBackend({ limits: 'adapter' }).open(1).catch((error) => console.log(error.code));`;
    const { output } = run(script, { ...driver, TUTTI_WEBGPU_LIMITS: 'none' });
    expect(output).toMatch(
      /^TUTTI_ARGUMENT .*TUTTI_WEBGPU_LIMITS to 'adapter' or 'default'\nTUTTI_BACKEND_UNAVAILABLE$/,
    );
  });
});
