/** Backends of other people: `--register <module>`. */
import { pathToFileURL } from 'node:url';
import { ArgumentError, type BackendFactory, registerBackend } from 'tutti';

/**
 * Imports a module, and registers every backend that it exports. A path is seen from the working directory; anything else
 * is the name of a package.
 *
 * @throws ArgumentError when it does not load, or has no backend.
 */
export async function registerFrom(module: string): Promise<void> {
  const exported = Object.values(await load(module)).filter(isFactory);
  const factories = [...new Set(exported)];
  if (factories.length === 0) {
    throw new ArgumentError(`--register ${module}: this module exports no backend`, {
      received: module,
      fix: 'export a BackendFactory: { name, priority, probe, open }',
    });
  }
  for (const factory of factories) registerBackend(factory);
}

async function load(module: string): Promise<Record<string, unknown>> {
  const isPath = /^(\.{1,2}[\\/]|[\\/]|[a-zA-Z]:[\\/])/.test(module);
  try {
    return isPath ? await import(pathToFileURL(module).href) : await import(module);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ArgumentError(`--register ${module}: it does not load: ${reason}`, {
      received: module,
      fix: 'give the path of a file of JavaScript, starting with ./ or /, or the name of an installed package',
      cause,
    });
  }
}

function isFactory(value: unknown): value is BackendFactory {
  const given = value as Partial<BackendFactory> | null;
  return (
    typeof given === 'object' &&
    given !== null &&
    typeof given.name === 'string' &&
    typeof given.probe === 'function' &&
    typeof given.open === 'function'
  );
}
