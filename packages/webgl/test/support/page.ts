/** A page of the test folder in Chromium. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenPage, openPage } from '@tutti/testbed';
import { createServer } from 'vite';
import { afterAll } from 'vitest';

export interface TestPage {
  readonly page: OpenPage;
  readonly origin: string;
  close(): Promise<void>;
}

/** Opens `test/browser/<name>.html` and waits for `checks`. */
export async function openTestPage(name: string, more: readonly string[] = []): Promise<TestPage> {
  const cacheDir = mkdtempSync(join(tmpdir(), 'tutti-vite-'));
  const server = await createServer({
    root: join(import.meta.dirname, '../..'),
    cacheDir,
    configFile: false,
    logLevel: 'error',
    optimizeDeps: { include: ['gpu.js/src/backend/web-gl2/kernel.js'], noDiscovery: true },
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
  });
  await server.listen();
  const origin = server.resolvedUrls!.local[0]!;
  const page = await openPage(`${origin}test/browser/${name}.html`, more);
  await page.until("'checks' in globalThis");
  const close = async (): Promise<void> => {
    page.close();
    await server.close();
    rmSync(cacheDir, { recursive: true, force: true });
  };
  return { page, origin, close };
}

type Functions = Readonly<Record<string, (...args: never[]) => unknown>>;
export type Ask<C extends Functions> = <K extends keyof C & string>(
  check: K,
  ...args: Parameters<C[K]>
) => Promise<Awaited<ReturnType<C[K]>>>;

/** Asks a page that is opened with the first question, and closed when the file's tests are done. */
export function pageOf<C extends Functions>(
  name: string,
  more: readonly string[] = [],
): { readonly ask: Ask<C>; readonly opened: () => Promise<TestPage> } {
  let opening: Promise<TestPage> | undefined;
  const opened = (): Promise<TestPage> => {
    opening ??= openTestPage(name, more);
    return opening;
  };
  afterAll(async () => {
    if (opening) await (await opening).close();
  });
  const ask = async <K extends keyof C & string>(check: K, ...args: Parameters<C[K]>) => {
    const { page } = await opened();
    const call = `checks.${check}(${args.map((each) => JSON.stringify(each)).join()})`;
    return page.evaluate<never>(call);
  };
  return { ask, opened };
}
