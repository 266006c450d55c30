// Builds the addon.
// usage: node scripts/build-native.mjs [--sanitize=address]
//
// `build/tutti_cuda.node`, or `build/asan/tutti_cuda.node`. On Windows with g++ and dlltool of MinGW-w64.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildLibraries } from '../../../scripts/native-build.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sanitized = readArguments(process.argv.slice(2));
const folder = sanitized ? join(root, 'build', 'asan') : join(root, 'build');

const packages = ['node-addon-api', 'node-api-headers'].map((name) =>
  createRequire(import.meta.url).resolve(`${name}/package.json`),
);
const [addonApi, nodeHeaders] = packages.map((file) => dirname(file));

const flags = [
  '-std=c++17',
  '-O2',
  '-fPIC',
  '-pthread',
  '-fvisibility=hidden',
  '-Wall',
  '-Wextra',
  '-Werror=return-type',
  '-DNAPI_VERSION=8',
  '-DNODE_ADDON_API_DISABLE_DEPRECATED',
  '-DNAPI_CPP_EXCEPTIONS',
  // In a worker that is being terminated nothing can be thrown, and that is no reason to end the process.
  '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
  ...(sanitized ? ['-g', '-fsanitize=address', '-fno-omit-frame-pointer'] : []),
  // As system headers: their warnings are not ours.
  ...['-isystem', addonApi, '-isystem', join(nodeHeaders, 'include')],
];
const exported = `-Wl,--version-script=${join(root, 'native', 'exports.map')}`;
const linkFlags = [
  '-shared',
  '-pthread',
  ...(sanitized ? ['-fsanitize=address'] : ['-s']),
  ...(process.platform === 'darwin'
    ? ['-undefined', 'dynamic_lookup']
    : process.platform === 'win32'
      ? // Users have none of the compiler's libraries.
        [exported, '-static', ...nodeLibraries()]
      : // A user's machine may have an older C++ library than this. Of that library only what is used, or it would ask for a newer C library.
        [exported, ...(sanitized ? [] : ['-static-libstdc++', '-Wl,--gc-sections']), '-ldl']),
];

process.exitCode = await buildLibraries({
  name: 'tutti_cuda',
  root,
  folder,
  libraries: { 'tutti_cuda.node': () => true },
  compilers: process.env.CXX ? [process.env.CXX] : ['g++', 'clang++'],
  remedy: 'Install one (Debian: apt install g++) or set CXX, and build again.',
  flags,
  linkFlags,
  versions: packages.map((file) => JSON.parse(readFileSync(file, 'utf8')).version),
});

/** Which functions Node itself has, as Windows' linker wants to be told. */
function nodeLibraries() {
  mkdirSync(folder, { recursive: true });
  return ['js_native_api', 'node_api'].map((name) => {
    const library = join(folder, `lib${name}.a`);
    const words = ['-d', join(nodeHeaders, 'def', `${name}.def`), '-l', library];
    const { error } = spawnSync('dlltool', words, { stdio: 'inherit' });
    if (error)
      console.error(`tutti_cuda: dlltool, which MinGW-w64 has beside g++, does not run: ${error.message}`);
    return library;
  });
}

function readArguments(given) {
  if (given.length === 0) return false;
  if (given.length === 1 && given[0] === '--sanitize=address') return true;
  console.error('usage: node scripts/build-native.mjs [--sanitize=address]');
  process.exit(2);
}
