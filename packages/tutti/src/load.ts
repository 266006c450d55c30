import { type BackendFactory, lazyBackend } from '@tutti/core';

const packageOf = (name: string): string => `@tutti/${name}`;

/** A backend whose package need not be installed. Its import is tried when the backend is first asked for something. */
export function optionalBackend(
  backend: { readonly name: string; readonly priority: number; readonly planned: boolean },
  load: () => Promise<BackendFactory>,
): BackendFactory {
  const { name, priority, planned } = backend;
  const packageName = packageOf(name);
  const missing = planned
    ? {
        reason: `it is planned: there is no package ${packageName} yet`,
        fix: 'use another device: `tutti doctor` lists those of this machine',
      }
    : { reason: `the package ${packageName} is not installed`, fix: `npm install ${packageName}` };
  return lazyBackend({ name, priority, load, missing });
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
