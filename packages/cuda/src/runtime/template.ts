/** A program in the words that the addon takes, with gaps for what each command has of its own. */
import { InternalError } from '@tutti/core/backend';
import { commandCode } from '../native/binding.ts';
import type { CudaProgram, KernelStage, ProductStage, StageParameter } from '../program.ts';

/** A gap: where in the words, and what goes there. Pointers are two words. */
interface Gap {
  readonly at: number;
  readonly parameter: Exclude<StageParameter, { kind: 'constant' }>;
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

  /** @param handles The function or the prepared product of each stage. */
  constructor({ name, stages }: CudaProgram, handles: readonly number[]) {
    const words: number[] = [];
    const gaps: Gap[] = [];
    for (const [i, stage] of stages.entries()) {
      const { head, offsets, size, parameters } =
        stage.kind === 'kernel' ? launchOf(stage) : productOf(stage);
      const start = words.length;
      words.push(head[0]!, size, handles[i]!, ...head.slice(1));
      words.push(...new Array<number>(start + size - words.length).fill(0));
      for (const [p, offset] of offsets.entries()) {
        const parameter = parameters[p]!;
        if (parameter.kind === 'constant') words[start + offset] = parameter.value;
        else gaps.push({ at: start + offset, parameter });
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
        const address = this.#required(addresses[parameter.index], 'buffer', parameter.index);
        putLong(words, at, address + (parameter.byteOffset ?? 0));
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

/** A command with gaps. */
interface Form {
  /** Its code, and what stands between its handle and the gaps. */
  readonly head: readonly number[];
  /** Words in all. */
  readonly size: number;
  /** Where the parameters lie, in words. */
  readonly offsets: readonly number[];
  readonly parameters: readonly StageParameter[];
}

function launchOf({ grid, block, sharedBytes, parameters }: KernelStage): Form {
  const { offsets, words } = placesOf(parameters);
  return {
    head: [commandCode.launch, ...grid, ...block, sharedBytes, words * 4],
    size: headWords + words,
    offsets: offsets.map((at) => headWords + at),
    parameters,
  };
}

/** Words of a product before its addresses, and in all. */
const [productHeadWords, productWords] = [3, 13];

function productOf({ lhs, rhs, result, bias, scratch }: ProductStage): Form {
  const all = [lhs, rhs, result, bias, scratch];
  const given = all.flatMap((parameter, i) =>
    parameter ? [{ parameter, at: productHeadWords + 2 * i }] : [],
  );
  return {
    head: [commandCode.product],
    size: productWords,
    offsets: given.map(({ at }) => at),
    parameters: given.map(({ parameter }) => parameter),
  };
}

/** Where parameters lie, in words, and how many words they are: pointers at multiples of 8 bytes, as the kernel has them. */
function placesOf(parameters: readonly StageParameter[]): {
  readonly offsets: readonly number[];
  readonly words: number;
} {
  let words = 0;
  const offsets = parameters.map(({ kind }) => {
    const size = kind === 'scalar' || kind === 'constant' ? 1 : 2;
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
