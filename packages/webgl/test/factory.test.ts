/** What needs no browser. */
import { describe, expect, it } from 'vitest';
import { createWebglBackend, type WebglOptions, webgl } from '../src/index.ts';
import { shortName } from '../src/runtime/description.ts';
import { disposedError, reportedError } from '../src/runtime/failures.ts';
import { bandsOf, rectanglesOf, splitTexels, wordMasks } from '../src/runtime/ranges.ts';

describe('the factory', () => {
  it('says in Node what to use there', async () => {
    const found = await webgl.probe();
    expect(found).toEqual({
      available: false,
      reason: 'WebGL needs a browser, and this is Node',
      fix: expect.stringContaining("'webgpu'"),
    });
    await expect(webgl.open(0)).rejects.toMatchObject({
      code: 'TUTTI_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('needs a browser'),
    });
    await expect(webgl.open(1)).rejects.toThrow(/there is no device webgl:1/);
  });

  it.each([
    [{ canvass: 1 }, 'there is no option "canvass"', 'canvas'],
    [{ canvas: 'c' }, 'canvas is ', 'OffscreenCanvas'],
    [{ context: null }, 'context is null', "canvas.getContext('webgl2')"],
    [{ context: Promise.resolve() }, 'context is a promise', 'await it first'],
    [{ powerPreference: 'most' }, 'powerPreference is "most"', 'low-power'],
  ])('refuses %j', (options, message, fix) => {
    expect(() => createWebglBackend(options as unknown as WebglOptions)).toThrow(
      expect.objectContaining({
        code: 'TUTTI_ARGUMENT',
        message: expect.stringMatching(new RegExp(`createWebglBackend: .*${message}`, 'i')),
        fix: expect.stringContaining(fix),
      }),
    );
  });
});

it('takes a context alone', () => {
  const context = { [Symbol.toStringTag]: 'WebGL2RenderingContext' } as unknown as WebGL2RenderingContext;
  const canvas = { getContext: () => context } as unknown as OffscreenCanvas;
  expect(createWebglBackend({ context }).name).toBe('webgl');
  for (const beside of [{ canvas }, { powerPreference: 'low-power' as const }]) {
    expect(() => createWebglBackend({ context, ...beside })).toThrow(
      expect.objectContaining({
        code: 'TUTTI_ARGUMENT',
        op: 'createWebglBackend',
        message: expect.stringContaining(`${Object.keys(beside)[0]} is of no use beside a context`),
        fix: expect.stringContaining('pass one of them'),
      }),
    );
  }
});

it('says what to do about a device that has ended', () => {
  expect(disposedError()).toMatchObject({
    message: expect.stringContaining('the webgl device has been disposed'),
    fix: expect.stringContaining("await setDefaultDevice('webgl')"),
  });
  const fixes = (['own', 'canvas'] as const).map(
    (ownership) => reportedError(1282, 'INVALID_OPERATION', ownership).fix,
  );
  expect(fixes).toEqual([
    expect.stringMatching(/^this is a defect of the library/),
    expect.stringMatching(/^if the page uses the context of this canvas too/),
  ]);
});

it('calls a GPU by the part of its name that tells', () => {
  const vulkan = 'Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE))';
  expect(shortName(`ANGLE (Google, ${vulkan}, SwiftShader driver)`)).toBe(vulkan);
  expect(shortName('ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)')).toBe(
    'Mesa Intel(R) UHD Graphics 620 (KBL GT2)',
  );
  expect(shortName('ANGLE (Apple, ANGLE Metal Renderer: Apple M1, Unspecified Version)')).toBe(
    'ANGLE Metal Renderer: Apple M1',
  );
  expect(shortName('Apple GPU')).toBe('Apple GPU');
  expect(shortName('Adreno (TM) 640')).toBe('Adreno (TM) 640');
});

describe('ranges of bytes', () => {
  it('are cut into whole texels and the ends of texels', () => {
    expect(splitTexels(0, 32, 100)).toEqual({ from: 0, to: 2, partial: [] });
    expect(splitTexels(1, 35, 100)).toEqual({
      from: 1,
      to: 2,
      partial: [
        { texel: 0, from: 1, to: 16 },
        { texel: 2, from: 0, to: 3 },
      ],
    });
    expect(splitTexels(17, 19, 100)).toMatchObject({ partial: [{ texel: 1, from: 1, to: 3 }] });
    expect(splitTexels(15, 17, 100)).toEqual({
      from: 1,
      to: 1,
      partial: [
        { texel: 0, from: 15, to: 16 },
        { texel: 1, from: 0, to: 1 },
      ],
    });
    // What is behind the end belongs to nobody.
    expect(splitTexels(0, 7, 7)).toEqual({ from: 0, to: 1, partial: [] });
    expect(splitTexels(17, 19, 19)).toEqual({ from: 2, to: 2, partial: [{ texel: 1, from: 1, to: 16 }] });
  });

  it('are masks of the words of a texel', () => {
    expect(wordMasks({ texel: 0, from: 3, to: 9 })).toEqual([0xff000000 | 0, -1, 0xff, 0]);
  });
});

describe('ranges of texels', () => {
  it('are rectangles: the rest of a row, whole rows, the beginning of a row', () => {
    expect(rectanglesOf(0, 3, 8)).toEqual([{ x: 0, y: 0, width: 3, height: 1 }]);
    expect(rectanglesOf(5, 5, 8)).toEqual([]);
    expect(rectanglesOf(5, 27, 8)).toEqual([
      { x: 5, y: 0, width: 3, height: 1 },
      { x: 0, y: 1, width: 8, height: 2 },
      { x: 0, y: 3, width: 3, height: 1 },
    ]);
  });

  it('are cut in bands that cover each texel once', () => {
    for (const most of [1, 3, 8, 20, 1000]) {
      const bands = bandsOf(rectanglesOf(0, 53, 8), most);
      const texels = bands.flatMap(({ x, y, width, height }) =>
        Array.from({ length: width * height }, (_, i) => (y + Math.floor(i / width)) * 8 + x + (i % width)),
      );
      expect(texels.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 53 }, (_, i) => i));
      for (const { width, height } of bands) expect(width * height).toBeLessThanOrEqual(most);
    }
  });
});
