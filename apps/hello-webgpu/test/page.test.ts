import { join } from 'node:path';
import { openPage } from '@tutti/testbed';
import { createServer } from 'vite';
import { expect, it } from 'vitest';

it('the page trains on WebGPU, and shows the loss', async () => {
  const server = await createServer({
    root: join(import.meta.dirname, '..'),
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    logLevel: 'error',
  });
  await server.listen();
  const page = await openPage(server.resolvedUrls!.local[0]!);
  try {
    const text = 'document.body?.textContent';
    const last = await page.until<string>(`${text}?.startsWith('step 300:') && ${text}`);
    expect(Number(/loss ([\d.]+)$/.exec(last)?.[1])).toBeLessThan(0.01); // it starts near 0.5
    expect(page.errors).toEqual([]);
  } finally {
    page.close();
    await server.close();
  }
}, 120_000);
