/**
 * The seam between what generates GLSL (kernels/, routines/) and what runs it (runtime/).
 *
 * Memory: a buffer is a texture of RGBA32UI texels, 16 bytes each, in the host's layout: four float32, int32 or uint32, eight float16 or
 * bfloat16, sixteen uint8 or bool. Bits are exact: no float format touches them, so integers, NaN and -0 come out as they went in. Texel i
 * of a buffer is at (i mod width, i div width) of its texture, where `width` is a power of two that is the same for all buffers of a device.
 *
 * A program is a list of stages, each one draw: a fragment for each texel of the stage's outputs. Stages run in order; what one stores, the
 * next sees. A stage may read the buffer that it stores to: it sees it as it was before the stage.
 */
import type { Program, ScalarType } from '@tutti/core/backend';

/** What a stage reads or stores to: a buffer of the command, or scratch memory of the program. */
export type StageBuffer =
  | { readonly kind: 'buffer'; readonly index: number }
  | { readonly kind: 'scratch'; readonly index: number };

export interface GlslStage {
  /**
   * GLSL ES 3.00: functions, of which `uvec4 texel(int index)` gives the four words of a texel of the output; where there are several
   * outputs, `void texels(int index, out uvec4 o0, out uvec4 o1, ..)` those of a texel of each. It may use
   *
   * - `t0`, `t1`, ..: `highp usampler2D`, the textures of `inputs` in order, through `uvec4 fetch(highp usampler2D t, int index)`;
   * - `s0`, `s1`, ..: `highp int`, the bits of the program's scalars;
   * - all names that do not start with `gl_` or `tutti_`.
   */
  readonly code: string;
  readonly inputs: readonly StageBuffer[];
  /** One buffer; or scratch buffers of the same size, up to `maxOutputs`, that the stage does not read. */
  readonly outputs: readonly StageBuffer[];
  /** Texels to compute, from the first on. */
  readonly texels: number;
  /** About how many simple operations and loads a texel takes: long draws are cut in pieces. */
  readonly operations: number;
}

export interface GlslProgram extends Program {
  readonly stages: readonly GlslStage[];
  readonly scalarTypes: readonly ScalarType[];
  /** They live for one run of the program. */
  readonly scratch: readonly Scratch[];
}

export interface Scratch {
  readonly bytes: number;
  /**
   * log2 of the texels in a row, where that is not what it is for all buffers: GPUs draw in squares of four fragments, so that the
   * texels of a single row take as long as those of two. `fetch` does not know of it.
   */
  readonly rowShift?: number;
}

/** What the context offers to generated code. */
export interface ShaderFeatures {
  /** Textures that a stage may read. */
  readonly maxInputs: number;
  /** Outputs that a stage may have. */
  readonly maxOutputs: number;
  /** log2 of the texels in a row of every texture. */
  readonly rowShift: number;
  /** Software stands in for the GPU. */
  readonly software: boolean;
}
