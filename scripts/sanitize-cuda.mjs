// The kernels and routines of the CUDA backend under AddressSanitizer, on the emulator, with the threads, warps and blocks in a shuffled
// order and streams that run only when somebody waits: what reads out of bounds or forgets a barrier or an event ends the run. Takes the
// flags of `vitest run`.
//   node scripts/sanitize-cuda.mjs -t 'tensor cores'

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const files = ['kernels-joint', 'kernels-shapes', 'routines-attention', 'routines-conv', 'routines-dot'].map(
  (name) => `packages/cuda/test/${name}`,
);

/** g++ gives the bare name of a library that it does not have. */
function findSanitizer() {
  const { stdout, error } = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = error ? '' : stdout.trim();
  return isAbsolute(path) && existsSync(path) ? path : undefined;
}

const sanitizer = findSanitizer();
if (!sanitizer) {
  console.error('AddressSanitizer was not found: it comes with g++\n  fix: apt-get install g++');
  process.exit(1);
}

const child = spawn(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...files, ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      TUTTI_CUDA_EMULATOR_SANITIZE: 'address',
      TUTTI_CUDA_EMULATOR_ORDER: 'shuffled',
      TUTTI_CUDA_EMULATOR_STREAMS: 'lazy',
      ASAN_OPTIONS: 'detect_leaks=0',
      LD_PRELOAD: sanitizer,
    },
  },
);
child.once('close', (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
