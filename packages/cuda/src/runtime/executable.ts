import { KernelError, numbered, type Program } from '@tutti/core/backend';
import type { CudaProgram } from '../program.ts';
import type { Modules } from './modules.ts';
import { Template } from './template.ts';

/**
 * A program with its functions: what commands carry. It is compiled when somebody first asks whether it is ready: the compiler asks for
 * routines that it does not take in the end.
 */
export class Executable implements Program {
  readonly name: string;
  readonly cuda: CudaProgram;
  /** Tells programs of two devices of this kind apart. */
  readonly owner: object;
  readonly #modules: Modules;
  #functions: readonly number[] | undefined;
  #ready: Promise<void> | undefined;
  #template: Template | undefined;

  constructor(cuda: CudaProgram, modules: Modules, owner: object) {
    this.name = cuda.name;
    this.cuda = cuda;
    this.owner = owner;
    this.#modules = modules;
  }

  /** Undefined once all stages are compiled. */
  get ready(): Promise<void> | undefined {
    if (this.#functions || this.#ready) return this.#ready;
    this.#ready = this.#make();
    this.#ready.catch(() => {}); // told to those who wait
    return this.#ready;
  }

  async #make(): Promise<void> {
    const { stages } = this.cuda;
    try {
      this.#functions = await Promise.all(stages.map((stage) => this.#modules.functionOf(stage, this.name)));
    } finally {
      this.#ready = undefined; // whoever asks again after a failure tries again: there may have been no memory
    }
  }

  /** What commands are made of. @throws KernelError when it is not compiled. */
  get template(): Template {
    this.#template ??= new Template(this.cuda, this.functions);
    return this.#template;
  }

  /** Those of the stages. @throws KernelError when they are not compiled. */
  get functions(): readonly number[] {
    if (this.#functions) return this.#functions;
    throw new KernelError(`kernel ${this.name} is submitted before it is compiled`, {
      op: this.name,
      received: this.source(),
      fix: 'wait for program.ready before the first submission',
    });
  }

  /** The text of all stages, with line numbers as error messages have them. */
  source = (): string => {
    const { stages } = this.cuda;
    return stages
      .map(
        ({ code, grid, block, sharedBytes }, i) =>
          `// stage ${i + 1} of ${stages.length}, grid ${grid.join(' x ')}, block ${block.join(' x ')}` +
          `${sharedBytes > 0 ? `, ${sharedBytes} bytes of shared memory` : ''}\n${numbered(code)}`,
      )
      .join('\n\n');
  };
}
