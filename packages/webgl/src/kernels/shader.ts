/** The text of one stage: what its main function refers to is put into it as it is referred to. */
import type { Kernel, ScalarType } from '@tutti/core/backend';
import type { GlslStage, StageBuffer } from '../program.ts';
import { Library } from './functions/index.ts';

/** A buffer that is scratch memory of the program, with rows of its own. */
export interface ScratchBuffer {
  readonly buffer: number;
  readonly rowShift: number;
}

/** The texture of a buffer, and the function that gets texels of it. */
export interface Source {
  readonly texture: string;
  readonly fetch: 'fetch' | 'fetch_scratch';
}

export class Shader {
  readonly kernel: Kernel;
  readonly library: Library = new Library();
  readonly #scratch: ScratchBuffer | undefined;
  readonly #textures: number[] = [];

  constructor(kernel: Kernel, scratch?: ScratchBuffer) {
    this.kernel = kernel;
    this.#scratch = scratch;
  }

  /** Where loads from a buffer go. */
  source(buffer: number): Source {
    const known = this.#textures.indexOf(buffer);
    const texture = `t${known >= 0 ? known : this.#textures.push(buffer) - 1}`;
    return { texture, fetch: this.#isScratch(buffer) ? 'fetch_scratch' : 'fetch' };
  }

  #isScratch(buffer: number): boolean {
    return buffer === this.#scratch?.buffer;
  }

  #bound(index: number): StageBuffer {
    return this.#isScratch(index) ? { kind: 'scratch', index: 0 } : { kind: 'buffer', index };
  }

  /** `uvec4 fetch_scratch`, where it is called. */
  #scratchFetch(): string[] {
    if (!this.#textures.some((buffer) => this.#isScratch(buffer))) return [];
    const { rowShift } = this.#scratch!;
    return [
      `uvec4 fetch_scratch(highp usampler2D t, int index) {
  return texelFetch(t, ivec2(index & ${2 ** rowShift - 1}, index >> ${rowShift}), 0);
}`,
    ];
  }

  scalar(type: ScalarType, param: number): string {
    const bits = `s${param}`;
    switch (type) {
      case 'f32':
        return `intBitsToFloat(${bits})`;
      case 'u32':
        return `uint(${bits})`;
      case 'bool':
        return `(${bits} != 0)`;
      default:
        return bits;
    }
  }

  /** The stage whose main function has this body. */
  stage(comment: string, main: string, output: number, texels: number, operations: number): GlslStage {
    const functions = [...this.#scratchFetch(), ...this.library.texts()];
    // The number of a texel is not negative, which no compiler knows.
    const infinite = [...functions, main].some((text) => text.includes('infinity_bits'));
    const code = [
      ...comment.split('\n').map((line) => `// ${line}`),
      ...(infinite ? ['uint infinity_bits;', ''] : []),
      ...functions.flatMap((text) => [text, '']),
      'uvec4 texel(int index) {',
      ...(infinite ? ['  infinity_bits = 0x7f800000u | uint(index >> 31);'] : []),
      main,
      '}',
      '',
    ].join('\n');
    const inputs = this.#textures.map((buffer) => this.#bound(buffer));
    return { code, inputs, outputs: [this.#bound(output)], texels, operations };
  }
}
