/** Measurements in pages of headless Chromium. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPage } from '@tutti/testbed';
import type { Answer, Assignment } from '../carry-out.ts';
import { fromText } from '../floats.ts';
import type { PagePlace } from '../suites.ts';

export interface Pages {
  /** One browser with one page, which makes the measurement. */
  measure(place: PagePlace, assignment: Assignment, timeout: number): Promise<Answer>;
  close(): Promise<void>;
}

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, 'node_modules', '.cache');

/** Bundles the page anew, so that it has what the packages have now, and serves it. */
export async function servePages(): Promise<Pages> {
  const { build, preview } = await import('vite');
  mkdirSync(cache, { recursive: true });
  const outDir = mkdtempSync(join(cache, 'page-')); // another run may be serving its own
  await build({ root, logLevel: 'error', build: { outDir } });
  const server = await preview({
    root,
    logLevel: 'error',
    build: { outDir },
    preview: { host: '127.0.0.1', port: 0, open: false },
  });
  const [address] = server.resolvedUrls!.local;
  return {
    measure: (place, assignment, timeout) => inFreshPage(address!, place, assignment, timeout),
    close: async () => {
      await server.close();
      rmSync(outDir, { recursive: true, force: true });
    },
  };
}

async function inFreshPage(
  address: string,
  place: PagePlace,
  assignment: Assignment,
  timeout: number,
): Promise<Answer> {
  const page = await openPage(address);
  const over = new AbortController();
  const failed = (reason: string): Answer => ({ status: 'failed', reason });
  try {
    await page.until("typeof measureHere === 'function'");
    return await Promise.race([
      page
        .evaluate<Answer | TextAnswer>(`measureHere(${JSON.stringify(place)}, ${JSON.stringify(assignment)})`)
        .then(withNumbers),
      page.ended.then(failed),
      sleep(timeout, undefined, { signal: over.signal }).then(
        (): Answer => ({ status: 'slow', reason: `not done after ${timeout / 1000} s` }),
      ),
    ]);
  } catch (error) {
    return failed([(error as Error).message, ...page.errors].join('\n'));
  } finally {
    over.abort();
    page.close();
  }
}

type TextAnswer = { readonly status: 'measured'; readonly result: string };

function withNumbers(answer: Answer | TextAnswer): Answer {
  if (answer.status !== 'measured' || typeof answer.result !== 'string') return answer as Answer;
  return { ...(answer as object), result: fromText(answer.result) } as Answer;
}
