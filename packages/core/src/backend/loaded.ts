/** Backends whose packages are loaded, whoever imported them. */
import type { BackendFactory } from './backend.ts';

const loaded = new Map<string, BackendFactory>();

/**
 * Says that the package of a backend is loaded, so that nobody imports it a second time to have its factory. A package says
 * so beside whatever else its users import of it: a bundler puts that into the same file as the page's own program, and a
 * program that imports its own file while it runs, with `await` at its top level, waits for itself.
 */
export function announceBackend(factory: BackendFactory): void {
  loaded.set(factory.name, factory);
}

export const announcedBackend = (name: string): BackendFactory | undefined => loaded.get(name);
