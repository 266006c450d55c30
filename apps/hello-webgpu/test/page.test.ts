import { join } from 'node:path';
import { openPage } from '@tutti/testbed';
import { serveSources } from '@tutti/testbed/site';
import { expect, it } from 'vitest';

it('the page trains on WebGPU, and shows the loss', async () => {
  const site = await serveSources(join(import.meta.dirname, '..'));
  const page = await openPage(site.address);
  try {
    const text = 'document.body?.textContent';
    const last = await page.until<string>(`${text}?.startsWith('step 300:') && ${text}`);
    expect(Number(/loss ([\d.]+)$/.exec(last)?.[1])).toBeLessThan(0.01); // it starts near 0.5
    expect(page.errors).toEqual([]);
  } finally {
    page.close();
    await site.close();
  }
}, 120_000);
