// Builds shared libraries with a C++ compiler and nothing else: the addon of packages/cuda and the emulator of packages/cuda-emulator.

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
import { join, relative } from 'node:path';

/** Compilers that run beside each other. */
const atOnce = 2;

/**
 * @typedef {object} NativeBuild
 * @property {string} name Of what is built, for messages.
 * @property {string} root The package. Its texts are in `native`, where compilers run.
 * @property {string} folder Where the libraries go.
 * @property {Readonly<Record<string, (source: string) => boolean>>} libraries Each library, and whether a source is a part of it. A source is a
 *     path below `native`, with `/`.
 * @property {readonly string[]} compilers The first that is there is taken.
 * @property {string} remedy What to do where none is.
 * @property {readonly string[]} flags For every source.
 * @property {readonly string[]} linkFlags
 * @property {(file: string, source: string) => boolean} [concerns] Whether a source has to be compiled again when a text that is no source has
 *     changed. Default: where that is a header.
 * @property {readonly string[]} [versions] Of what else is compiled against.
 */

/**
 * Builds what is not up to date. Without a compiler nothing is written, and that is no failure: the rest of the workspace works, and
 * whoever looks for the libraries says why they are not there.
 *
 * @param {NativeBuild} build
 * @returns {Promise<number>} The exit status.
 */
export async function buildLibraries(build) {
  const plan = planOf(build);
  const targets = plan.libraries.map(({ target }) => target);
  if (targets.every((target) => existsSync(target)) && readIfThere(plan.stamp) === plan.key) return 0;

  const compiler = build.compilers.find((name) => isThere(name));
  if (!compiler) {
    console.log(`${build.name}: not built, there is no C++ compiler. ${build.remedy}`);
    return 0;
  }
  const started = performance.now();
  mkdirSync(plan.objects, { recursive: true });
  const make = (target, words) => run(compiler, words, target, plan.sourceFolder);
  const missing = plan.jobs.filter(({ object }) => !existsSync(object));
  const compile = ({ object, path }) => make(object, [...build.flags, '-c', path]);
  if (!(await inParallel(missing, compile))) return 1;
  const link = ({ target, jobs }) => make(target, [...jobs.map(({ object }) => object), ...build.linkFlags]);
  if (!(await inParallel(plan.libraries, link))) return 1;
  writeFileSync(plan.stamp, plan.key);
  removeOld(plan);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const made = targets.map((target) => relative(build.root, target)).join(', ');
  console.log(
    `${build.name}: ${made} in ${seconds} s (${missing.length} of ${plan.jobs.length} files compiled)`,
  );
  return 0;
}

/** Every object under a name that says what it was made of, and one key of everything. */
function planOf({ name, root, folder, libraries, flags, linkFlags, concerns = isHeader, versions = [] }) {
  const sourceFolder = join(root, 'native');
  const objects = join(folder, 'objects');
  const files = walk(sourceFolder).filter((path) => !path.endsWith('.md'));
  const texts = files.map((path) => ({
    path,
    name: relative(sourceFolder, path).replaceAll('\\', '/'),
    content: readFileSync(path, 'utf8'),
  }));
  const isSource = (text) => text.name.endsWith('.cc');
  const described = (some) => some.flatMap((text) => [text.name, text.content]);
  const others = texts.filter((text) => !isSource(text));
  const common = [...flags, ...versions, process.env.CXX ?? '', process.arch];
  const jobs = texts.filter(isSource).map((source) => {
    const included = others.filter((text) => concerns(text.name, source.name));
    const key = hash([...common, ...described([...included, source])]);
    const object = join(objects, `${source.name.replaceAll('/', '-')}.${key.slice(0, 16)}.o`);
    return { path: source.path, name: source.name, object };
  });
  return {
    sourceFolder,
    objects,
    jobs,
    libraries: Object.entries(libraries).map(([file, isPart]) => ({
      target: join(folder, file),
      jobs: jobs.filter((job) => isPart(job.name)),
    })),
    stamp: join(folder, `${name}.hash`),
    key: hash([...common, ...linkFlags, ...described(texts)]),
  };
}

const isHeader = (file) => file.endsWith('.h');

const isThere = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;

const readIfThere = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

function walk(from) {
  return readdirSync(from)
    .sort()
    .map((name) => join(from, name))
    .flatMap((path) => (statSync(path).isDirectory() ? walk(path) : [path]));
}

function hash(parts) {
  const sum = createHash('sha256');
  for (const part of parts) sum.update(`${part.length}:${part}`);
  return sum.digest('hex');
}

/** Under its final name only when it is whole: two builds may run at once. */
function run(compiler, words, target, cwd) {
  const temporary = `${target}.${process.pid}`;
  return new Promise((resolve) => {
    const child = spawn(compiler, [...words, '-o', temporary], { stdio: 'inherit', cwd });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => {
      if (code === 0) renameSync(temporary, target);
      else rmSync(temporary, { force: true });
      resolve(code === 0);
    });
  });
}

/** Whether all of it was done. */
async function inParallel(items, work) {
  let next = 0;
  let done = true;
  const lane = async () => {
    while (next < items.length) done = (await work(items[next++])) && done;
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return done;
}

/** Removes objects of earlier texts. */
function removeOld({ objects, jobs }) {
  const current = new Set(jobs.map(({ object }) => object));
  for (const name of readdirSync(objects)) {
    const path = join(objects, name);
    if (name.endsWith('.o') && !current.has(path)) rmSync(path, { force: true });
  }
}
