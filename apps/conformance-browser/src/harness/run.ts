import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ConformanceProgress,
  exitCode,
  mergeShards,
  type SelectionOptions,
  type Shard,
} from '@tutti/conformance';
import { ArgumentError, KernelError } from '@tutti/core/backend';
import { openPage } from '@tutti/testbed';
import { type PageMessage, pageBackends } from './message.ts';
import { servePage } from './server.ts';

export interface BrowserRunOptions extends SelectionOptions {
  /** Backends that must run. Default: all that a page can have. */
  readonly backends?: readonly string[];
  /** `default`: WebGPU without anything that not every device has. */
  readonly limits?: string | undefined;
  /** Whether the page has SharedArrayBuffer, and so worker threads. Default true. */
  readonly isolated?: boolean;
  readonly filter?: string;
  /** Browsers among which the suite is shared: shaders are compiled one after the other in each. Default 1. */
  readonly browsers?: number;
  /** Milliseconds without a word from the page after which the run is given up. Default 120,000. */
  readonly patience?: number;
  readonly onProgress?: (progress: ConformanceProgress) => void;
}

type ShardRun = Extract<PageMessage, { kind: 'result' }>;

export interface BrowserRun extends Omit<ShardRun, 'kind'> {
  readonly exitCode: 0 | 1;
}

/** The built page, from where this file lies in `src` and in `dist` alike. */
const folder = join(import.meta.dirname, '..', '..', 'dist', 'page');

function address(origin: string, options: BrowserRunOptions, shard: Shard): string {
  const { backends, limits, filter, modes, randomGraphs, every } = options;
  const query = new URLSearchParams();
  const part = shard.count > 1 ? `${shard.index}/${shard.count}` : undefined;
  const wishes = { backends, limits, filter, modes, randomGraphs, every, shard: part };
  for (const [name, wish] of Object.entries(wishes)) if (wish !== undefined) query.set(name, String(wish));
  return `${origin}/?${query}`;
}

/**
 * Runs the suite in a page of a headless browser, or of several.
 *
 * @throws BackendUnavailableError where there is no browser; KernelError when a page fails or falls silent.
 */
export async function runInBrowser(options: BrowserRunOptions = {}): Promise<BrowserRun> {
  const count = options.browsers ?? 1;
  const done = new Array<number>(count).fill(0);
  const totals = new Array<number>(count).fill(0);
  const tell = (index: number) => (progress: ConformanceProgress) => {
    done[index] = progress.done;
    totals[index] = progress.total;
    options.onProgress?.({ case: progress.case, done: sum(done), total: sum(totals) });
  };
  const failed = new AbortController();
  const settled = await Promise.allSettled(
    done.map((_, index) =>
      runShard({ ...options, onProgress: tell(index) }, { index, count }, failed.signal).catch((error) => {
        if (!failed.signal.aborted) failed.abort(error); // what the others would give cannot be used
        throw error;
      }),
    ),
  );
  const runs = settled.map((each) => {
    if (each.status === 'fulfilled') return each.value;
    throw failed.signal.reason; // the first failure, not what it did to the others
  });
  const report = mergeShards(runs.map((run) => run.report));
  return {
    isolated: runs.every(({ isolated }) => isolated),
    report,
    exitCode: exitCode(report, options.backends ?? pageBackends),
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

async function runShard(options: BrowserRunOptions, shard: Shard, stop: AbortSignal): Promise<ShardRun> {
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
  const stopped = new Promise<PageMessage>((resolve) => {
    const end = (): void => resolve({ kind: 'error', text: 'another page failed' });
    if (stop.aborted) end();
    else stop.addEventListener('abort', end, { once: true });
  });
  const page = await openPage(address(server.origin, options, shard));
  try {
    const message = await Promise.race([
      finished,
      page.ended.then((text): PageMessage => ({ kind: 'error', text })),
      stopped,
    ]);
    if (message.kind === 'result') return message;
    throw new KernelError(`the page failed: ${message.kind === 'error' ? message.text : message.kind}`);
  } finally {
    clearTimeout(timer);
    page.close();
    server.close();
  }
}
