/** A WebGL 2 context as this backend holds it: what it can do, whether it works, whose it is. */
import { type DeviceInfo, Health } from '@tutti/core/backend';
import type { Target } from '../gpu/draw.ts';
import type { ShaderFeatures } from '../program.ts';
import { describeContext } from './description.ts';
import { disposedError, lostError, type Ownership, reportedError } from './failures.ts';
import type { TextureMaker } from './pool.ts';

/** A texture of so many bytes is asked about at once: there may be no memory for it. */
const largeBytes = 4 * 1024 * 1024;
/** To ask for errors waits for the browser's other process, so it is done when nothing is waited for, or after so many milliseconds. */
const errorInterval = 200;

const errorNames = [
  'INVALID_ENUM',
  'INVALID_VALUE',
  'INVALID_OPERATION',
  'INVALID_FRAMEBUFFER_OPERATION',
  'OUT_OF_MEMORY',
] as const;

export class GlContext implements TextureMaker {
  readonly gl: WebGL2RenderingContext;
  readonly info: DeviceInfo;
  readonly features: ShaderFeatures;
  readonly health: Health = new Health();
  readonly quad: WebGLBuffer;
  readonly #ownership: Ownership;
  readonly #arrays: WebGLVertexArrayObject;
  readonly #onLost = (): void => this.health.fail(lostError(this.#ownership));
  #errorsAskedAt = 0;

  constructor(gl: WebGL2RenderingContext, ownership: Ownership) {
    this.gl = gl;
    this.#ownership = ownership;
    const { info, features } = describeContext(gl);
    this.info = info;
    this.features = features;
    this.quad = gl.createBuffer();
    this.#arrays = gl.createVertexArray();
    this.#setUp();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.quad);
    gl.bufferData(gl.ARRAY_BUFFER, quadBytes, gl.STATIC_DRAW);
    gl.canvas.addEventListener('webglcontextlost', this.#onLost);
    this.health.onFailure(() => {
      gl.canvas.removeEventListener('webglcontextlost', this.#onLost);
      gl.deleteBuffer(this.quad);
      gl.deleteVertexArray(this.#arrays);
    });
  }

  /** Texels in a row of every texture. */
  get rowTexels(): number {
    return 2 ** this.features.rowShift;
  }

  /** Comes before work of any kind. @throws what the device failed with */
  enter(): void {
    this.checkLost();
    this.health.check();
    if (this.#ownership !== 'own') this.#setUp(); // the page may have the context of a canvas of its own
  }

  /** True once the device has failed. A context may be lost some time before its event comes. */
  checkLost(): boolean {
    if (!this.health.failure && this.gl.isContextLost()) this.health.fail(lostError(this.#ownership));
    return this.health.failure !== undefined;
  }

  /** Looks for errors that WebGL noted. @param idle Nothing else is waited for. */
  checkErrors(idle: boolean): void {
    if (this.#ownership === 'borrowed') return; // it may be an error of somebody else
    const now = performance.now();
    if (!idle && now - this.#errorsAskedAt < errorInterval) return;
    this.#errorsAskedAt = now;
    this.#report(this.gl.getError());
  }

  #report(code: number): void {
    const { gl } = this;
    if (code === gl.NO_ERROR) return;
    const name = errorNames.find((each) => gl[each] === code) ?? `error ${code}`;
    const failure =
      code === gl.CONTEXT_LOST_WEBGL
        ? lostError(this.#ownership)
        : reportedError(code, name, this.#ownership);
    this.health.fail(failure);
  }

  create(width: number, height: number): Target | undefined {
    const { gl } = this;
    const texture = gl.createTexture();
    const framebuffer = gl.createFramebuffer();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32UI, width, height);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const target = { texture, framebuffer, width, height };
    const error = width * height * 16 < largeBytes ? gl.NO_ERROR : gl.getError();
    if (error === gl.OUT_OF_MEMORY) {
      this.destroy(target);
      return undefined;
    }
    if (this.#ownership !== 'borrowed') this.#report(error);
    return target;
  }

  destroy({ texture, framebuffer }: Target): void {
    this.gl.deleteFramebuffer(framebuffer);
    this.gl.deleteTexture(texture);
  }

  /** Everything that was made of it must have been let go, or goes with it. */
  dispose(): void {
    this.health.fail(disposedError());
    // Browsers keep few contexts, and a page waits long for the garbage collector.
    if (this.#ownership === 'own') loseContext(this.gl);
  }

  /** The state that draws and transfers rely on. */
  #setUp(): void {
    const { gl } = this;
    gl.bindVertexArray(this.#arrays);
    for (const name of switchedOff) gl.disable(gl[name]);
    gl.enable(gl.SCISSOR_TEST);
    gl.colorMask(true, true, true, true);
    for (const name of ['PIXEL_PACK_BUFFER', 'PIXEL_UNPACK_BUFFER'] as const) gl.bindBuffer(gl[name], null);
    for (const name of pixelOffsets) gl.pixelStorei(gl[name], 0);
    gl.pixelStorei(gl.PACK_ALIGNMENT, 4);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    for (let unit = 0; unit < this.features.maxInputs; unit++) gl.bindSampler(unit, null);
  }
}

const quadBytes = new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1]);

const switchedOff = [
  'BLEND',
  'CULL_FACE',
  'DEPTH_TEST',
  'RASTERIZER_DISCARD',
  'SAMPLE_ALPHA_TO_COVERAGE',
  'SAMPLE_COVERAGE',
  'STENCIL_TEST',
] as const;

const pixelOffsets = [
  'PACK_ROW_LENGTH',
  'PACK_SKIP_PIXELS',
  'PACK_SKIP_ROWS',
  'UNPACK_FLIP_Y_WEBGL',
  'UNPACK_IMAGE_HEIGHT',
  'UNPACK_PREMULTIPLY_ALPHA_WEBGL',
  'UNPACK_ROW_LENGTH',
  'UNPACK_SKIP_IMAGES',
  'UNPACK_SKIP_PIXELS',
  'UNPACK_SKIP_ROWS',
] as const;

/** Gives the memory of a context back at once. */
export function loseContext(gl: WebGL2RenderingContext): void {
  gl.getExtension('WEBGL_lose_context')?.loseContext();
}
