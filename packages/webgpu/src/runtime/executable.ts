import { numbered, type Program, uncompiled } from '@tutti/core/backend';
import type { WgslProgram } from '../program.ts';
import type { Pipeline, Pipelines } from './pipelines.ts';

/** Settles which of several programs for the same work it shall be. */
export type Choice = () => Promise<WgslProgram>;

/**
 * A program with its pipelines: what commands carry. It is compiled when somebody first asks whether it is ready: the compiler asks for
 * routines that it does not take in the end.
 */
export class Executable implements Program {
  readonly name: string;
  /** Tells programs of two devices of this kind apart. */
  readonly owner: object;
  readonly #library: Pipelines;
  readonly #choice: Choice | undefined;
  #wgsl: WgslProgram;
  #pipelines: readonly Pipeline[] | undefined;
  #ready: Promise<void> | undefined;

  /**
   * @param when `now` compiles before it returns, for programs that cannot be waited for.
   * @param choice Makes its choice before the program is ready; `wgsl` is one of those to choose from.
   */
  constructor(
    wgsl: WgslProgram,
    pipelines: Pipelines,
    owner: object,
    when: 'now' | 'later' = 'later',
    choice?: Choice,
  ) {
    this.name = wgsl.name;
    this.owner = owner;
    this.#wgsl = wgsl;
    this.#library = pipelines;
    this.#choice = choice;
    if (when === 'now') this.#compile('now');
  }

  get wgsl(): WgslProgram {
    return this.#wgsl;
  }

  /** Those of a program that is ready. */
  get pipelines(): readonly Pipeline[] {
    return this.#pipelines ?? [];
  }

  /** Undefined once all stages are compiled. */
  get ready(): Promise<void> | undefined {
    if (this.#pipelines || this.#ready) return this.#ready;
    this.#ready = this.#make().then(() => {
      this.#ready = undefined;
    });
    this.#ready.catch(() => {}); // told to those who wait
    return this.#ready;
  }

  async #make(): Promise<void> {
    if (this.#choice) this.#wgsl = await this.#choice();
    await Promise.all(this.#compile('later').map(({ ready }) => ready));
  }

  #compile(when: 'now' | 'later'): readonly Pipeline[] {
    this.#pipelines = this.#wgsl.stages.map((stage) => this.#library.get(stage, this.name, when));
    return this.#pipelines;
  }

  /** @throws KernelError when a stage is not compiled. */
  compiled(stage: number): GPUComputePipeline {
    const pipeline = this.pipelines[stage]?.compiled;
    if (pipeline) return pipeline;
    throw uncompiled(this);
  }

  /** The WGSL of all stages, with line numbers as error messages have them. */
  source = (): string => {
    const { stages } = this.wgsl;
    return stages
      .map(
        ({ code, workgroups }, i) =>
          `// stage ${i + 1} of ${stages.length}, workgroups ${workgroups.join(' x ')}\n${numbered(code)}`,
      )
      .join('\n\n');
  };
}
