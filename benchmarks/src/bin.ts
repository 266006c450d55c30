import { renameSync, writeFileSync } from 'node:fs';
import { ArgumentError, TuttiError } from '@tutti/core/backend';
import { type DeviceUnderTest, describeDevice } from './devices.ts';
import { ours } from './libraries.ts';
import { type BenchOptions, parseOptions, usage } from './options.ts';
import { Places } from './places/index.ts';
import {
  descriptionLines,
  formatProfile,
  formatTable,
  jsonReport,
  machine,
  tableHead,
  tableRows,
} from './report.ts';
import { type CaseReport, runCase } from './rounds.ts';
import { type Case, type Suite, suites } from './suites.ts';

async function bench(options: BenchOptions): Promise<number> {
  const suite = { ...suites[options.suite], ...(options.small && suites[options.suite].small) };
  const cases = suite.cases.filter((each) => each.name.includes(options.filter));
  if (cases.length === 0) {
    throw new ArgumentError(`--filter ${options.filter}: no case has this in its name`, {
      fix: `cases are ${suite.cases.map((each) => each.name).join('; ')}`,
    });
  }
  const device = suite.devices && (await describeDevice(options.device ?? suite.devices[0]));
  if (device?.emulated) checkEmulated(device, options);
  if (options.json) writeFileSync(options.json, ''); // an unwritable path is found out now, not after ten minutes
  const { processor, cores, node } = machine();
  console.log(`${processor}, ${cores} cores, Node ${node}`);
  if (device) console.log(`device ${device.id}: ${device.description}`);
  if (device?.emulated) console.log('The processor stands in for a GPU: these times say nothing of one.');
  console.log();
  const reports = await runAll(suite, cases, options);
  const bytes = options.suite === 'micro' ? await (await import('./size.ts')).downloadSize() : undefined;
  print(reports, bytes);
  if (options.json) writeAtomically(options.json, jsonReport(options.suite, reports, bytes, device));
  return reports.some(isBad) ? 1 : 0;
}

/** @throws ArgumentError */
function checkEmulated({ id }: DeviceUnderTest, { small, peers }: BenchOptions): void {
  if (!small) {
    throw new ArgumentError(`--device ${id}: an emulated device would be busy for days`, {
      fix: 'add --small',
    });
  }
  if (peers) {
    throw new ArgumentError(`--device ${id}: peers have no emulated device to compare with`, {
      fix: 'leave out --peers',
    });
  }
}

async function runAll(
  { peers, budget, timeout }: Suite,
  cases: readonly Case[],
  options: BenchOptions,
): Promise<CaseReport[]> {
  const places = new Places(options);
  const reports: CaseReport[] = [];
  try {
    for (const each of cases) {
      // What Node adds to a suite of pages is about this library alone.
      const hasPeers = options.peers && each.place !== 'dawn';
      const { rounds, profile } = options;
      const adapters = hasPeers ? [ours, ...peers] : [ours];
      const carryOut = places.carriers[each.place];
      reports.push(await runCase(each, { adapters, rounds, profile, budget, timeout, carryOut }));
      if (process.stderr.isTTY) console.error(`${each.name} done (${reports.length} of ${cases.length})`);
    }
  } finally {
    await places.close();
  }
  return reports;
}

function print(reports: readonly CaseReport[], bytes: number | undefined): void {
  console.log(formatTable([tableHead, ...reports.flatMap(tableRows)]));
  if (bytes !== undefined) {
    console.log(`\ndownload, core and cpu, minified, gzip: ${(bytes / 1024).toFixed(1)} KiB`);
  }
  console.log(`\n${descriptionLines(reports).join('\n')}`);
  for (const { name, measurements } of reports) {
    for (const [adapter, each] of Object.entries(measurements)) {
      if (each.status === 'wrong' || each.status === 'failed') {
        console.error(`\nerror: ${name}, ${adapter}: ${each.reason}`);
      }
      if (each.status === 'measured' && each.profile) {
        console.log(`\n${name}, ${adapter}\n${formatProfile(each.profile)}`);
      }
    }
  }
}

/** A wrong result makes the times worthless, whoever computed it. That a peer takes too long is a result. */
function isBad({ measurements }: CaseReport): boolean {
  return Object.entries(measurements).some(
    ([adapter, { status }]) =>
      status === 'wrong' || status === 'failed' || (status === 'slow' && adapter === ours),
  );
}

function writeAtomically(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') console.log(usage);
  else process.exitCode = await bench(options);
} catch (error) {
  if (!TuttiError.isInstance(error)) throw error;
  console.error(`error [${error.code}]: ${error.message}`);
  process.exitCode = error instanceof ArgumentError ? 2 : 1;
}
