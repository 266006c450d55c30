import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ConformanceProgress, SelectionOptions } from '@tutti/conformance';
import { ArgumentError, KernelError } from '@tutti/core/backend';
import { openPage } from '@tutti/testbed';
import type { PageMessage } from './message.ts';
import { servePage } from './server.ts';

export interface BrowserRunOptions extends SelectionOptions {
  /** Backends that must run. Default: all that a page can have. */
  readonly backends?: readonly string[];
  /** `default`: WebGPU without anything that not every device has. */
  readonly limits?: string | undefined;
  /** Whether the page has SharedArrayBuffer, and so worker threads. Default true. */
  readonly isolated?: boolean;
  readonly filter?: string;
  /** Milliseconds without a word from the page after which the run is given up. Default 120,000. */
  readonly patience?: number;
  readonly onProgress?: (progress: ConformanceProgress) => void;
}

export type BrowserRun = Extract<PageMessage, { kind: 'result' }>;

/** The built page, from where this file lies in `src` and in `dist` alike. */
const folder = join(import.meta.dirname, '..', '..', 'dist', 'page');

function address(origin: string, options: BrowserRunOptions): string {
  const { backends, limits, filter, modes, randomGraphs, every } = options;
  const query = new URLSearchParams();
  const wishes = { backends, limits, filter, modes, randomGraphs, every };
  for (const [name, wish] of Object.entries(wishes)) if (wish !== undefined) query.set(name, String(wish));
  return `${origin}/?${query}`;
}

/**
 * Runs the suite in a page of a headless browser.
 *
 * @throws BackendUnavailableError where there is no browser; KernelError when the page fails or falls silent.
 */
export async function runInBrowser(options: BrowserRunOptions = {}): Promise<BrowserRun> {
  if (!existsSync(join(folder, 'index.html'))) {
    throw new ArgumentError('the page has not been built', { received: folder, fix: 'run pnpm build first' });
  }
  const patience = options.patience ?? 120_000;
  let settle: (message: PageMessage) => void = () => {};
  const finished = new Promise<PageMessage>((resolve) => {
    settle = resolve;
  });
  const giveUp = () => settle({ kind: 'error', text: `no word from the page for ${patience / 1000} s` });
  let timer = setTimeout(giveUp, patience);
  const server = await servePage({
    folder,
    isolated: options.isolated ?? true,
    onMessage: (message) => {
      clearTimeout(timer);
      if (message.kind !== 'progress') return settle(message);
      timer = setTimeout(giveUp, patience);
      options.onProgress?.(message.progress);
    },
  });
  const page = await openPage(address(server.origin, options));
  try {
    const message = await Promise.race([
      finished,
      page.ended.then((text): PageMessage => ({ kind: 'error', text })),
    ]);
    if (message.kind === 'result') return message;
    throw new KernelError(`the page failed: ${message.kind === 'error' ? message.text : message.kind}`);
  } finally {
    clearTimeout(timer);
    page.close();
    server.close();
  }
}
