/** Images and canvases, which only a browser has. */
import { join } from 'node:path';
import { checkRefusal, checkRefusals, drawingCases, takingCases } from '@tutti/testbed/image-cases';
import { type Ask, type CheckedPage, openCheckedPage } from '@tutti/testbed/site';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Checks } from './browser/page.ts';

let opened: CheckedPage<Checks>;
beforeAll(async () => {
  opened = await openCheckedPage(join(import.meta.dirname, '..'), 'test/browser/index.html');
}, 120_000);
afterAll(() => opened.close());

const ask: Ask<Checks> = (check, ...args) => opened.ask(check, ...args);

describe('fromImage', () => {
  for (const { name, check } of takingCases) it(name, () => check(ask));
});

describe('toCanvas', () => {
  for (const { name, check } of drawingCases) it(name, () => check(ask));
});

it('the buffer of a tensor goes into commands of the page', async () => {
  expect(await ask('buffer')).toEqual([3, 6, 9]);
});

it('says what is wrong with an image or a canvas', async () => {
  await checkRefusals(ask, opened.origin, 'test/browser/dot.svg', 'drawImage');
  const said = ['does not hand out the pixels of this HTMLCanvasElement', 'canvas.getContext'] as const;
  checkRefusal('undrawn', await ask('undrawn'), said);
  expect(opened.page.errors).toEqual([]);
});
