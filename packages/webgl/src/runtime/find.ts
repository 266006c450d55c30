/** Where contexts come from, and why there may be none. */
import { newCanvas } from '@tutti/core/interop';

/** Why there is no WebGL, and what a person can do about it. */
export interface Absent {
  readonly reason: string;
  readonly fix: string;
}

export const isAbsent = (value: object): value is Absent => 'reason' in value && 'fix' in value;

export type ContextCanvas = HTMLCanvasElement | OffscreenCanvas;

const otherBrowser =
  'use Chrome 56, Edge 79, Firefox 51, Safari 15 or later, or another device: cpu runs everywhere';

/** @param canvas Default: one that is in no page. */
export function findContext(
  canvas: ContextCanvas | undefined,
  powerPreference: WebGLPowerPreference | undefined,
): WebGL2RenderingContext | Absent {
  if (!('WebGL2RenderingContext' in globalThis)) return noWebglHere();
  const attributes: WebGLContextAttributes = {
    alpha: false,
    antialias: false,
    depth: false,
    stencil: false,
    ...(powerPreference ? { powerPreference } : {}),
  };
  let message = '';
  for (const candidate of canvas ? [canvas] : canvases()) {
    const listen = (event: Event): void => {
      message ||= (event as WebGLContextEvent).statusMessage ?? '';
    };
    candidate.addEventListener('webglcontextcreationerror', listen);
    const gl = candidate.getContext('webgl2', attributes) as WebGL2RenderingContext | null;
    candidate.removeEventListener('webglcontextcreationerror', listen);
    if (gl) return unusable(gl) ?? gl;
  }
  return canvas ? otherContext(message) : refused(message);
}

/** Some browsers have canvases outside of pages, but no WebGL for them. */
function* canvases(): Generator<ContextCanvas> {
  yield newCanvas(1, 1);
  if (typeof document !== 'undefined')
    yield Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
}

function noWebglHere(): Absent {
  const { process } = globalThis as { process?: { readonly versions?: { readonly node?: string } } };
  if (process?.versions?.node === undefined) {
    return { reason: 'this browser has no WebGL 2', fix: otherBrowser };
  }
  return {
    reason: 'WebGL needs a browser, and this is Node',
    fix: "in Node, use 'webgpu' (npm install @tutti/webgpu webgpu) or 'cpu'",
  };
}

const refused = (message: string): Absent => ({
  reason: `the browser has WebGL 2, but gives no context${message ? `: ${message}` : ''}`,
  fix: 'switch hardware acceleration on, update the GPU driver (browsers block those with known defects: see chrome://gpu, or about:support in Firefox), or close pages that use the GPU',
});

const otherContext = (message: string): Absent => ({
  reason: `the canvas gives no context for WebGL 2${message ? `: ${message}` : ''}`,
  fix: 'pass a canvas that has no context of another kind, or leave it out',
});

/** The least that every WebGL 2 has by its specification, and that is counted on here. */
const least = { MAX_TEXTURE_SIZE: 2048, MAX_TEXTURE_IMAGE_UNITS: 16 } as const;

/** What a context lacks that this backend needs. */
export function unusable(gl: WebGL2RenderingContext): Absent | undefined {
  if (gl.isContextLost()) {
    return {
      reason: 'the WebGL context is lost',
      fix: "wait for its event 'webglcontextrestored' (which comes if the one before, 'webglcontextlost', had its default prevented), or let Tutti make a context of its own",
    };
  }
  const [name] = (['MAX_TEXTURE_SIZE', 'MAX_TEXTURE_IMAGE_UNITS'] as const).filter(
    (each) => (gl.getParameter(gl[each]) as number) < least[each],
  );
  const fix = `update the GPU driver; or ${otherBrowser}`;
  if (name) return { reason: `${name} is ${gl.getParameter(gl[name])}, and ${least[name]} are needed`, fix };
  if (!keepsBits(gl)) return { reason: 'the GPU driver does not keep the bits of integer textures', fix };
  return undefined;
}

/** Whether what is stored comes back: a NaN with a payload, a denormal, -0 and all ones, as bits. */
function keepsBits(gl: WebGL2RenderingContext): boolean {
  const bits = Uint32Array.of(0x7fa00001, 1, 0x80000000, 0xffffffff);
  const renderbuffer = gl.createRenderbuffer();
  const framebuffer = gl.createFramebuffer();
  const before = gl.getParameter(gl.FRAMEBUFFER_BINDING) as WebGLFramebuffer | null;
  const scissor = gl.isEnabled(gl.SCISSOR_TEST);
  gl.disable(gl.SCISSOR_TEST);
  gl.bindRenderbuffer(gl.RENDERBUFFER, renderbuffer);
  gl.renderbufferStorage(gl.RENDERBUFFER, gl.RGBA32UI, 1, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  gl.framebufferRenderbuffer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.RENDERBUFFER, renderbuffer);
  gl.clearBufferuiv(gl.COLOR, 0, bits);
  const found = new Uint32Array(4);
  gl.readPixels(0, 0, 1, 1, gl.RGBA_INTEGER, gl.UNSIGNED_INT, found);
  gl.bindFramebuffer(gl.FRAMEBUFFER, before);
  if (scissor) gl.enable(gl.SCISSOR_TEST);
  gl.deleteFramebuffer(framebuffer);
  gl.deleteRenderbuffer(renderbuffer);
  return found.every((word, i) => word === bits[i]);
}
