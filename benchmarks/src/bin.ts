import { renameSync, writeFileSync } from 'node:fs';
import { ArgumentError, TuttiError } from '@tutti/core/backend';
import { ours, peers } from './adapters/index.ts';
import { defaultBudget } from './measure.ts';
import { type BenchOptions, parseOptions, usage } from './options.ts';
import { formatTable, jsonReport, machine, tableHead, tableRows } from './report.ts';
import { type CaseReport, runCase } from './rounds.ts';
import { downloadSize } from './size.ts';
import { microSuite } from './work.ts';

async function bench(options: BenchOptions): Promise<number> {
  const cases = microSuite.filter((each) => each.name.includes(options.filter));
  if (cases.length === 0) {
    throw new ArgumentError(`--filter ${options.filter}: no case has this in its name`, {
      fix: `cases are ${microSuite.map((each) => each.name).join('; ')}`,
    });
  }
  if (options.json) writeFileSync(options.json, ''); // an unwritable path is found out now, not after ten minutes
  const { processor, cores, node } = machine();
  console.log(`${processor}, ${cores} cores, Node ${node}\n`);
  const reports: CaseReport[] = [];
  for (const each of cases) {
    const adapters = options.peers ? [ours, ...peers] : [ours];
    const report = await runCase(each, {
      adapters,
      rounds: options.rounds,
      budget: defaultBudget,
      timeout: 120_000,
    });
    reports.push(report);
    if (process.stderr.isTTY) console.error(`${each.name} done (${reports.length} of ${cases.length})`);
  }
  const bytes = await downloadSize();
  print(reports, bytes);
  if (options.json) writeAtomically(options.json, jsonReport(options.suite, reports, bytes));
  return reports.some(isBad) ? 1 : 0;
}

function print(reports: readonly CaseReport[], bytes: number): void {
  console.log(formatTable([tableHead, ...reports.flatMap(tableRows)]));
  console.log(`\ndownload, core and cpu, minified, gzip: ${(bytes / 1024).toFixed(1)} KiB`);
  const descriptions = reports
    .flatMap(({ measurements }) => Object.values(measurements))
    .flatMap((each) => (each.status === 'measured' ? [each.description] : []));
  console.log([...new Set(descriptions)].join('\n'));
  for (const { name, measurements } of reports) {
    for (const [adapter, each] of Object.entries(measurements)) {
      if (each.status === 'wrong' || each.status === 'failed') {
        console.error(`\nerror: ${name}, ${adapter}: ${each.reason}`);
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
