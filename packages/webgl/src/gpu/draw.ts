/** The seam to gpu.js: what a draw is made of, and what can be done with it. Nothing here imports gpu.js. */

/** A texture that draws read from. */
export interface TextureHandle {
  readonly texture: WebGLTexture;
}

/** A texture of RGBA32UI texels that draws store to as well. */
export interface Target extends TextureHandle {
  /** Has the texture attached, always. */
  readonly framebuffer: WebGLFramebuffer;
  readonly width: number;
  readonly height: number;
}

/** Texels of a target, from a corner on. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** `texels`: RGBA32UI, as `usampler2D`. `pixels`: an image, as `sampler2D`. */
export type InputKind = 'texels' | 'pixels';

export interface DrawSource {
  /** Of the program, for messages. */
  readonly name: string;
  /** As `GlslStage.code`. */
  readonly code: string;
  readonly inputs: readonly InputKind[];
  readonly scalars: number;
  /** Targets; one unless given. */
  readonly outputs?: number;
  /** log2 of the texels in a row of the targets, where that is not what it is for all buffers. */
  readonly rowShift?: number;
}

/** What the draws of a context share. */
export interface DrawContext {
  readonly gl: WebGL2RenderingContext;
  /** The corners of the quad that every draw fills. */
  readonly quad: WebGLBuffer;
  /** A texture to attach while a draw is built. */
  readonly any: Target;
  readonly rowShift: number;
}

/** A program of the GPU. */
export interface Draw {
  /** Computes the texels in the rectangles. `scalars` are bits; no input may be the target, or one of `more` of its size. */
  run(
    inputs: readonly TextureHandle[],
    scalars: ArrayLike<number>,
    target: Target,
    rectangles: readonly Rectangle[],
    more?: readonly TextureHandle[],
  ): void;
  destroy(): void;
}
