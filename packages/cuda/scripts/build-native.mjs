// Builds the addon with a C++ compiler and nothing else.
// usage: node scripts/build-native.mjs [--sanitize=address]
//
// `build/tutti_cuda.node`, or `build/asan/tutti_cuda.node`. What is up to date stays as it is. Without a compiler nothing is written, and
// that is no failure: the rest of the workspace works, and the backend says why it is not available.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sourceFolder = join(root, 'native');
const atOnce = 2;

const sanitizer = readArguments(process.argv.slice(2));
const folder = sanitizer ? join(root, 'build', 'asan') : join(root, 'build');
const target = join(folder, 'tutti_cuda.node');
const stamp = join(folder, 'tutti_cuda.hash');

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
  ...(sanitizer ? ['-g', '-fsanitize=address', '-fno-omit-frame-pointer'] : []),
];
const linkFlags = [
  '-shared',
  '-pthread',
  ...(sanitizer ? ['-fsanitize=address'] : ['-s']),
  ...(process.platform === 'darwin' ? [] : [`-Wl,--version-script=${join(sourceFolder, 'exports.map')}`]),
  // A user's machine may have an older C++ library than this. Of that library only what is used, or it would ask for a newer C library.
  ...(sanitizer || process.platform === 'darwin' ? [] : ['-static-libstdc++', '-Wl,--gc-sections']),
  ...(process.platform === 'darwin' ? ['-undefined', 'dynamic_lookup'] : []),
];

process.exitCode = await main();

async function main() {
  const files = walk(sourceFolder);
  const sources = files.filter((file) => file.endsWith('.cc'));
  const others = files.filter((file) => file.endsWith('.map'));
  const includes = headerFolders();
  const headerHash = hash([
    ...files.filter((file) => file.endsWith('.h')).map(described),
    ...includes.versions,
    ...flags,
    process.env.CXX ?? '',
    process.arch,
  ]);
  const wholeHash = hash([headerHash, ...sources.map(described), ...others.map(described), ...linkFlags]);
  if (existsSync(target) && readIfThere(stamp) === wholeHash) return 0;

  const compiler = findCompiler();
  if (!compiler) {
    console.log(
      'tutti_cuda: not built, there is no C++ compiler. Install one (Debian: apt install g++) or set CXX, and build again.',
    );
    return 0;
  }
  const started = performance.now();
  const objects = join(folder, 'objects');
  mkdirSync(objects, { recursive: true });
  const jobs = sources.map((source) => {
    const name = relative(sourceFolder, source).replaceAll(/[\\/]/g, '-');
    const object = join(objects, `${name}.${hash([headerHash, described(source)]).slice(0, 16)}.o`);
    const temporary = `${object}.${process.pid}`;
    return { source, object, temporary, name };
  });
  const missing = jobs.filter(({ object }) => !existsSync(object));
  const compiled = await inParallel(missing, async ({ source, object, temporary }) => {
    const done = await run(compiler, [...flags, ...includes.flags, '-c', source, '-o', temporary]);
    // Under its final name only when it is whole: two builds may run at once.
    if (done) renameSync(temporary, object);
    return done;
  });
  if (compiled.includes(false)) return 1;
  const whole = `${target}.${process.pid}`;
  if (!(await run(compiler, [...jobs.map(({ object }) => object), ...linkFlags, '-ldl', '-o', whole])))
    return 1;
  renameSync(whole, target);
  writeFileSync(stamp, wholeHash);
  removeOld(objects, jobs);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `tutti_cuda: ${relative(root, target)} in ${seconds} s (${missing.length} of ${jobs.length} files compiled)`,
  );
  return 0;
}

function readArguments(given) {
  const [first, ...rest] = given;
  if (first === undefined) return undefined;
  if (first === '--sanitize=address' && rest.length === 0) return 'address';
  console.error('usage: node scripts/build-native.mjs [--sanitize=address]');
  process.exit(2);
}

function findCompiler() {
  const wishes = process.env.CXX ? [process.env.CXX] : ['g++', 'clang++'];
  return wishes.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0);
}

function headerFolders() {
  const require = createRequire(import.meta.url);
  const packages = ['node-addon-api', 'node-api-headers'].map((name) =>
    require.resolve(`${name}/package.json`),
  );
  const [addon, headers] = packages.map((file) => dirname(file));
  return {
    // As system headers: their warnings are not ours.
    flags: ['-isystem', addon, '-isystem', join(headers, 'include')],
    versions: packages.map((file) => JSON.parse(readFileSync(file, 'utf8')).version),
  };
}

function walk(from) {
  return readdirSync(from)
    .sort()
    .map((name) => join(from, name))
    .flatMap((path) => (statSync(path).isDirectory() ? walk(path) : [path]));
}

function described(file) {
  return `${relative(sourceFolder, file)}\n${readFileSync(file, 'utf8')}`;
}

function hash(parts) {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(`${part.length}:${part}`);
  return sum.digest('hex');
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** Objects of earlier texts. */
function removeOld(objects, jobs) {
  const current = new Set(jobs.map(({ object }) => object));
  for (const name of readdirSync(objects)) {
    const path = join(objects, name);
    if (name.endsWith('.o') && !current.has(path)) rmSync(path, { force: true });
  }
}

async function inParallel(items, work) {
  const results = [];
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}

function run(command, words) {
  return new Promise((resolve) => {
    const child = spawn(command, words, { stdio: 'inherit' });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}
