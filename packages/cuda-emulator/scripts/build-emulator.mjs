// Builds the emulated driver, compiler and BLAS library.
// usage: node scripts/build-emulator.mjs

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildLibraries } from '../../../scripts/native-build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const flags = [
  '-std=c++17',
  '-O2',
  '-g1',
  '-fPIC',
  '-pthread',
  '-fvisibility=hidden',
  '-ffp-contract=off',
  '-Wall',
  '-Wextra',
  '-Werror=return-type',
];
// Threads of streams may still be in the library when whoever loaded it lets go of it.
const linkFlags = ['-shared', '-pthread', '-Wl,-z,nodelete', '-Wl,--no-undefined', '-ldl'];

/** A library of the sources in `common` and in a folder. */
const madeOf = (folder) => (source) => ['common', folder].includes(dirname(source));

if (process.platform !== 'linux') {
  console.log(`cuda-emulator: not built, it is made for Linux and this is ${process.platform}.`);
} else {
  process.exitCode = await buildLibraries({
    name: 'cuda-emulator',
    root,
    folder: join(root, 'build'),
    libraries: {
      'libcuda.so.1': madeOf('driver'),
      'libnvrtc.so.13': madeOf('compiler'),
      'libcublasLt.so.13': madeOf('blas'),
    },
    // Kernels are compiled with what g++ brings.
    compilers: ['g++'],
    remedy: 'Install g++ (Debian: apt install g++), and build again.',
    flags,
    linkFlags,
    // The text before every kernel becomes a part of the compiler, and of nothing else.
    concerns: (file, source) => file.endsWith('.h') && (file !== 'shim.h' || dirname(source) === 'compiler'),
  });
}
