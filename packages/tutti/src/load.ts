import { type BackendFactory, BackendUnavailableError, lazyBackend } from '@tutti/core';

const packageOf = (name: string): string => `@tutti/${name}`;

/** A backend whose package need not be installed. Its import is tried when the backend is first asked for something. */
export function optionalBackend(
  backend: {
    readonly name: string;
    readonly priority: number;
    readonly planned: boolean;
    readonly nodeOnly?: boolean;
  },
  load: () => Promise<BackendFactory>,
): BackendFactory {
  const { name, priority, planned, nodeOnly = false } = backend;
  const packageName = packageOf(name);
  const missing = planned
    ? { reason: `it is planned: there is no package ${packageName} yet`, fix: otherDevice() }
    : { reason: `the package ${packageName} is not installed`, fix: `npm install ${packageName}` };
  if (nodeOnly && !isNode()) return absent(name, priority);
  return lazyBackend({ name, priority, load, missing });
}

/** No page has it, whatever is installed: its package is not asked for. */
function absent(name: string, priority: number): BackendFactory {
  const reason = 'it needs Node, and this is a browser';
  return {
    name,
    priority,
    probe: async () => ({ available: false, reason, fix: otherDevice() }),
    open: async () => {
      throw new BackendUnavailableError(`${name} is not available: ${reason}`, { fix: otherDevice() });
    },
  };
}

/** A page has no command line. */
const otherDevice = (): string =>
  `use another device: ${isNode() ? '`tutti doctor` lists those of this machine' : 'await devices() lists those that are here'}`;

function isNode(): boolean {
  const { process } = globalThis as { process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node !== undefined;
}

/**
 * What an import that failed means. "Not installed" is told from "installed and broken", because what to do differs: the
 * first is thrown on, the second is a backend that says why it is not available.
 */
export function failedImport(name: string, cause: unknown): BackendFactory {
  if (isMissing(packageOf(name), cause)) throw cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  return {
    name,
    priority: 0,
    probe: async () => ({
      available: false,
      reason: `the package ${packageOf(name)} is installed but does not load: ${message}`,
      fix: `install ${packageOf(name)} again, at the version of tutti`,
    }),
    open: () => Promise.reject(cause),
  };
}

/** Node and webpack say it with a code. Vite's placeholder and a browser without a bundler name the package. */
function isMissing(packageName: string, cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  const { code } = cause as { readonly code?: unknown };
  const known = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND' || code === undefined;
  return known && /resolve|find/i.test(cause.message) && cause.message.includes(packageName);
}
