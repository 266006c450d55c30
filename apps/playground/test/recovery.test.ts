import { join } from 'node:path';
import { openPage } from '@tutti/testbed';
import { buildSite } from '@tutti/testbed/site';
import { expect, it } from 'vitest';
import type { Recovered } from './recovery/main.ts';

it('after a lost context, training goes on in another one from a state dict', async () => {
  const site = await buildSite(join(import.meta.dirname, 'recovery'));
  const page = await openPage(site.address);
  try {
    await page.until("'recover' in globalThis");
    const { before, error, after } = await page.evaluate<Recovered>('recover()');
    expect(error).toEqual({
      code: 'TUTTI_DEVICE',
      fix: expect.stringContaining("setDefaultDevice('webgl')"),
    });
    const last = before.at(-1)!;
    expect(last).toBeLessThan(before[0]!);
    expect(Math.abs(after[0]! / last - 1)).toBeLessThan(0.1); // where it was, and not anew
    expect(after.at(-1)!).toBeLessThan(last / 2);
    expect(page.errors).toEqual([]);
  } finally {
    page.close();
    await site.close();
  }
}, 60_000);
