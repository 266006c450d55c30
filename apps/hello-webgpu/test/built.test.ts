/** Pages as they are deployed: built, and served as files. */
import { join } from 'node:path';
import { openPage } from '@tutti/testbed';
import { buildSite } from '@tutti/testbed/site';
import { afterEach, expect, it } from 'vitest';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Builds the page in a folder, and gives what it shows once that matches. */
async function shown(root: string, wanted: RegExp): Promise<string> {
  const site = await buildSite(root);
  cleanups.push(site.close);
  const page = await openPage(site.address);
  cleanups.push(() => page.close());
  const text = 'document.body?.textContent';
  const last = await page.until<string>(`${wanted}.test(${text}) && ${text}`);
  expect(page.errors).toEqual([]);
  return last;
}

it('the page trains', async () => {
  const last = await shown(join(import.meta.dirname, '..'), /^step 300:/);
  expect(Number(/loss ([\d.]+)$/.exec(last)?.[1])).toBeLessThan(0.01);
}, 120_000);

it('a page that imports the package of the backend has its device, and waits for no other file', async () => {
  expect(await shown(join(import.meta.dirname, 'built'), /^pixels/)).toBe('pixels 1,2,3');
}, 120_000);
