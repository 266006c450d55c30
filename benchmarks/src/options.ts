import { parseArgs } from 'node:util';
import { ArgumentError } from '@tutti/core/backend';
import { type SuiteName, suiteNames } from './suites.ts';

export interface BenchOptions {
  readonly suite: SuiteName;
  readonly peers: boolean;
  readonly filter: string;
  readonly rounds: number;
  readonly json: string | undefined;
  readonly profile: boolean;
}

export const usage = `usage: pnpm bench [--suite name] [--peers] [--filter text] [--rounds n] [--json FILE] [--profile]

  --suite name    micro (the default): on the CPU, in Node; webgpu: in Chromium, and what Node adds; webgl: in Chromium
  --peers         measure the peers in the same run, and compare results
  --filter text   only cases whose name contains the text
  --rounds n      rounds of fresh processes or pages, the libraries in turn (default 3)
  --json FILE     every sample of every round
  --profile       also print the time of every kernel of one run of this library`;

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
  return {
    suite,
    peers: values.peers,
    filter: values.filter,
    rounds,
    json: values.json,
    profile: values.profile,
  };
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
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
    });
  } catch (error) {
    throw new ArgumentError((error as Error).message, { fix: 'see --help', cause: error });
  }
}
