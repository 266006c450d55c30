/** A program in the words that the addon takes, with gaps for what each command has of its own. */
import { InternalError } from '@tutti/core/backend';
import { commandCode } from '../native/binding.ts';
import type { CudaProgram, KernelStage, StageParameter } from '../program.ts';

/** A gap: where in the words, and what goes there. Pointers are two words. */
interface Gap {
  readonly at: number;
  readonly parameter: StageParameter;
}

/** What fills the gaps. */
export interface Values {
  readonly addresses: readonly number[];
  /** Of the workspace; undefined for a program without one. */
  readonly workspace: number | undefined;
  readonly scalars: Uint32Array;
}

/** Words of a launch before its parameters. */
const headWords = 11;

export class Template {
  readonly #name: string;
  readonly #words: Uint32Array;
  readonly #gaps: readonly Gap[];

  constructor({ name, stages }: CudaProgram, functions: readonly number[]) {
    const words: number[] = [];
    const gaps: Gap[] = [];
    for (const [i, stage] of stages.entries()) {
      const start = words.length;
      const places = placesOf(stage);
      const { grid, block, sharedBytes } = stage;
      words.push(commandCode.launch, headWords + places.words, functions[i]!, ...grid, ...block, sharedBytes);
      words.push(places.words * 4, ...new Array<number>(places.words).fill(0));
      for (const [p, at] of places.offsets.entries()) {
        gaps.push({ at: start + headWords + at, parameter: stage.parameters[p]! });
      }
    }
    this.#name = name;
    this.#words = Uint32Array.from(words);
    this.#gaps = gaps;
  }

  /** The words of a command. @throws InternalError where a value is missing. */
  fill({ addresses, workspace, scalars }: Values): Uint32Array {
    const words = this.#words.slice();
    for (const { at, parameter } of this.#gaps) {
      if (parameter.kind === 'scalar') {
        words[at] = this.#required(scalars[parameter.index], 'scalar', parameter.index);
      } else if (parameter.kind === 'buffer') {
        putLong(words, at, this.#required(addresses[parameter.index], 'buffer', parameter.index));
      } else {
        putLong(words, at, this.#required(workspace, 'workspace', 0) + parameter.byteOffset);
      }
    }
    return words;
  }

  #required(value: number | undefined, kind: string, index: number): number {
    if (value !== undefined) return value;
    throw new InternalError(`kernel ${this.#name}: ${kind} ${index} of a stage is missing`);
  }
}

/** Where the parameters of a stage lie, in words, and how many words they are: pointers at multiples of 8 bytes, as the kernel has them. */
function placesOf({ parameters }: KernelStage): {
  readonly offsets: readonly number[];
  readonly words: number;
} {
  let words = 0;
  const offsets = parameters.map(({ kind }) => {
    const size = kind === 'scalar' ? 1 : 2;
    const at = words + (words % size);
    words = at + size;
    return at;
  });
  return { offsets, words };
}

/** 64 bits, low word first. */
export function putLong(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}
