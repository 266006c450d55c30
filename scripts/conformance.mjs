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

const places = [
  {
    takes: (backend) => !inPage.has(backend),
    command: [
      '--import',
      pathToFileURL(join(root, 'packages/testbed/dist/use-driver.js')).href,
      join(root, 'packages/cli/dist/bin.js'),
      'conformance',
    ],
  },
  {
    takes: (backend) => inPage.has(backend),
    command: [join(root, 'apps/conformance-browser/dist/harness/main.js')],
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
  [...new Set(names.map((name) => modules[name.split(':')[0]]))].flatMap((module) =>
    module ? ['--register', module] : [],
  );

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
    child.once('close', (code) => resolve(code ?? 1));
  });

async function main(args) {
  if (args.includes('--help') || args.includes('-h')) {
    process.exitCode = await run([...places[0].command, '--help']);
    return;
  }
  const backend = takeOption(args[0] === '--' ? args.slice(1) : args, '--backend');
  const { value: file, rest } = takeOption(backend.rest, '--json');
  const wanted = backend.value?.split(',');
  const scratch = mkdtempSync(join(tmpdir(), 'tutti-conformance-'));
  const reports = [];
  let worst = 0;
  try {
    for (const [i, { takes, command }] of places.entries()) {
      const own = wanted?.filter(takes);
      // Without names, Node runs what it has and a page what only a page has.
      const names = own ?? (i === 0 ? [] : [...inPage]);
      if (own?.length === 0) continue;
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
