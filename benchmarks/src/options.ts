import { parseArgs } from 'node:util';
import { ArgumentError } from '@tutti/core/backend';
import { backendOf } from './devices.ts';
import { type SuiteName, suiteNames, suites } from './suites.ts';

export interface BenchOptions {
  readonly suite: SuiteName;
  readonly peers: boolean;
  readonly filter: string;
  readonly rounds: number;
  readonly json: string | undefined;
  readonly profile: boolean;
  readonly small: boolean;
  /** The id of the device of a suite that has one, where it is not that of the suite. */
  readonly device: string | undefined;
  readonly python: string;
}

const defaultPython = process.platform === 'win32' ? 'python' : 'python3';

export const usage: string = `usage: pnpm bench [--suite name] [--peers] [--filter text] [--rounds n] [--json FILE] [--profile] [--small]
                  [--device id] [--python FILE]

  --suite name    micro (the default): on the CPU, in Node; webgpu: in Chromium, and what Node adds; webgl: in Chromium;
                  cuda: on a GPU of NVIDIA's
  --peers         measure the peers in the same run, and compare results
  --filter text   only cases whose name contains the text
  --rounds n      rounds of fresh processes or pages, the libraries in turn (default 3)
  --json FILE     every sample of every round
  --profile       also print the time of every kernel of one run of this library
  --small         the suite cuda at sizes for trying it
  --device id     of the suite cuda: cuda (the default), cuda:1, cuda-emulated (with --small)
  --python FILE   the interpreter of the suite cuda's peers, which are PyTorch (default ${defaultPython})`;

/** @throws ArgumentError */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parse(args.filter((each, i) => !(i === 0 && each === '--')));
  if (values.help) return 'help';
  const suite = suiteNames.find((name) => name === values.suite);
  if (!suite) {
    throw new ArgumentError(`--suite ${values.suite}: there is no such suite`, {
      fix: `suites are ${suiteNames.join(', ')}`,
    });
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ArgumentError(`--rounds ${values.rounds}: not an integer of at least 1`);
  }
  checkSuite(suite, values);
  return {
    suite,
    peers: values.peers,
    filter: values.filter,
    rounds,
    json: values.json,
    profile: values.profile,
    small: values.small,
    device: values.device,
    python: values.python,
  };
}

/** Options that not every suite has. */
function checkSuite(
  name: SuiteName,
  { small, device }: { small: boolean; device?: string | undefined },
): void {
  const suite = suites[name];
  if (small && !suite.small) throw new ArgumentError(`--small: the suite ${name} has one size`);
  if (device === undefined || suite.devices?.includes(backendOf(device))) return;
  throw new ArgumentError(`--device ${device}: the suite ${name} does not run on it`, {
    fix: suite.devices ? `devices are those of ${suite.devices.join(' and ')}` : 'leave it out',
  });
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        suite: { type: 'string', default: 'micro' },
        peers: { type: 'boolean', default: false },
        filter: { type: 'string', default: '' },
        rounds: { type: 'string', default: '3' },
        json: { type: 'string' },
        profile: { type: 'boolean', default: false },
        small: { type: 'boolean', default: false },
        device: { type: 'string' },
        python: { type: 'string', default: defaultPython },
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
    });
  } catch (error) {
    throw new ArgumentError((error as Error).message, { fix: 'see --help', cause: error });
  }
}
