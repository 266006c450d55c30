/** The text of one stage: what its main function refers to is put into it as it is referred to. */
import type { Kernel, ScalarType } from '@tutti/core/backend';
import type { GlslStage, StageBuffer } from '../program.ts';
import { Library } from './functions/index.ts';

/** What a stage has in place of one of the kernel's buffers. */
export interface Substitute {
  readonly buffer: number;
  /** Where it lies; what is stored goes to the first. */
  readonly textures: readonly StageBuffer[];
  /** The function that gets texels: `uvec4 name(int index)`. */
  readonly fetch: string;
  /** GLSL of that function. `names` are those of the textures. */
  readonly code: (names: readonly string[]) => string;
}

/** Where loads from a buffer go. */
export interface Source {
  /** The texture that it is, in the host's layout; undefined for a substitute. */
  readonly texture: string | undefined;
  readonly texel: (index: string) => string;
}

export class Shader {
  readonly kernel: Kernel;
  readonly library: Library = new Library();
  readonly #substitute: Substitute | undefined;
  readonly #sources = new Map<number, Source>();
  readonly #inputs: StageBuffer[] = [];
  /** The substitute's function, once it is called. */
  readonly #fetches: string[] = [];

  constructor(kernel: Kernel, substitute?: Substitute) {
    this.kernel = kernel;
    this.#substitute = substitute;
  }

  /** Where loads from a buffer go. */
  source(buffer: number): Source {
    let source = this.#sources.get(buffer);
    if (!source) this.#sources.set(buffer, (source = this.#newSource(buffer)));
    return source;
  }

  #newSource(buffer: number): Source {
    const name = (input: StageBuffer): string => `t${this.#inputs.push(input) - 1}`;
    if (buffer !== this.#substitute?.buffer) {
      const texture = name({ kind: 'buffer', index: buffer });
      return { texture, texel: (index) => `fetch(${texture}, ${index})` };
    }
    const { textures, fetch, code } = this.#substitute;
    this.#fetches.push(code(textures.map(name)));
    return { texture: undefined, texel: (index) => `${fetch}(${index})` };
  }

  #target(buffer: number): StageBuffer {
    const substitute = this.#substitute;
    return buffer === substitute?.buffer ? substitute.textures[0]! : { kind: 'buffer', index: buffer };
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
    const functions = [...this.#fetches, ...this.library.texts()];
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
    return { code, inputs: this.#inputs, outputs: [this.#target(output)], texels, operations };
  }
}
