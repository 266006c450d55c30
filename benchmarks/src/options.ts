import { parseArgs } from 'node:util';
import { ArgumentError } from '@tutti/core/backend';

export interface BenchOptions {
  readonly suite: 'micro';
  readonly peers: boolean;
  readonly filter: string;
  readonly rounds: number;
  readonly json: string | undefined;
}

export const usage = `usage: pnpm bench --suite micro [--peers] [--filter text] [--rounds n] [--json FILE]

  --suite micro   the cases of the micro suite (the only suite so far, and the default)
  --peers         measure the peers in the same run, and compare results
  --filter text   only cases whose name contains the text
  --rounds n      rounds of fresh processes, the libraries in turn (default 3)
  --json FILE     every sample of every round`;

/** @throws ArgumentError */
export function parseOptions(args: readonly string[]): BenchOptions | 'help' {
  const { values } = parse(args.filter((each, i) => !(i === 0 && each === '--')));
  if (values.help) return 'help';
  if (values.suite !== 'micro') {
    throw new ArgumentError(`--suite ${values.suite}: there is no such suite`, { fix: 'use --suite micro' });
  }
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ArgumentError(`--rounds ${values.rounds}: not an integer of at least 1`);
  }
  return {
    suite: 'micro',
    peers: values.peers,
    filter: values.filter,
    rounds,
    json: values.json,
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
        help: { type: 'boolean', short: 'h', default: false },
      },
      strict: true,
    });
  } catch (error) {
    throw new ArgumentError((error as Error).message, { fix: 'see --help', cause: error });
  }
}
