import { ArgumentError } from '../backend/index.ts';

/** What can be switched while a program runs. */
export interface Settings {
  /** Off: every operation is a kernel of its own. Results agree to rounding; it is for finding defects. Default true. */
  readonly fusion: boolean;
  /** 0 nothing; 1 device choice, plans and their steps; 2 also the graph; 3 also the kernel IR; 4 also the generated source. */
  readonly debug: 0 | 1 | 2 | 3 | 4;
  /** Runs plans step by step and prints the milliseconds of each, where the device can time. Default false. */
  readonly times: boolean;
  /** Checks every generated kernel. Default false; tests switch it on. */
  readonly verify: boolean;
  /** Where debug output goes. Default `console.error`. */
  readonly log: (text: string) => void;
}

interface NodeProcess {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly versions?: { readonly node?: string };
}

const nodeProcess = (): NodeProcess => (globalThis as { process?: NodeProcess }).process ?? {};

const { env: environment = {} } = nodeProcess();

/** True in Node, and in what behaves as Node does: there are an environment and a command line, which pages have not. */
export const isNode = (): boolean => nodeProcess().versions?.node !== undefined;

/** A variable of the process's environment; undefined in a browser. */
export const environmentVariable = (name: string): string | undefined => environment[name] || undefined;

function initialDebug(): Settings['debug'] {
  const level = Number(environmentVariable('TUTTI_DEBUG') ?? 0);
  return level >= 0 && level <= 4 && Number.isInteger(level) ? (level as Settings['debug']) : 0;
}

let current: Settings = {
  fusion: environmentVariable('TUTTI_FUSION') !== '0',
  debug: initialDebug(),
  times: environmentVariable('TUTTI_TIMES') === '1',
  verify: environmentVariable('TUTTI_VERIFY') === '1',
  log: (text) => console.error(text),
};

export const settings = (): Settings => current;

/**
 * Changes settings, and returns those that were in force before, to be put back.
 *
 * The environment variables `TUTTI_FUSION=0`, `TUTTI_DEBUG=1..4`, `TUTTI_TIMES=1` and `TUTTI_VERIFY=1` do the same from
 * the start of a program.
 *
 * @throws ArgumentError for a name or value that does not exist.
 */
export function configure(change: Partial<Settings>): Settings {
  const previous = current;
  for (const key of Object.keys(change)) {
    if (Object.hasOwn(previous, key)) continue;
    throw new ArgumentError(`configure: ${key} is not a setting`, {
      op: 'configure',
      received: key,
      fix: `settings are ${Object.keys(previous).join(', ')}`,
    });
  }
  if (change.debug !== undefined && ![0, 1, 2, 3, 4].includes(change.debug)) {
    throw new ArgumentError(`configure: debug level ${change.debug}`, {
      op: 'configure',
      received: change.debug,
      fix: 'levels are 0 (off) to 4 (with generated source)',
    });
  }
  current = { ...previous, ...change };
  return previous;
}
