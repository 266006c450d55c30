/** The page as it is deployed, built and served as files, in Chromium. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type OpenPage, openPage } from '@tutti/testbed';
import { buildSite } from '@tutti/testbed/site';

/** What the page shows at the end. */
export interface Shown {
  readonly state: 'done' | 'failed';
  readonly device: string;
  readonly passedOver: readonly string[];
  readonly step: string;
  readonly loss: string;
  readonly accuracy: string;
  readonly speed: string;
  /** Empty where there was no error. */
  readonly reason: string;
  readonly fix: string;
}

export interface Playground {
  /** Opens the page with these parameters. @param before A script that runs before those of the page. */
  open(parameters: string, before?: string): Promise<OpenPage>;
  /** What it shows in the end. */
  visit(parameters: string, before?: string): Promise<Shown>;
  close(): Promise<void>;
}

const playground = join(import.meta.dirname, '../..');

export async function buildPlayground(): Promise<Playground> {
  const { address, folder, close } = await buildSite(playground, join(playground, 'vite.config.ts'));
  const index = await readFile(join(folder, 'index.html'), 'utf8');
  let pages = 0;

  async function open(parameters: string, before = ''): Promise<OpenPage> {
    const name = `page-${++pages}.html`;
    await writeFile(join(folder, name), index.replace('<head>', `<head><script>${before}</script>`));
    return openPage(`${address}${name}${parameters}`);
  }
  async function visit(parameters: string, before?: string): Promise<Shown> {
    const page = await open(parameters, before);
    try {
      await page.until("['done', 'failed'].includes(document.body?.dataset.state)");
      return await shown(page);
    } finally {
      page.close();
    }
  }
  return { open, visit, close };
}

export const shown = (page: OpenPage): Promise<Shown> =>
  page.evaluate(`(() => {
    const text = (id) => document.getElementById(id).textContent;
    return {
      state: document.body.dataset.state,
      device: text('device'),
      passedOver: [...document.querySelectorAll('#passed-over li')].map((item) => item.textContent),
      step: text('step'),
      loss: text('loss'),
      accuracy: text('accuracy'),
      speed: text('speed'),
      reason: text('reason'),
      fix: text('fix'),
    };
  })()`);
