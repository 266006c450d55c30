import { join } from 'node:path';
import { openPage } from '@tutti/testbed';
import { buildSite } from '@tutti/testbed/site';
import { expect, it } from 'vitest';

it('a built page that imports packages of backends has their devices, and waits for no other file', async () => {
  const site = await buildSite(join(import.meta.dirname, 'imports'));
  const page = await openPage(site.address);
  try {
    const text = 'document.body?.textContent';
    const shown = await page.until<string>(`/^pixels/.test(${text}) && ${text}`);
    expect(shown).toMatch(/^pixels 1,2,3; fromImage: device webgl is not one of WebGPU/);
    expect(shown).toContain('import the function from the package of that device');
    expect(page.errors).toEqual([]);
  } finally {
    page.close();
    await site.close();
  }
}, 60_000);
