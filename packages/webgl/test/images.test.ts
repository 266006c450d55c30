/** Images, canvases and videos as tensors. */
import { checkRefusals, drawingCases, takingCases } from '@tutti/testbed/image-cases';
import { describe, expect, it } from 'vitest';
import type { Checks } from './browser/images.ts';
import { pageOf } from './support/page.ts';

/** Without Vulkan, this browser gives no frames of a video to the GPU. */
const videoFrames = ['--enable-features=Vulkan', '--use-vulkan=swiftshader'];
const { ask, opened } = pageOf<Checks>('images', videoFrames);

describe('fromImage', () => {
  for (const { name, check } of takingCases) it(name, () => check(ask));
});

describe('toCanvas', () => {
  for (const { name, check } of drawingCases) it(name, () => check(ask));
});

it('says what is wrong with an image or a canvas', async () => {
  const { origin, page } = await opened();
  await checkRefusals(ask, origin, 'test/browser/dot.svg', "getContext('2d')");
  expect(page.errors).toEqual([]);
});
