// Runs the addon under valgrind, on the emulated driver: errors of memory that come from the addon's code, and blocks of it that nobody
// has any more, are failures.
// usage: node scripts/valgrind.mjs
//
// Node's own reports are left out: its garbage collector and its compiled code look wrong to valgrind.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cudaEmulator } from '@tutti/cuda-emulator';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const addon = join(root, 'build', 'tutti_cuda.node');
const emulator = cudaEmulator();
if ('missing' in emulator || !existsSync(addon)) {
  console.error(`the addon or the emulator is not built: ${emulator.missing ?? addon}`);
  process.exit(2);
}

/** A bit of everything, in two environments of which one is left in the middle of its work. */
const script = `
const { Worker, isMainThread } = require('node:worker_threads');
const binding = require(${JSON.stringify(addon)});
const text = 'extern "C" __global__ void add(float* x, int n) { int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < n) x[i] += 1.0f; }';
const failure = (body) => { try { body(); } catch (error) { return error.code; } };
(async () => {
  const driver = binding.openDriver(${JSON.stringify(emulator.driver)});
  const compiler = binding.openCompiler(${JSON.stringify(emulator.compiler)});
  driver.describe(0);
  failure(() => binding.openDriver('/nowhere'));
  const { image } = await compiler.compile(text, 'add.cu', ['--gpu-architecture=sm_90']);
  await compiler.compile('nonsense', 'add.cu', ['--gpu-architecture=sm_90']).catch(() => {});
  const device = driver.open(0, { stagingBytes: 1 << 16 });
  const bytes = 100_000;
  const address = device.allocate(bytes);
  const module = device.loadModule(image);
  const fn = device.getFunction(module, 'add', 64);
  const words = Uint32Array.of(0, 14, fn, 1, 1, 1, 32, 1, 1, 64, 12, address % 2 ** 32, Math.floor(address / 2 ** 32), 32);
  device.write(address, new Uint8Array(bytes), true);
  device.write(address, new Uint8Array(bytes), false);
  for (let i = 0; i < 5; i++) device.submit(words, words.length);
  for (let length = 1; length < words.length; length++) failure(() => device.submit(words, length));
  failure(() => device.loadModule(image.subarray(0, 100)));
  failure(() => device.allocate(2 ** 50));
  const graph = device.capture(words, words.length);
  device.launchGraph(graph);
  device.unloadModule(module);
  const timed = Uint32Array.of(2, 2, 2, 2);
  const ends = Promise.allSettled([device.read(address, bytes), device.passed(), device.time(timed, 4)]);
  if (!isMainThread) return;
  await ends;
  device.readSync(address, bytes);
  device.releaseGraph(graph);
  const pending = device.read(address, bytes).catch((error) => error.code);
  device.close();
  if ((await pending) !== 'DISPOSED') throw new Error('not rejected');
  await new Promise((resolve) => new Worker(__filename).on('exit', resolve));
})();
`;

const folder = mkdtempSync(join(tmpdir(), 'tutti-cuda-valgrind-'));
try {
  process.exitCode = check();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function check() {
  const file = join(folder, 'script.cjs');
  const log = join(folder, 'valgrind.log');
  writeFileSync(file, script);
  const { status, signal, stderr } = spawnSync(
    'valgrind',
    [
      '--leak-check=full',
      '--show-leak-kinds=definite',
      '--num-callers=40',
      // Node makes code and puts it where other code was.
      '--smc-check=all-non-file',
      `--log-file=${log}`,
      process.execPath,
      // What it compiles takes long to run here, and is not what is checked.
      '--jitless',
      file,
    ],
    // Of this process it may be that it runs with AddressSanitizer, which valgrind does not bear.
    { encoding: 'utf8', env: { ...process.env, LD_PRELOAD: '' } },
  );
  if (status !== 0) {
    console.error(`the script ended with ${signal ?? status}\n${stderr}`);
    return 1;
  }
  const reports = readFileSync(log, 'utf8')
    .replaceAll(/^==\d+== ?/gm, '')
    .split(/\n\s*\n/)
    .filter((report) => report.includes('tutti_cuda.node'));
  for (const report of reports) console.error(`${report}\n`);
  console.log(`valgrind: ${reports.length} reports with code of the addon`);
  return reports.length > 0 ? 1 : 0;
}
