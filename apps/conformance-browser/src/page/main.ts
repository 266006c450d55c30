/** The page: runs the suite as its address asks, shows the report, and posts it to where it was served from. */
import { formatReport, type Mode, runConformance } from '@tutti/conformance';
import { registerBackend } from '@tutti/core';
import { createCpuBackend } from '@tutti/cpu';
import type { PageMessage } from '../harness/message.ts';

const query = new URLSearchParams(location.search);
const shown = document.querySelector('#report')!;

const post = (message: PageMessage): Promise<Response> =>
  fetch('/message', { method: 'POST', body: JSON.stringify(message) });

async function run(): Promise<PageMessage> {
  registerBackend(createCpuBackend());
  const filter = query.get('filter');
  const modes = query.get('modes');
  const { report, exitCode } = await runConformance({
    backends: ['cpu'],
    ...(filter ? { filter } : {}),
    ...(modes ? { modes: modes.split(',') as Mode[] } : {}),
    randomGraphs: Number(query.get('randomGraphs') ?? 60),
    onProgress: (progress) => {
      shown.textContent = `${progress.done} of ${progress.total}: ${progress.case}`;
      void post({ kind: 'progress', progress });
    },
  });
  shown.textContent = formatReport(report);
  return { kind: 'result', isolated: crossOriginIsolated, report, exitCode };
}

run()
  .catch(
    (error: unknown): PageMessage => ({
      kind: 'error',
      text: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }),
  )
  .then(post);
