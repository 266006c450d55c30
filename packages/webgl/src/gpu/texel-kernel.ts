/**
 * Draws through gpu.js. Its kernels store floats, and its shaders are translated from JavaScript; ours store the bits of texels, and
 * come as GLSL. So `TexelKernel` takes a kernel of gpu.js for what it does with WebGL (programs, the quad, uniforms and their caches,
 * arguments) and brings its own shaders, textures and sizes. Only the WebGL 2 kernel is imported: there is no other mode to fall back to.
 */

import {
  type KernelValue,
  type KernelValueClass,
  type KernelValueSettings,
  WebGL2Kernel,
} from 'gpu.js/src/backend/web-gl2/kernel.js';
import type { Draw, DrawContext, DrawSource, InputKind, Rectangle, Target, TextureHandle } from './draw.ts';
import { type FragmentShape, fragmentShader, samplerTypes, vertexShader } from './shader.ts';

/** Binds a texture of ours to a sampler. */
class TextureArgument implements KernelValue {
  readonly #type: string;
  readonly #id: string;
  readonly #kernel: WebGL2Kernel;
  readonly #gl: WebGL2RenderingContext;
  readonly #settings: KernelValueSettings;
  #unit = 0;
  #index = 0;

  constructor(type: string, settings: KernelValueSettings) {
    this.#type = type;
    this.#id = `user_${settings.name}`;
    this.#kernel = settings.kernel;
    this.#gl = settings.context;
    this.#settings = settings;
  }

  getSource(): string {
    return `uniform highp ${this.#type} ${this.#id};\n`;
  }

  setup(): void {
    this.#unit = this.#settings.onRequestContextHandle();
    this.#index = this.#settings.onRequestIndex();
  }

  updateValue({ texture }: TextureHandle): void {
    const gl = this.#gl;
    gl.activeTexture(this.#unit);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    this.#kernel.setUniform1i(this.#id, this.#index);
  }

  destroy(): void {}
}

const argumentClass = (type: string): KernelValueClass =>
  class extends TextureArgument {
    constructor(_: never, settings: KernelValueSettings) {
      super(type, settings);
    }
  };

const argumentClasses: Readonly<Record<string, KernelValueClass>> = {
  texels: argumentClass(samplerTypes.texels),
  pixels: argumentClass(samplerTypes.pixels),
} satisfies Record<InputKind, KernelValueClass>;

/** gpu.js asks the texture that it draws to whether somebody else has it in use. */
const outputTexture = (texture: WebGLTexture): object => ({ texture, beforeMutate: () => false });

class TexelKernel extends WebGL2Kernel {
  /** Set before `build`, because the class of gpu.js calls its methods from its constructor. */
  declare code: string;
  declare shape: FragmentShape;

  static override lookupKernelValueType(
    type: string,
    dynamic: string,
    precision: string,
    value: unknown,
  ): KernelValueClass {
    return argumentClasses[type] ?? WebGL2Kernel.lookupKernelValueType(type, dynamic, precision, value);
  }

  /** Integer textures need no extension. */
  override initExtensions(): void {
    this.extensions = {};
  }

  override destroyExtensions(): void {}

  override validateSettings(): void {
    this.texSize = [1, 1];
  }

  override updateMaxTexSize(): void {
    this.maxTexSize = this.texSize;
  }

  override translateSource(): void {
    this.translatedSource = '';
  }

  override buildSignature(): void {}

  override getVertexShader(): string {
    return vertexShader;
  }

  override getFragmentShader(args: ArrayLike<unknown>): string {
    const declarations = this.kernelArguments.map((each, i) => each.getSource(args[i])).join('');
    return fragmentShader(this.code, declarations, this.argumentNames, this.shape);
  }
}

/** @returns What the driver says of a shader that it does not take. */
export function makeDraw(context: DrawContext, source: DrawSource): Draw | string {
  const kernel = unbuilt(context, source);
  let refusal: string | undefined;
  try {
    refusal = build(kernel, context, source);
  } catch (error) {
    refusal = error instanceof Error ? error.message : String(error);
  }
  if (refusal === undefined) {
    return { run: (...args) => run(kernel, ...args), destroy: () => destroy(kernel) };
  }
  destroy(kernel);
  return refusal;
}

function unbuilt(
  { gl, quad, any, rowShift }: DrawContext,
  { code, inputs, scalars, outputs = 1, rowShift: targetShift = rowShift }: DrawSource,
): TexelKernel {
  const names = [...inputs.map((_, i) => `t${i}`), ...Array.from({ length: scalars }, (_, i) => `s${i}`)];
  const kernel = new TexelKernel(`function kernel(${names.join(', ')}) {}`, {
    context: gl,
    canvas: { width: 1, height: 1 }, // gpu.js makes it as large as its largest output
    argumentTypes: [...inputs, ...new Array<string>(scalars).fill('Integer')],
    output: [1],
    returnType: 'Array(4)',
    precision: 'single',
    tactic: 'precision',
    pipeline: true,
    onRequestFallback: () => undefined, // `build` finds out
    onRequestSwitchKernel: () => undefined,
  });
  kernel.code = code;
  kernel.shape = { rowShift, targetShift, outputs };
  kernel.buffer = quad;
  kernel.texture = outputTexture(any.texture);
  return kernel;
}

/** What is wrong, if anything. */
function build(
  kernel: TexelKernel,
  { gl, any }: DrawContext,
  { inputs, scalars }: DrawSource,
): string | undefined {
  const args = [...inputs.map(() => any), ...new Array<number>(scalars).fill(0)];
  kernel.build(...args);
  // It belongs to this kernel alone, and would hold on to what was last attached to it.
  gl.deleteFramebuffer(kernel.framebuffer);
  kernel.framebuffer = null;
  if (kernel.fallbackRequested || kernel.switchingKernels || !kernel.built) {
    return `gpu.js would compute it elsewhere: ${kernel.fallbackReason ?? 'it gives no reason'}`;
  }
  if (gl.getProgramParameter(kernel.program!, gl.LINK_STATUS)) return undefined;
  return gl.getProgramInfoLog(kernel.program!) || 'the program does not link';
}

function run(
  kernel: TexelKernel,
  inputs: readonly TextureHandle[],
  scalars: ArrayLike<number>,
  target: Target,
  rectangles: readonly Rectangle[],
  more: readonly TextureHandle[] = [],
): void {
  const gl = kernel.context;
  const [first] = rectangles;
  if (!first) return;
  // gpu.js draws at the origin. What begins elsewhere is drawn after it, and it draws nothing.
  const atOrigin = first.x === 0 && first.y === 0;
  kernel.texSize = kernel.maxTexSize = atOrigin ? [first.width, first.height] : [0, 0];
  kernel.framebuffer = target.framebuffer;
  if (more.length > 0) attach(gl, target, more);
  gl.viewport(0, 0, target.width, target.height);
  kernel.run(...inputs, ...Array.from(scalars));
  for (const { x, y, width, height } of atOrigin ? rectangles.slice(1) : rectangles) {
    gl.scissor(x, y, width, height);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
  if (more.length > 0) detach(gl, more.length);
}

/** Draws go to the target and to `more`. */
function attach(gl: WebGL2RenderingContext, target: Target, more: readonly TextureHandle[]): void {
  gl.bindFramebuffer(gl.FRAMEBUFFER, target.framebuffer);
  for (const [i, { texture }] of more.entries())
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT1 + i, gl.TEXTURE_2D, texture, 0);
  gl.drawBuffers(Array.from({ length: 1 + more.length }, (_, i) => gl.COLOR_ATTACHMENT0 + i));
}

/** Draws go to the target alone, whose framebuffer is bound. */
function detach(gl: WebGL2RenderingContext, count: number): void {
  for (let i = 0; i < count; i++)
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT1 + i, gl.TEXTURE_2D, null, 0);
  gl.drawBuffers([gl.COLOR_ATTACHMENT0]);
}

/** What is shared stays. */
function destroy(kernel: TexelKernel): void {
  kernel.buffer = null;
  kernel.texture = null;
  kernel.framebuffer = null;
  kernel.destroy();
}
