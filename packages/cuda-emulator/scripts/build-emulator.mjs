// Builds the emulated driver, compiler and BLAS library with g++ and nothing else.
// usage: node scripts/build-emulator.mjs
//
// What is up to date stays as it is. Without g++ nothing is written, and that is no failure: whoever asks for the emulator is
// told why it is not there.

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
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const sourceFolder = join(root, 'native');
const folder = join(root, 'build');
const shim = join(sourceFolder, 'shim.h');
const atOnce = 2;

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

/** Each library, and the folders of its sources. */
const libraries = {
  'libcuda.so.1': ['common', 'driver'],
  'libnvrtc.so.13': ['common', 'compiler'],
  'libcublasLt.so.13': ['common', 'blas'],
};

process.exitCode = await main();

async function main() {
  if (process.platform !== 'linux') {
    console.log(`cuda-emulator: not built, it is made for Linux and this is ${process.platform}.`);
    return 0;
  }
  const files = walk(sourceFolder);
  const headers = hash([
    ...files.filter((file) => file.endsWith('.h') && file !== shim).map(described),
    ...flags,
    process.arch,
  ]);
  const stamp = join(folder, 'emulator.hash');
  const whole = hash([headers, ...files.map(described), ...linkFlags]);
  const targets = Object.keys(libraries).map((name) => join(folder, name));
  if (targets.every((target) => existsSync(target)) && readIfThere(stamp) === whole) return 0;

  if (spawnSync('g++', ['--version'], { stdio: 'ignore' }).status !== 0) {
    console.log(
      'cuda-emulator: not built, there is no g++. Install it (Debian: apt install g++) and build again.',
    );
    return 0;
  }
  const started = performance.now();
  const objects = join(folder, 'objects');
  mkdirSync(objects, { recursive: true });
  const jobs = files
    .filter((file) => file.endsWith('.cc'))
    .map((source) => {
      const name = relative(sourceFolder, source);
      // The text before every kernel becomes a part of the compiler, and of nothing else.
      const included = name.startsWith('compiler') ? described(shim) : '';
      const key = hash([headers, included, described(source)]).slice(0, 16);
      return { source, name, object: join(objects, `${name.replaceAll('/', '-')}.${key}.o`) };
    });
  const missing = jobs.filter(({ object }) => !existsSync(object));
  const compiled = await inParallel(missing, ({ source, object }) => make(object, [...flags, '-c', source]));
  if (compiled.includes(false)) return 1;
  const linked = await inParallel(Object.entries(libraries), ([name, folders]) => {
    const parts = jobs.filter((job) => folders.includes(dirname(job.name))).map(({ object }) => object);
    return make(join(folder, name), [...parts, ...linkFlags]);
  });
  if (linked.includes(false)) return 1;
  writeFileSync(stamp, whole);
  removeOld(objects, jobs);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`cuda-emulator: built in ${seconds} s (${missing.length} of ${jobs.length} files compiled)`);
  return 0;
}

/** Under its final name only when it is whole: two builds may run at once. */
async function make(target, words) {
  const temporary = `${target}.${process.pid}`;
  const done = await run('g++', [...words, '-o', temporary]);
  if (done) renameSync(temporary, target);
  return done;
}

function run(command, words) {
  return new Promise((resolve) => {
    // The texts of the kernels' header are read from the folder of the sources.
    const child = spawn(command, words, { stdio: 'inherit', cwd: sourceFolder });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}

async function inParallel(list, work) {
  const results = [];
  let next = 0;
  const worker = async () => {
    while (next < list.length) {
      const index = next++;
      results[index] = await work(list[index]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

function removeOld(objects, jobs) {
  const wanted = new Set(jobs.map(({ object }) => object));
  for (const name of readdirSync(objects)) {
    const path = join(objects, name);
    if (name.endsWith('.o') && !wanted.has(path)) rmSync(path, { force: true });
  }
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
  for (const part of parts) sum.update(part).update('\0');
  return sum.digest('hex');
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
