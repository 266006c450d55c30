/** A page of the test folder in Chromium. */
import { join } from 'node:path';
import { type Ask, type CheckedPage, type Checks, openCheckedPage } from '@tutti/testbed/site';
import { afterAll } from 'vitest';

const root = join(import.meta.dirname, '../..');
const server = {
  optimizeDeps: { include: ['gpu.js/src/backend/web-gl2/kernel.js'], noDiscovery: true },
};

/** Asks `test/browser/<name>.html`, which is opened with the first question, and closed when the file's tests are done. */
export function pageOf<C extends Checks>(
  name: string,
  switches: readonly string[] = [],
): { readonly ask: Ask<C>; readonly opened: () => Promise<CheckedPage<C>> } {
  let opening: Promise<CheckedPage<C>> | undefined;
  const opened = (): Promise<CheckedPage<C>> => {
    opening ??= openCheckedPage(root, `test/browser/${name}.html`, { server, switches });
    return opening;
  };
  afterAll(async () => (await opening)?.close());
  const ask: Ask<C> = (check, ...args) => opened().then((page) => page.ask(check, ...args));
  return { ask, opened };
}
