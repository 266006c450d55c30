import {
  allModes,
  type ConformanceProgress,
  formatReport,
  type Mode,
  runConformance,
} from '@tutti/conformance';
import { Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError, BackendUnavailableError, device, registeredBackends } from 'tutti';
import { checkWritable, writeAtomically } from '../files.ts';
import { integer, list, nonEmpty } from '../flags.ts';
import { InterruptGuard } from '../interrupt.ts';

interface ConformanceFlags {
  readonly backend?: string[];
  readonly filter?: string;
  readonly modes?: Mode[];
  readonly every?: number;
  readonly randomGraphs?: number;
  readonly json?: string;
}

/** `tutti conformance [--backend a,b] [--filter text] [--modes a,b] [--every n] [--random-graphs n] [--json FILE]` */
export function conformanceCommand(): Command {
  return new Command('conformance')
    .description('run the conformance suite, and print what each backend can do and how exactly')
    .addOption(
      new Option(
        '--backend <ids>',
        'devices that must run, such as cpu,cuda:1 (default: all that are there)',
      ).argParser(list),
    )
    .addOption(
      new Option('--filter <text>', 'only operations and cases with this in their name').argParser(nonEmpty),
    )
    .addOption(new Option('--modes <names>', 'only these modes (default: all)').argParser(modes))
    .addOption(
      new Option(
        '--every <n>',
        "of dtypes but a case's first, run every n-th sample (default: all)",
      ).argParser(integer(1)),
    )
    .addOption(
      new Option('--random-graphs <n>', 'random graphs of each kind (default: 60)').argParser(integer(0)),
    )
    .addOption(new Option('--json <file>', 'write every result').argParser(nonEmpty))
    .action(run);
}

function modes(text: string): Mode[] {
  const names = list(text);
  const known = names.filter((name): name is Mode => (allModes as readonly string[]).includes(name));
  if (known.length === names.length) return known;
  throw new InvalidArgumentError(`Allowed choices are ${allModes.join(', ')}.`);
}

async function run({ backend, json, ...selection }: ConformanceFlags): Promise<void> {
  const { filter } = selection;
  await checkBackends(backend ?? []);
  if (json) await checkWritable(json, '--json');
  const line = statusLine(process.stderr);
  const guard = new InterruptGuard(line.clear);
  try {
    const { report, exitCode } = await runConformance({
      ...(backend ? { backends: backend } : {}),
      ...selection,
      onProgress: line.show,
    });
    line.clear();
    if (report.results.length === 0) {
      throw new ArgumentError(`--filter ${filter}: no operation has this in its name`, {
        received: filter,
        fix: 'without --filter the table lists all of them',
      });
    }
    if (json) await guard.protect(() => writeAtomically(json, `${JSON.stringify(report)}\n`));
    console.log(formatReport(report));
    process.exitCode = exitCode;
  } finally {
    line.clear();
    guard.release();
  }
}

/** A name that nothing has is a slip of the pen; a backend that is known, and not there, is a result. */
async function checkBackends(ids: readonly string[]): Promise<void> {
  const names = registeredBackends().map(({ name }) => name);
  const unknown = ids.filter((id) => !names.includes(id.split(':')[0]!));
  for (const id of unknown) {
    try {
      await device(id);
    } catch (cause) {
      if (!(cause instanceof BackendUnavailableError)) throw cause;
      throw new ArgumentError(`--backend ${id}: there is no backend of this name`, {
        received: id,
        fix: `${cause.fix}; --register <module> makes others known`,
        cause,
      });
    }
  }
}

interface StatusLine {
  readonly show: (progress: ConformanceProgress) => void;
  readonly clear: () => void;
}

/** One line that is written over and over, where there is a terminal. */
function statusLine(stream: NodeJS.WriteStream): StatusLine {
  const write = (text: string): void => {
    if (stream.isTTY) stream.write(`\r\u001b[K${text}`);
  };
  return {
    show: (progress) => write(`${progress.done + 1}/${progress.total}  ${progress.case}`),
    clear: () => write(''),
  };
}
