/** What users install: gpu.js is in it, and nothing of it is to be installed beside it. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { bundle, licence } from '../scripts/bundle.mjs';
import type { Checks } from './browser/published.ts';
import { pageOf } from './support/page.ts';

const root = join(import.meta.dirname, '..');
const { ask } = pageOf<Checks>('published');

/** A copy of dist, where packages are found as from dist. */
let dist: string;
beforeAll(async () => {
  dist = mkdtempSync(join(root, 'node_modules', '.published-'));
  cpSync(join(root, 'dist'), dist, { recursive: true });
  const { bytes } = await bundle(dist);
  console.info(`the bundle with gpu.js has ${Math.round(bytes / 1024)} KiB`);
});
afterAll(() => rmSync(dist, { recursive: true, force: true }));

const read = (...path: string[]): string => readFileSync(join(...path), 'utf8');

it('no file imports gpu.js', () => {
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(js|d\.ts)$/.test(file),
  );
  expect(files).toContain(join('gpu', 'texel-kernel.js'));
  const specifier = /(?:from|import|require)\s*\(?\s*['"]([\w@./-]+)['"]/g;
  for (const file of files) {
    const packages = [...read(dist, file).matchAll(specifier)]
      .map(([, name]) => name!)
      .filter((name) => !name.startsWith('.'));
    expect(
      packages.filter((name) => !name.startsWith('@tutti/core')),
      file,
    ).toEqual([]);
  }
  const { dependencies, devDependencies } = JSON.parse(read(root, 'package.json')) as {
    readonly dependencies: object;
    readonly devDependencies: object;
  };
  expect(Object.keys(dependencies)).toEqual(['@tutti/core']);
  expect(devDependencies).toHaveProperty(['gpu.js']);
});

it('the licence of gpu.js comes with it', () => {
  const bare = (text: string): string => text.replaceAll(/[\s*]+/g, ' ');
  expect(bare(read(dist, 'gpu', 'texel-kernel.js'))).toContain(bare(licence));
  expect(bare(read(root, 'THIRD-PARTY-LICENSES.md'))).toContain(bare(licence));
});

it('computes', async () => {
  const found = await ask('compute', `/node_modules/${dist.split('/').at(-1)}/index.js`);
  expect(found).toEqual({ available: true, bytes: [1, 2, 3, 9, 9, 6, 7, 8] });
});
