/** The page: runs the suite as its address asks, shows the report, and posts it to where it was served from. */
import { formatReport, type Mode, runConformance } from '@tutti/conformance';
import { registerBackend } from '@tutti/core';
import { createCpuBackend } from '@tutti/cpu';
import { webgl } from '@tutti/webgl';
import { createWebgpuBackend, type WebgpuOptions } from '@tutti/webgpu';
import { type PageMessage, pageBackends } from '../harness/message.ts';

const query = new URLSearchParams(location.search);
const shown = document.querySelector('#report')!;

/** What the address says under a name; undefined where it says nothing. */
function wish<T>(name: string, read: (text: string) => T): T | undefined {
  const text = query.get(name);
  return text === null ? undefined : read(text);
}

const listOf = (text: string): string[] => text.split(',');

const post = (message: PageMessage): Promise<Response> =>
  fetch('/message', { method: 'POST', body: JSON.stringify(message) });

async function run(): Promise<PageMessage> {
  const limits = wish('limits', (text) => text as NonNullable<WebgpuOptions['limits']>);
  registerBackend(createCpuBackend());
  registerBackend(createWebgpuBackend(limits ? { limits } : {}));
  registerBackend(webgl);
  const filter = wish('filter', String);
  const modes = wish('modes', (text) => listOf(text) as Mode[]);
  const randomGraphs = wish('randomGraphs', Number);
  const every = wish('every', Number);
  const shard = wish('shard', (text) => {
    const [index, count] = text.split('/').map(Number);
    return { index: index!, count: count! };
  });
  const { report } = await runConformance({
    backends: wish('backends', listOf) ?? pageBackends,
    ...(filter ? { filter } : {}),
    ...(modes ? { modes } : {}),
    ...(randomGraphs === undefined ? {} : { randomGraphs }),
    ...(every ? { every } : {}),
    ...(shard ? { shard } : {}),
    onProgress: (progress) => {
      shown.textContent = `${progress.done} of ${progress.total}: ${progress.case}`;
      void post({ kind: 'progress', progress });
    },
  });
  shown.textContent = formatReport(report);
  return { kind: 'result', isolated: crossOriginIsolated, report };
}

run()
  .catch(
    (error: unknown): PageMessage => ({
      kind: 'error',
      text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }),
  )
  .then(post);
