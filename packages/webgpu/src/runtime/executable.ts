import { KernelError, type Program } from '@tutti/core/backend';
import type { WgslProgram } from '../program.ts';
import { numbered, type Pipeline, type Pipelines } from './pipelines.ts';

/** A program with its pipelines: what commands carry. */
export class Executable implements Program {
  readonly name: string;
  readonly wgsl: WgslProgram;
  readonly pipelines: readonly Pipeline[];
  /** Tells programs of two devices of this kind apart. */
  readonly owner: object;
  #ready: Promise<void> | undefined;

  /** @param when `now` compiles before it returns, for programs that cannot be waited for. */
  constructor(wgsl: WgslProgram, pipelines: Pipelines, owner: object, when: 'now' | 'later' = 'later') {
    this.name = wgsl.name;
    this.wgsl = wgsl;
    this.owner = owner;
    this.pipelines = wgsl.stages.map((stage) => pipelines.get(stage, wgsl.name, when));
    if (when === 'now') return;
    this.#ready = Promise.all(this.pipelines.map((pipeline) => pipeline.ready)).then(() => {
      this.#ready = undefined;
    });
    this.#ready.catch(() => {}); // told to those who wait
  }

  /** Undefined once all stages are compiled. */
  get ready(): Promise<void> | undefined {
    return this.#ready;
  }

  /** @throws KernelError when a stage is not compiled. */
  compiled(stage: number): GPUComputePipeline {
    const pipeline = this.pipelines[stage]!.compiled;
    if (pipeline) return pipeline;
    throw new KernelError(`kernel ${this.name} is submitted before it is compiled`, {
      op: this.name,
      received: this.source(),
      fix: 'wait for program.ready before the first submission',
    });
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
