import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlayground, type Playground, type Shown, shown } from './support/site.ts';

let site: Playground;
beforeAll(async () => {
  site = await buildPlayground();
}, 60_000);
afterAll(() => site.close());

/** Small enough for a GPU in software, large enough to learn something. */
const small = '&model=mlp&train=600&test=200&epochs=3&batch=30';

const noWebgpu = 'delete Navigator.prototype.gpu;';
/** The context says that it is hardware: software is passed over, and a machine without a GPU has nothing else. */
const hardware = `
const { getParameter } = WebGL2RenderingContext.prototype;
WebGL2RenderingContext.prototype.getParameter = function (name) {
  const { UNMASKED_RENDERER_WEBGL } = this.getExtension('WEBGL_debug_renderer_info');
  return name === UNMASKED_RENDERER_WEBGL ? 'ANGLE (Maker, Maker Graphics 600, OpenGL ES 3.2)' : getParameter.call(this, name);
};`;

/** The page keeps its context where a test finds it. */
const kept = `
const { getContext } = OffscreenCanvas.prototype;
OffscreenCanvas.prototype.getContext = function (...args) {
  return (globalThis.context = getContext.apply(this, args));
};`;

const correctOf = ({ accuracy }: Shown): number => Number(/\((\d+)\/200\)$/.exec(accuracy)?.[1]);

describe('training', () => {
  it.each([
    { parameters: small, least: 140 },
    { parameters: '&model=cnn&train=120&test=200&epochs=1&batch=20', least: 40 },
  ])(
    'on WebGL comes to what it comes to on the processor: $parameters',
    async ({ parameters, least }) => {
      const cpu = await site.visit(`?device=cpu${parameters}`);
      const webgl = await site.visit(`?device=webgl${parameters}`);
      expect([cpu, webgl]).toMatchObject([
        { state: 'done', device: expect.stringMatching(/^cpu: .* \(named in the address\)$/) },
        { state: 'done', device: expect.stringMatching(/^webgl: .*WebGL 2.* \(named in the address\)$/) },
      ]);
      expect(webgl.step).toBe(cpu.step);
      expect(Number(webgl.speed)).toBeGreaterThan(0);
      expect(correctOf(cpu)).toBeGreaterThan(least);
      expect(Math.abs(correctOf(webgl) - correctOf(cpu)) / 200).toBeLessThanOrEqual(0.005);
      expect(Math.abs(Number(webgl.loss) / Number(cpu.loss) - 1)).toBeLessThan(0.01);
    },
    120_000,
  );

  it('shows how a lost context ends it, and what to do', async () => {
    const page = await site.open('?device=webgl&model=mlp&train=2000&test=10&epochs=100&batch=10', kept);
    try {
      await page.until("Number.parseInt(document.getElementById('step')?.textContent) > 3");
      await page.evaluate("context.getExtension('WEBGL_lose_context').loseContext()");
      await page.until("document.body.dataset.state === 'failed'");
      expect(await shown(page)).toMatchObject({
        reason: 'the WebGL context was lost; its tensors are gone',
        fix: expect.stringContaining('open the device again'),
      });
      expect(page.errors).toEqual([]);
    } finally {
      page.close();
    }
  }, 60_000);
});

describe('the device', () => {
  it('is WebGL where there is no WebGPU, and the page says why', async () => {
    const taken = await site.visit('?model=mlp&train=60&test=20&epochs=1&batch=30', noWebgpu + hardware);
    expect(taken).toMatchObject({
      state: 'done',
      device: 'webgl: Maker Graphics 600, WebGL 2 (the best one here)',
      step: '2 of 2, epoch 1 of 1',
    });
    expect(taken.passedOver).toContainEqual(expect.stringMatching(/^not webgpu: .+ \(to have it: .+\)$/));
    expect(taken.passedOver.join()).not.toMatch(/not (webgl|cpu|cuda)/); // no page has cuda
  }, 60_000);

  it('is no software that stands in for a GPU', async () => {
    const taken = await site.visit('?model=mlp&train=60&test=20&epochs=1&batch=30');
    expect(taken).toMatchObject({ state: 'done', device: expect.stringMatching(/^cpu: /) });
    for (const backend of ['webgpu', 'webgl']) {
      expect(taken.passedOver).toContainEqual(
        expect.stringMatching(
          new RegExp(
            `^not ${backend}: software stands in for its hardware.*\\(to have it: \\?device=${backend} in the address\\)$`,
          ),
        ),
      );
    }
  }, 60_000);

  it('is what the address names or none', async () => {
    expect(await site.visit('?device=webgpu', noWebgpu + hardware)).toEqual({
      state: 'failed',
      device: '',
      passedOver: [],
      step: '–',
      loss: '–',
      accuracy: '–',
      speed: '–',
      reason: expect.stringMatching(/^device webgpu is not available: .*WebGPU/),
      fix: expect.stringMatching(/Chrome|browser/),
    });
    expect(await site.visit('?device=webgl', 'delete globalThis.WebGL2RenderingContext;')).toMatchObject({
      state: 'failed',
      step: '–',
      reason: 'device webgl is not available: this browser has no WebGL 2',
      fix: expect.stringContaining('cpu runs everywhere'),
    });
  }, 60_000);
});
