/** Pages of tests, which have functions by name in `globalThis.checks`. */
import type { InlineConfig } from 'vite';
import { type OpenPage, openPage } from '../chromium.ts';
import { serveSources } from './serve.ts';

export type Checks = Readonly<Record<string, (...args: never[]) => unknown>>;

/** Runs a check in the page. Arguments and results are what JSON can hold. */
export type Ask<C extends Checks> = <K extends keyof C & string>(
  check: K,
  ...args: Parameters<C[K]>
) => Promise<Awaited<ReturnType<C[K]>>>;

export interface CheckedPage<C extends Checks> {
  readonly page: OpenPage;
  /** The address of the folder that it is of. */
  readonly origin: string;
  readonly ask: Ask<C>;
  close(): Promise<void>;
}

export interface CheckedPageOptions {
  /** For the server of the sources. */
  readonly server?: InlineConfig;
  /** For the browser, beside the usual. */
  readonly switches?: readonly string[];
}

/** Opens a page of a folder of sources, and waits for its checks. */
export async function openCheckedPage<C extends Checks>(
  root: string,
  path: string,
  { server = {}, switches = [] }: CheckedPageOptions = {},
): Promise<CheckedPage<C>> {
  const site = await serveSources(root, server);
  const page = await openPage(`${site.address}${path}`, switches);
  await page.until("'checks' in globalThis");
  const close = async (): Promise<void> => {
    page.close();
    await site.close();
  };
  const ask: Ask<C> = (check, ...args) =>
    page.evaluate(`checks.${check}(${args.map((each) => JSON.stringify(each)).join()})`);
  return { page, origin: site.address, ask, close };
}
