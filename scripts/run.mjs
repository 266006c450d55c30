// The two commands of the repository, on a machine that has Node and npm and nothing else:
//   npm start -- --epochs 1     install, build, then train the example on MNIST
//   npm test                    install, build, then every check; the last line counts them
// `node scripts/run.mjs turbo ...` runs turbo as the other scripts need it: pinned, and without telemetry.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { addCounts, one, vitestCounts } from './counts.mjs';
import { flagsTakenByNpm } from './npm-flags.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
const cli = join(root, 'packages', 'cli', 'dist', 'bin.js');
const scratch = mkdtempSync(join(tmpdir(), 'tutti-run-'));
const vitestReport = join(scratch, 'vitest.json');
const sanitizerReport = join(scratch, 'sanitizer.json');

const env = {
  ...process.env,
  // turbo starts each package's script through pnpm, which it looks for on the PATH.
  PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}`,
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  DO_NOT_TRACK: '1',
};

const turbo = (...tasks) => [
  bin('turbo'),
  'run',
  ...tasks,
  '--output-logs=errors-only',
  '--continue=dependencies-successful',
];

/**
 * What can be run, in order. To add a check, add an entry.
 *   in        the commands that include the step
 *   run       the command line
 *   upToDate  when true, there is nothing to do
 *   done      what to do after success
 *   remark    after success, a line for whoever should know more
 *   needs     steps that must have passed; otherwise this one is skipped
 *   counts    (exit code, output) => {passed, failed, skipped}; without it the step itself counts as one
 *             (`closingLineCounts` of counts.mjs is for a suite that prints its own `N passed, N failed`)
 *   uncounted a step that is preparation: it counts only when it fails
 */
const steps = [
  {
    name: 'install',
    in: ['start', 'test'],
    uncounted: true,
    run: () => {
      const pinned = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;
      return ['npx', '--yes', pinned, 'install', '--frozen-lockfile', '--prefer-offline'];
    },
    upToDate: () => existsSync(installStamp) && readFileSync(installStamp, 'utf8') === installHash(),
    done: () => writeFileSync(installStamp, installHash()),
  },
  {
    // The addon and the emulator of CUDA. Where it cannot be installed, their tests fail and say what is missing.
    name: 'C++ compiler',
    in: ['test'],
    uncounted: true,
    upToDate: () => hasCommand('g++') || !mayInstallPackages(),
    run: () => ['sh', '-c', 'apt-get update && apt-get install --yes --no-install-recommends g++ libc6-dev'],
  },
  { name: 'build', in: ['test'], needs: ['install'], run: () => turbo('build', 'native') },
  {
    name: 'build',
    in: ['start'],
    needs: ['install'],
    run: () => [...turbo('build', ...(mayUseCuda() ? ['native'] : [])), '--filter=@tutti/cli...'],
    remark: () =>
      mayUseCuda() && !existsSync(join(root, 'packages', 'cuda', 'build', 'tutti_cuda.node'))
        ? 'the addon of CUDA was not built: no C++ compiler was found; install g++ or clang++ (Debian: apt install g++), or set CXX'
        : undefined,
  },
  { name: 'typecheck', in: ['test'], needs: ['build'], run: () => turbo('typecheck') },
  {
    name: 'lint',
    in: ['test'],
    needs: ['install'],
    run: () => [bin('biome'), 'check', '--error-on-warnings', '.'],
  },
  {
    name: 'imports',
    in: ['test'],
    needs: ['install'],
    run: () => [process.execPath, join(root, 'scripts', 'check-imports.mjs')],
  },
  { name: 'packages', in: ['test'], needs: ['build'], run: () => turbo('check') },
  {
    name: 'unit tests',
    in: ['test'],
    needs: ['build'],
    run: () => [
      bin('vitest'),
      'run',
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${vitestReport}`,
    ],
    counts: (code) => vitestCounts(code, vitestReport),
  },
  {
    name: 'sanitizer',
    in: ['test'],
    needs: ['build'],
    run: () => [
      process.execPath,
      join(root, 'scripts', 'sanitize-cuda.mjs'),
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${sanitizerReport}`,
    ],
    counts: (code) => vitestCounts(code, sanitizerReport),
  },
];

// ---------------------------------------------------------------------------------------------------
// What the machine has

const hasCommand = (name) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, name)));

/** Whether the device that `start` is to use is said to be of a backend. */
const isNamed = (backend) =>
  [process.env.TUTTI_DEVICE ?? '', ...flags].some((text) => text.includes(backend));

/** Signs of NVIDIA's driver: of its kernel module, in WSL, on Windows. */
const signsOfNvidia = [
  '/proc/driver/nvidia/version',
  '/usr/lib/wsl/lib/libcuda.so.1',
  join(process.env.SystemRoot ?? '', 'System32', 'nvcuda.dll'),
];

/** Otherwise the addon, which takes longer to compile than everything else, is of no use. */
const mayUseCuda = () => isNamed('cuda') || signsOfNvidia.some((path) => existsSync(path));

/** A container of a CI, mostly: Debian's tools, and the right to use them. */
const mayInstallPackages = () => process.getuid?.() === 0 && hasCommand('apt-get');

// ---------------------------------------------------------------------------------------------------
// Installing only when something that an install reads has changed

const installStamp = join(root, 'node_modules', '.tutti-install');

function installHash() {
  const manifests = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', 'benchmarks/package.json'];
  for (const group of ['packages', 'apps']) {
    if (!existsSync(join(root, group))) continue;
    for (const name of readdirSync(join(root, group)).sort()) manifests.push(`${group}/${name}/package.json`);
  }
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const path of manifests) {
    if (existsSync(join(root, path))) hash.update(`\n${path}\n`).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

// ---------------------------------------------------------------------------------------------------
// Child processes and signals

let child;
let interruptedBy;

function interrupt(signal, childHasIt) {
  const repeated = interruptedBy === signal;
  interruptedBy = signal;
  if (!childHasIt && !repeated) child?.kill(signal);
  if (child === undefined) finish(exitCodeOf(null, signal));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  // A terminal sends Ctrl-C to the whole process group, so the child has it already; npm then sends this
  // process a second one. Passing either on would look to the child like an impatient second Ctrl-C.
  process.on(signal, () => interrupt(signal, signal === 'SIGINT' && process.stdin.isTTY));
}

// A signal sent to npm alone ends at the shell that npm starts scripts in: the shell dies of it and tells
// no one. Losing that parent is the only sign of it, and means the same as Ctrl-C.
if (process.env.npm_lifecycle_event !== undefined && process.platform !== 'win32') {
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && interrupt('SIGINT', false), 250).unref();
}

function exitCodeOf(code, signal) {
  const numbers = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1, SIGKILL: 9, SIGSEGV: 11, SIGABRT: 6 };
  const by = interruptedBy ?? signal;
  return by ? 128 + (numbers[by] ?? 1) : (code ?? 1);
}

/** Runs one command. `quiet` keeps its output for the caller instead of showing it. */
function execute([command, ...args], { quiet }) {
  return new Promise((resolve) => {
    const started = Date.now();
    let output = '';
    child = spawn(command, args, {
      cwd: root,
      env,
      stdio: quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
      shell: process.platform === 'win32' && command !== process.execPath,
    });
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      output += chunk;
    });
    const ended = (code, signal) => {
      child = undefined;
      resolve({ code: exitCodeOf(code, signal), output, seconds: (Date.now() - started) / 1000 });
    };
    child.once('error', (error) => {
      output += `${error.message}\n`;
      ended(1, null);
    });
    child.once('close', ended);
  });
}

function finish(code) {
  rmSync(scratch, { recursive: true, force: true });
  process.exit(code);
}

function report(name, result, seconds) {
  console.log(`${name.padEnd(12)} ${result}${seconds === undefined ? '' : `  ${seconds.toFixed(1)} s`}`);
}

// ---------------------------------------------------------------------------------------------------
// The commands

/** Runs the steps of a command; returns the totals. */
async function runSteps(command) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const passed = new Set();
  for (const step of steps.filter((candidate) => candidate.in.includes(command))) {
    const missing = (step.needs ?? []).find((name) => !passed.has(name));
    if (missing !== undefined) {
      report(step.name, `skipped, because ${missing} did not pass`);
      addCounts(total, one('skipped'));
      continue;
    }
    if (step.upToDate?.()) {
      passed.add(step.name);
      continue;
    }
    const { code, output, seconds } = await execute(step.run(), { quiet: true });
    if (interruptedBy !== undefined) finish(code);
    const counts = step.counts?.(code, output) ?? one(code === 0 ? 'passed' : 'failed');
    const ok = code === 0 && counts.failed === 0;
    if (ok) {
      passed.add(step.name);
      step.done?.();
    } else {
      process.stdout.write(output.endsWith('\n') ? output : `${output}\n`);
    }
    const detail = step.counts
      ? ` (${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped)`
      : '';
    report(step.name, `${ok ? 'ok' : `failed, exit code ${code}`}${detail}`, seconds);
    const remark = ok ? step.remark?.() : undefined;
    if (remark !== undefined) console.log(`  ${remark}`);
    // Tests say themselves what they leave out, and their own page in docs/ how to run it all.
    const leftOut = ok ? stripVTControlCharacters(output).matchAll(/^left out of the suite .*$/gm) : [];
    for (const [line] of leftOut) console.log(`  ${line}`);
    if (!step.uncounted || !ok) addCounts(total, counts);
  }
  return total;
}

/** Who asks for WebGPU gets it on a machine that has no GPU driver too: in software, which the program says. */
function driverFor() {
  return isNamed('webgpu')
    ? ['--import', pathToFileURL(join(root, 'packages/testbed/dist/use-driver.js')).href]
    : [];
}

async function start() {
  const taken = flagsTakenByNpm(process.env);
  if (taken.length > 0) {
    console.error(
      `npm has taken --${taken.join(' and --')} for itself\n  fix: put -- before the flags: npm start -- --${taken[0]} ...`,
    );
    finish(2);
  }
  const prepared = await runSteps('start');
  if (prepared.failed > 0) finish(1);
  const command = [process.execPath, ...driverFor(), cli, 'train', 'mnist', ...flags];
  const { code } = await execute(command, { quiet: false });
  finish(code);
}

async function test() {
  const total = await runSteps('test');
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  finish(total.failed > 0 ? 1 : 0);
}

const [command, ...rest] = process.argv.slice(2);
const flags = rest[0] === '--' ? rest.slice(1) : rest;
if (command === 'start') await start();
else if (command === 'test') await test();
else if (command === 'turbo') finish((await execute([bin('turbo'), ...flags], { quiet: false })).code);
else {
  console.error(
    'usage: node scripts/run.mjs start [flags of `tutti train mnist`] | test | turbo [arguments]',
  );
  finish(2);
}
