/** The translation unit of a routine's stage: what its statements refer to is declared as it is referred to. */
import { type Anchor, type DType, dtypeInfo, type ScalarType } from '@tutti/core/backend';
import { typeName } from '../kernels/code.ts';
import { elementType, widened } from '../kernels/memory.ts';
import { preludeFor } from '../kernels/prelude.ts';
import type { KernelStage, StageParameter } from '../program.ts';
import { block, lines } from './text.ts';

export interface StageText {
  /** Says what a block does. */
  readonly comment: string;
  /** Functions, before the kernel. */
  readonly functions?: string;
  readonly body: string;
  readonly blocks: number;
  readonly threads: number;
  /** Blocks that should fit a multiprocessor, as far as registers go. */
  readonly resident?: number;
  readonly sharedBytes?: number;
}

/** More elements than an int can count. */
const isLarge = (anchor: Anchor): boolean => anchor.buffers.some(({ length }) => length >= 2 ** 31);

export class Source {
  readonly anchor: Anchor;
  readonly #out: number;
  readonly #buffers = new Set<number>();
  readonly #scalars = new Map<number, ScalarType>();
  #workspace: string | undefined;

  /** @param out The buffer that is stored to. */
  constructor(anchor: Anchor, out: number) {
    this.anchor = anchor;
    this.#out = out;
  }

  /** A pointer to the elements of a buffer. */
  buffer(index: number): string {
    this.#buffers.add(index);
    return `b${index}`;
  }

  /** An element as a value. */
  load(index: number, at: string): string {
    return widened(this.anchor.buffers[index]!.dtype, `${this.buffer(index)}[${at}]`);
  }

  scalar(type: ScalarType, index: number): string {
    this.#scalars.set(index, type);
    return type === 'bool' ? `(s${index} != 0)` : `s${index}`;
  }

  /** A pointer to scratch memory of this type. */
  workspace(type: string): string {
    this.#workspace = type;
    return 'workspace';
  }

  #parameters(): { readonly text: readonly string[]; readonly parameters: readonly StageParameter[] } {
    const text: string[] = [];
    const parameters: StageParameter[] = [];
    for (const index of [...this.#buffers].sort((a, b) => a - b)) {
      const type = elementType[this.anchor.buffers[index]!.dtype];
      text.push(`${index === this.#out ? '' : 'const '}${type}* __restrict__ b${index}`);
      parameters.push({ kind: 'buffer', index });
    }
    if (this.#workspace) {
      text.push(`${this.#workspace}* __restrict__ workspace`);
      parameters.push({ kind: 'workspace', byteOffset: 0 });
    }
    for (const [index, type] of [...this.#scalars].sort(([a], [b]) => a - b)) {
      text.push(`${type === 'bool' ? 'unsigned' : typeName[type]} s${index}`);
      parameters.push({ kind: 'scalar', index });
    }
    return { text, parameters };
  }

  stage(text: StageText): KernelStage {
    const { comment, functions = '', body, blocks, threads, resident, sharedBytes = 0 } = text;
    const { text: declared, parameters } = this.#parameters();
    const bounds = resident ? `${threads}, ${resident}` : `${threads}`;
    const main = block(
      `extern "C" __global__ void __launch_bounds__(${bounds}) ${entry}(${declared.join(', ')})`,
      sharedBytes > 0 && 'extern __shared__ unsigned char shared_memory[];',
      'const int thread = (int)threadIdx.x;',
      body,
    );
    const own = lines(functions, main);
    const code = lines(
      comment.replace(/^/gm, '// '),
      `${preludeFor(own)}typedef ${isLarge(this.anchor) ? 'long long' : 'int'} Index;`,
      `${own}\n`,
    );
    return {
      kind: 'kernel',
      code,
      entry,
      parameters,
      grid: [blocks, 1, 1],
      block: [threads, 1, 1],
      sharedBytes,
    };
  }
}

/** All kernels have one name, so that equal ones are one. */
const entry = 'kernel_main';

/** Bytes of an element. */
export const bytesOf = (dtype: DType): number => dtypeInfo[dtype].bytes;
