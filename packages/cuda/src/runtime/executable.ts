import { KernelError, numbered, type Program, uncompiled } from '@tutti/core/backend';
import { type CudaProgram, stageText } from '../program.ts';
import type { Modules } from './modules.ts';
import type { Products } from './products.ts';
import { Template } from './template.ts';

/**
 * A program with its functions: what commands carry. It is compiled when somebody first asks whether it is ready: the compiler asks for
 * routines that it does not take in the end.
 */
export class Executable implements Program {
  readonly name: string;
  /** Tells programs of two devices of this kind apart. */
  readonly owner: object;
  readonly #modules: Modules;
  readonly #products: Products;
  #program: CudaProgram;
  /** Why the library has no part in it, though it was to have one. */
  #refusal: string | undefined;
  #handles: readonly number[] | undefined;
  #ready: Promise<void> | undefined;
  #template: Template | undefined;

  constructor(program: CudaProgram, modules: Modules, products: Products, owner: object) {
    this.name = program.name;
    this.owner = owner;
    this.#program = program;
    this.#modules = modules;
    this.#products = products;
  }

  /** What runs: settled once it is ready. */
  get cuda(): CudaProgram {
    return this.#program;
  }

  /** Undefined once all stages are compiled. */
  get ready(): Promise<void> | undefined {
    if (this.#handles) return undefined;
    if (this.#ready) return this.#ready;
    this.#ready = this.#make().finally(() => {
      this.#ready = undefined; // whoever asks again after a failure tries again: there may have been no memory
    });
    this.#ready.catch(() => {}); // told to those who wait
    return this.#ready;
  }

  async #make(): Promise<void> {
    this.#choose();
    const handles = await Promise.all(
      this.#program.stages.map((stage) =>
        stage.kind === 'kernel'
          ? this.#modules.functionOf(stage, this.name)
          : this.#products.prepare(stage.product).id,
      ),
    );
    this.#handles ??= handles;
  }

  /** @throws KernelError, OutOfMemoryError */
  finish(): void {
    if (this.#handles) return;
    this.#choose();
    this.#handles = this.#program.stages.map((stage) =>
      stage.kind === 'kernel'
        ? this.#modules.functionSync(stage, this.name)
        : this.#products.prepare(stage.product).id,
    );
  }

  /** Goes without the library where it has nothing for a product. */
  #choose(): void {
    for (;;) {
      const refusal = this.#program.stages
        .map((stage) =>
          stage.kind === 'product' ? this.#products.prepare(stage.product).refusal : undefined,
        )
        .find((each) => each !== undefined);
      if (refusal === undefined) return;
      const { otherwise } = this.#program;
      if (!otherwise) throw new KernelError(`kernel ${this.name}: ${refusal}`, { op: this.name });
      this.#refusal = refusal;
      this.#program = otherwise;
    }
  }

  /** What commands are made of. @throws KernelError when it is not compiled. */
  get template(): Template {
    this.#template ??= new Template(this.#program, this.#compiled);
    return this.#template;
  }

  /** Those of the stages that are kernels. @throws KernelError when they are not compiled. */
  get functions(): readonly number[] {
    return this.#compiled.filter((_, i) => this.#program.stages[i]!.kind === 'kernel');
  }

  get #compiled(): readonly number[] {
    if (this.#handles) return this.#handles;
    throw uncompiled(this);
  }

  /** The text of all stages, with line numbers as error messages have them. */
  source = (): string => {
    const { stages } = this.#program;
    const texts = stages.map((stage, i) => {
      const title = `// stage ${i + 1} of ${stages.length}`;
      if (stage.kind === 'product') return `${title}\n${stageText(stage)}`;
      const { code, grid, block, sharedBytes } = stage;
      const shared = sharedBytes > 0 ? `, ${sharedBytes} bytes of shared memory` : '';
      return `${title}, grid ${grid.join(' x ')}, block ${block.join(' x ')}${shared}\n${numbered(code)}`;
    });
    if (this.#refusal !== undefined)
      texts.unshift(`// without cuBLASLt, which has nothing for it: ${this.#refusal}`);
    return texts.join('\n\n');
  };
}
