/** What a context says of itself, in the contract's words. */
import {
  type Capabilities,
  type DeviceInfo,
  defaultCapabilities,
  isSoftwareDriver,
} from '@tutti/core/backend';
import type { ShaderFeatures } from '../program.ts';
import { texelBytes } from './pool.ts';

export interface Description {
  readonly info: DeviceInfo;
  readonly features: ShaderFeatures;
}

/** Texels in a row at most: few rows are left open at the end, and every WebGL 2 has at least 2048. */
const mostRowShift = 12;
/** Byte offsets inside a buffer stay below 2^31, so that index arithmetic may be signed. */
const mostBytes = 2 ** 31 - 16;

/** Chrome and Safari keep the name for those who ask for an extension, of which Firefox warns. */
function rendererOf(gl: WebGL2RenderingContext): string {
  const plain = String(gl.getParameter(gl.RENDERER));
  if (!plain.startsWith('WebKit')) return plain;
  const extension = gl.getExtension('WEBGL_debug_renderer_info');
  return (extension && String(gl.getParameter(extension.UNMASKED_RENDERER_WEBGL))) || plain;
}

/** "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620, OpenGL 4.6)" says the same as its middle. */
export const shortName = (renderer: string): string => {
  const [, inner] = /^ANGLE \((.*)\)$/.exec(renderer) ?? [];
  const parts = inner?.match(/(?:[^,(]|\([^)]*\)+)+/g);
  return (parts && parts.length > 1 ? parts[1]! : renderer).trim();
};

export function describeContext(gl: WebGL2RenderingContext): Description {
  const renderer = rendererOf(gl);
  const software = isSoftwareDriver(renderer);
  const mostTexels = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number;
  const inputs = gl.getParameter(gl.MAX_TEXTURE_IMAGE_UNITS) as number;
  const rowShift = Math.min(mostRowShift, Math.floor(Math.log2(mostTexels)));
  const bytes = Math.min(2 ** rowShift * mostTexels * texelBytes, mostBytes);
  return {
    info: {
      description: `${shortName(renderer)}, WebGL 2${software ? ', software' : ''}`,
      emulated: software,
      capabilities: capabilitiesOf(inputs, bytes, software),
    },
    features: { maxInputs: inputs, maxOutputs: outputsOf(gl), rowShift, software },
  };
}

/** Targets that can be drawn to at once. GPUs that draw tile by tile bound the bytes of a pixel, and ours have 16 in each target. */
function outputsOf(gl: WebGL2RenderingContext): number {
  const most = Math.min(
    gl.getParameter(gl.MAX_DRAW_BUFFERS) as number,
    gl.getParameter(gl.MAX_COLOR_ATTACHMENTS) as number,
  );
  const framebuffer = gl.createFramebuffer();
  gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
  const textures: WebGLTexture[] = [];
  const buffers: number[] = [];
  for (let i = 0; i < most; i++) {
    const texture = gl.createTexture();
    textures.push(texture);
    buffers.push(gl.COLOR_ATTACHMENT0 + i);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32UI, 1, 1);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0);
    gl.drawBuffers(buffers);
    if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) {
      buffers.pop();
      break;
    }
  }
  gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  gl.deleteFramebuffer(framebuffer);
  for (const texture of textures) gl.deleteTexture(texture);
  return Math.max(1, buffers.length);
}

/** A fragment stores one texel, where it is, and knows nothing of its neighbours. */
const capabilitiesOf = (inputs: number, bytes: number, software: boolean): Capabilities => ({
  ...defaultCapabilities,
  buffersPerKernel: inputs,
  bytesPerBuffer: bytes,
  rowPrograms: false,
  multipleOutputs: false,
  scatterStores: false,
  // Kernels go through long loops in parts by themselves (see kernels/parts.ts); a GPU wants more of them than one such step makes.
  parallelism: software ? 1 : 1024,
  reduceSplit: software ? 16384 : 1024,
  syncRead: true,
  timing: true,
});
