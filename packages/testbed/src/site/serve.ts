/** Folders with pages, served by Vite to the browser of a test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, createServer, type InlineConfig, preview } from 'vite';

export interface Site {
  /** At 127.0.0.1, with a slash at the end. */
  readonly address: string;
  close(): Promise<void>;
}

export interface BuiltSite extends Site {
  /** The files that are served. */
  readonly folder: string;
}

const temporary = (): Promise<string> => mkdtemp(join(tmpdir(), 'tutti-site-'));
const remove = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });

/** Serves the sources of a folder, each as it is asked for. Whoever serves the same folder meanwhile is not disturbed. */
export async function serveSources(root: string, more: InlineConfig = {}): Promise<Site> {
  const cacheDir = await temporary();
  const server = await createServer({
    root,
    cacheDir,
    configFile: false,
    logLevel: 'error',
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    ...more,
  });
  await server.listen();
  const close = async (): Promise<void> => {
    await server.close();
    await remove(cacheDir);
  };
  return { address: server.resolvedUrls!.local[0]!, close };
}

/**
 * Builds a folder with an `index.html`, as for deployment, and serves what comes of it.
 *
 * @param configFile Of Vite. Default: none.
 */
export async function buildSite(root: string, configFile: string | false = false): Promise<BuiltSite> {
  const folder = await temporary();
  const common = { root, configFile, logLevel: 'error' } as const;
  await build({ ...common, build: { outDir: folder, emptyOutDir: true, target: 'es2022' } });
  const server = await preview({
    ...common,
    build: { outDir: folder },
    preview: { host: '127.0.0.1', port: 0 },
  });
  const close = async (): Promise<void> => {
    await server.close();
    await remove(folder);
  };
  return { address: server.resolvedUrls!.local[0]!, folder, close };
}
