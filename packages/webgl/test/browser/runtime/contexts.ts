/** Contexts that are lost, of others, used again, or not to be had. */

import { dispatch, download, upload } from '@tutti/core/testing';
import { loseContext } from '../../../src/runtime/context.ts';
import type { Ownership } from '../../../src/runtime/failures.ts';
import { findContext, isAbsent, unusable } from '../../../src/runtime/find.ts';
import { affine, failure, increment, make, makeOn, newContext } from '../device.ts';
import { device, ready } from './shared.ts';

export const contextChecks = {
  async lost() {
    const own = make();
    const { backend, gl } = own;
    const loaded = await ready(own, affine(4));
    const [a, b] = [upload(backend, new Int32Array(16)), backend.allocate(64)];
    const { done } = backend.submit([dispatch(loaded, [a, b], [1])]);
    const pending = backend.read(b, 0, 64);
    const compiling = backend.load(increment(3)).ready;
    gl.getExtension('WEBGL_lose_context')!.loseContext();
    // Its event has not come yet.
    const atOnce = await failure(() => backend.submit([dispatch(loaded, [a, b], [1])]));
    const failures = await Promise.all(
      [() => done, () => pending, () => compiling].map((each) => failure(each)),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    const later = await Promise.all([
      failure(() => backend.allocate(4)),
      failure(() => backend.read(a, 0, 4)),
      failure(() => backend.readSync(a, 0, 4)),
      failure(() => backend.write(a, new Uint8Array(4))),
      failure(() => backend.time([])),
      failure(() => backend.free(a)),
    ]);
    const memory = backend.memory();
    const again = make();
    const buffer = upload(again.backend, [1, 2, 3, 4]);
    again.backend.submit([dispatch(await ready(again, increment(1)), [buffer])]);
    const recovered = await download(again.backend, buffer);
    again.backend.dispose();
    return { atOnce, failures, later, memory, recovered };
  },

  /** By the event alone: nothing is called in between. */
  async lostQuietly() {
    const { backend, gl } = make();
    const failed = backend.failure;
    const event = new Promise((resolve) => gl.canvas.addEventListener('webglcontextlost', resolve));
    gl.getExtension('WEBGL_lose_context')!.loseContext();
    await event;
    return [failed?.code, backend.failure?.code, backend.failure?.message];
  },

  /** On a context that the page has as well, in a state that nobody would expect, and after it was given back. */
  async shared(ownership: Exclude<Ownership, 'own'>) {
    const gl = newContext(document.createElement('canvas'));
    const own = makeOn(gl, ownership);
    const { backend } = own;
    const loaded = await ready(own, affine(5000));
    for (const name of ['BLEND', 'CULL_FACE', 'DEPTH_TEST', 'STENCIL_TEST', 'RASTERIZER_DISCARD'] as const) {
      gl.enable(gl[name]);
    }
    gl.disable(gl.SCISSOR_TEST);
    gl.frontFace(gl.CW);
    gl.colorMask(false, true, false, true);
    gl.viewport(1, 2, 3, 4);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, 1);
    gl.pixelStorei(gl.UNPACK_SKIP_ROWS, 1);
    gl.pixelStorei(gl.PACK_SKIP_PIXELS, 1);
    gl.bindVertexArray(gl.createVertexArray());
    const sampler = gl.createSampler()!;
    gl.samplerParameteri(sampler, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
    gl.bindSampler(0, sampler);
    gl.useProgram(null);
    gl.activeTexture(gl.TEXTURE3);
    const values = Array.from({ length: 20000 }, (_, i) => i);
    const [a, b] = [upload(backend, values), backend.allocate(80000)];
    backend.submit([dispatch(loaded, [a, b], [4])]);
    const got = await download(backend, b);
    backend.dispose();
    return { wrong: got.findIndex((value, i) => value !== 3 * i + 4), lost: gl.isContextLost() };
  },

  /** A second device on the same canvas, after the first was disposed of. */
  async canvas() {
    const canvas = document.createElement('canvas');
    const results = [];
    for (let i = 0; i < 2; i++) {
      const own = makeOn(newContext(canvas), 'canvas');
      const buffer = upload(own.backend, [1, 2, 3, 4]);
      own.backend.submit([dispatch(await ready(own, increment(1)), [buffer])]);
      results.push(await download(own.backend, buffer));
      own.backend.dispose();
    }
    return results;
  },

  /** More devices, one after the other, than browsers have contexts. */
  async many() {
    for (let i = 0; i < 40; i++) make().backend.dispose();
    return device().backend.failure?.code ?? 'works';
  },

  /** What is said where there is no context, or one that will not do. */
  async absent() {
    const reasons: unknown[] = [];
    const look = (): void => {
      const found = findContext(undefined, undefined);
      reasons.push(isAbsent(found) ? found.reason : 'found');
      if (!isAbsent(found)) loseContext(found);
    };
    const kinds = [OffscreenCanvas, HTMLCanvasElement];
    const whole = kinds.map(({ prototype }) => prototype.getContext);
    for (const { prototype } of kinds) prototype.getContext = () => null;
    look();
    for (const { prototype } of kinds) {
      prototype.getContext = function (this: EventTarget) {
        const statusMessage = 'Web page was not allowed to create a WebGL context.';
        this.dispatchEvent(new WebGLContextEvent('webglcontextcreationerror', { statusMessage }));
        return null;
      };
    }
    look();
    for (const [i, { prototype }] of kinds.entries()) prototype.getContext = whole[i]!;
    const { getParameter } = WebGL2RenderingContext.prototype;
    WebGL2RenderingContext.prototype.getParameter = function (name: number) {
      return name === this.MAX_TEXTURE_SIZE ? 512 : getParameter.call(this, name);
    };
    look();
    WebGL2RenderingContext.prototype.getParameter = getParameter;
    const { WebGL2RenderingContext: known } = globalThis;
    Reflect.deleteProperty(globalThis, 'WebGL2RenderingContext');
    look();
    globalThis.WebGL2RenderingContext = known;
    look();
    const flat = document.createElement('canvas');
    flat.getContext('2d');
    const other = findContext(flat, undefined);
    reasons.push(isAbsent(other) && other.reason);
    const lost = newContext();
    loseContext(lost);
    reasons.push(unusable(lost)?.reason);
    return reasons;
  },
};
