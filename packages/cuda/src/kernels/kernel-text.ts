/** One translation unit: what its kernel refers to is declared as it is referred to. */
import { type BufferParam, bare, dtypeInfo, type ScalarType } from '@tutti/core/backend';
import type { KernelStage, StageParameter } from '../program.ts';
import { typeName } from './code.ts';
import { elementType, narrowed, widened } from './memory.ts';
import { preludeFor } from './prelude.ts';

/** What a kernel or an anchor gives a text to refer to. */
export interface KernelParameters {
  readonly buffers: readonly BufferParam[];
  readonly scalars: readonly ScalarType[];
}

/** How a text sees memory. */
export interface KernelMemory {
  /** Buffers that are stored to. */
  readonly stored: ReadonlySet<number>;
  /** Buffers that lie in the program's workspace, from these bytes on. */
  readonly workspace?: ReadonlyMap<number, number>;
}

/** The form of a unit around its kernel. */
export interface KernelShape {
  /** For people: what it is, and what a block does. Lines of a comment. */
  readonly comment: readonly string[];
  readonly grid: readonly [number, number, number];
  /** Threads of a block, in one dimension. */
  readonly threads: number;
  /** Where the number of points comes with the launch. */
  readonly pointsOfBlock?: number;
  /** Bytes of dynamic shared memory. */
  readonly sharedBytes?: number;
  /** Blocks of a multiprocessor for which the compiler should leave registers. */
  readonly residentBlocks?: number;
}

/** What stands around the body of a kernel. */
export interface KernelFrame {
  readonly declarations: readonly string[];
  readonly types?: readonly string[];
  readonly head?: readonly string[];
}

/** All kernels have this name: equal ones are equal texts. */
const entry = 'kernel_main';

export class KernelText {
  readonly parameters: KernelParameters;
  readonly #memory: KernelMemory;
  readonly #buffers = new Set<number>();
  readonly #scalars = new Set<number>();
  readonly #shared: string[] = [];

  constructor(parameters: KernelParameters, memory: KernelMemory) {
    this.parameters = parameters;
    this.#memory = memory;
  }

  /** The number of this block, as text. */
  readonly block: string = 'blockIdx.x';

  /** The number of points as text, where it comes with the launch. */
  get points(): string | undefined {
    return undefined;
  }

  /** True where an element may differ from one moment to the next. */
  isMutable(buffer: number): boolean {
    return this.#memory.stored.has(buffer);
  }

  /** The name of a buffer: a pointer to its elements. */
  buffer(buffer: number): string {
    this.#buffers.add(buffer);
    return `b${buffer}`;
  }

  /** An element of a buffer as a value. */
  load(buffer: number, index: string): string {
    return widened(this.parameters.buffers[buffer]!.dtype, `${this.buffer(buffer)}[${bare(index)}]`);
  }

  /** A statement that stores a value. */
  store(buffer: number, index: string, value: string): string {
    return `${this.buffer(buffer)}[${bare(index)}] = ${narrowed(this.parameters.buffers[buffer]!.dtype, value)};`;
  }

  scalar(type: ScalarType, param: number): string {
    this.#scalars.add(param);
    return type === 'bool' ? `(s${param} != 0u)` : `s${param}`;
  }

  /** Declares shared memory. */
  shared(type: string, length: number | string): string {
    const name = `shared${this.#shared.length}`;
    this.#shared.push(`  __shared__ ${type} ${name}[${length}];`);
    return name;
  }

  /** Buffers that the text refers to. */
  protected get usedBuffers(): readonly number[] {
    return [...this.#buffers].sort((a, b) => a - b);
  }

  protected get usedScalars(): readonly number[] {
    return [...this.#scalars].sort((a, b) => a - b);
  }

  protected pointerType(buffer: number): string {
    const constant = this.isMutable(buffer) ? '' : 'const ';
    return `${constant}${elementType[this.parameters.buffers[buffer]!.dtype]}*`;
  }

  protected scalarType(param: number): string {
    const type = this.parameters.scalars[param]!;
    return type === 'bool' ? 'unsigned' : typeName[type];
  }

  #declaration(buffer: number): string {
    const { dtype } = this.parameters.buffers[buffer]!;
    const note = dtypeInfo[dtype].bytes < 4 ? ` /* ${dtype} */` : '';
    return `${this.pointerType(buffer)} __restrict__ b${buffer}${note}`;
  }

  /** The stages whose kernel has this body. */
  stages(body: string, shape: KernelShape): readonly KernelStage[] {
    const { usedBuffers: buffers, usedScalars: scalars } = this;
    const declarations = [
      ...buffers.map((buffer) => this.#declaration(buffer)),
      ...scalars.map((param) => `${this.scalarType(param)} s${param}`),
    ];
    const workspace = this.#memory.workspace;
    const parameters: readonly StageParameter[] = [
      ...buffers.map((index): StageParameter => {
        const byteOffset = workspace?.get(index);
        return byteOffset === undefined ? { kind: 'buffer', index } : { kind: 'workspace', byteOffset };
      }),
      ...scalars.map((index): StageParameter => ({ kind: 'scalar', index })),
    ];
    return [{ ...this.unit(body, shape, { declarations }), parameters }];
  }

  /** A stage, but for what it is given. `types` come before the kernel, and `head` before its body. */
  protected unit(
    body: string,
    { comment, grid, threads, sharedBytes = 0, residentBlocks }: KernelShape,
    { declarations, types = [], head = [] }: KernelFrame,
  ): Omit<KernelStage, 'parameters'> {
    const bounds = residentBlocks === undefined ? `${threads}` : `${threads}, ${residentBlocks}`;
    const code = [
      ...comment.map((line) => `// ${line}`),
      `${preludeFor(body)}${types.map((line) => `${line}\n`).join('')}extern "C" __global__ void __launch_bounds__(${bounds})`,
      `${entry}(${declarations.join(',\n            ')}) {`,
      ...this.#shared,
      ...head,
      body,
      '}',
      '',
    ].join('\n');
    return { kind: 'kernel', code, entry, grid, block: [threads, 1, 1], sharedBytes };
  }
}
