// The conformance suite on every backend where it can run: `tutti conformance` in Node, and what only a browser has in headless
// Chromium. Takes the flags of `tutti conformance`; `--json FILE` gets one report of both.
//   node scripts/conformance.mjs --backend cpu,webgpu,webgl,cuda-emulated --json report.json

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Backends that exist in a page alone. */
const inPage = new Set(['webgl']);

/** Backends that only these modules have, and that run when they are named. */
const modules = { 'cuda-emulated': join(root, 'scripts/emulated-cuda.mjs') };

const moduleOf = (backend) => modules[backend.split(':')[0]];

const inNode = [
  '--import',
  pathToFileURL(join(root, 'packages/testbed/dist/use-driver.js')).href,
  join(root, 'packages/cli/dist/bin.js'),
  'conformance',
];

/** `usual` runs where no backend is named. */
const places = [
  { takes: (backend) => !inPage.has(backend) && !moduleOf(backend), command: inNode, usual: [] },
  // In a process of its own: thousands of kernels as libraries of the host are nearly all the mappings that Linux gives to one.
  { takes: moduleOf, command: inNode },
  {
    takes: (backend) => inPage.has(backend),
    command: [join(root, 'apps/conformance-browser/dist/harness/main.js')],
    usual: [...inPage],
  },
];

/** Takes `--name value` or `--name=value` out of the arguments. */
export function takeOption(args, name) {
  const rest = [];
  let value;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === name) value = args[++i];
    else if (args[i].startsWith(`${name}=`)) value = args[i].slice(name.length + 1);
    else rest.push(args[i]);
  }
  return { value, rest };
}

/** The flags that make backends known which nothing else brings. */
export const registering = (names) =>
  [...new Set(names.map(moduleOf))].flatMap((module) => (module ? ['--register', module] : []));

/** One report of several. What two have judged, the oracle, counts once. */
export function mergeReports(reports) {
  const leftOut = [...new Set(reports.flatMap((report) => report.leftOut ?? []))];
  const judge = (backend) => reports.find(({ summary }) => backend in summary);
  return {
    devices: reports.flatMap(({ devices }) => devices),
    results: reports.flatMap((report) => report.results.filter(({ backend }) => judge(backend) === report)),
    ...(leftOut.length > 0 ? { leftOut } : {}),
    summary: Object.assign({}, ...reports.map(({ summary }) => summary)),
  };
}

const run = (args) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    child.once('close', (code, signal) => {
      if (signal) console.error(`the run was ended by ${signal}: ${args.join(' ')}`);
      resolve(code ?? 1);
    });
  });

async function main(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.exitCode = await run([...inNode, '--help']);
    return;
  }
  const backend = takeOption(args[0] === '--' ? args.slice(1) : args, '--backend');
  const { value: file, rest } = takeOption(backend.rest, '--json');
  const wanted = backend.value?.split(',');
  const scratch = mkdtempSync(join(tmpdir(), 'tutti-conformance-'));
  const reports = [];
  let worst = 0;
  try {
    for (const [i, { takes, command, usual }] of places.entries()) {
      // Without names, Node runs what it has and a page what only a page has.
      const names = wanted?.filter(takes) ?? usual;
      if (!names || (wanted && names.length === 0)) continue;
      const report = join(scratch, `${i}.json`);
      const flags = [...(names.length > 0 ? ['--backend', names.join(',')] : []), '--json', report];
      const code = await run([...command, ...registering(names), ...flags, ...rest]);
      worst = Math.max(worst, code);
      try {
        reports.push(JSON.parse(readFileSync(report, 'utf8')));
      } catch (error) {
        if (code === 0) throw error; // otherwise it has said why there is none
      }
    }
    if (file) writeFileSync(file, `${JSON.stringify(mergeReports(reports))}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  process.exitCode = worst;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
