import { KernelError, messageOf, type TuttiError } from '@tutti/core/backend';
import type { Stage, WasmProgram } from '../program.ts';
import { ModuleBuilder, type Signature } from '../wasm/index.ts';
import type { ModuleMessage, StageFunction } from './control.ts';
import { load } from './execute.ts';
import type { LinearMemory } from './linear-memory.ts';

const stageSignature: Signature = { params: ['i32', 'i32', 'i32', 'i32'], results: [] };

/**
 * Turns programs into callable functions. Programs get their function numbers when a command first names them; the
 * programs that are new in a submission are then built together, as one WebAssembly module.
 *
 * Engines compile a module lazily and re-optimise hot functions in the background, and the threads of a process share
 * that machine code, so building on the calling thread is cheap.
 */
export class Modules {
  /** The main thread's own functions. Complete after `loadHere`. */
  readonly functions: StageFunction[] = [];
  readonly #memory: LinearMemory;
  readonly #first = new Map<WasmProgram, number>();
  readonly #programs: WasmProgram[] = [];
  readonly #broken = new Map<WasmProgram, TuttiError>();
  #pending: WasmProgram[] = [];
  #unloaded: ModuleMessage[] = [];

  constructor(memory: LinearMemory) {
    this.#memory = memory;
  }

  /** The number of the program's first stage; its other stages follow. @throws KernelError if it did not compile. */
  firstFunction(program: WasmProgram): number {
    const known = this.#first.get(program);
    if (known !== undefined) {
      if (this.#broken.size > 0 && this.#broken.has(program)) throw this.#broken.get(program)!;
      return known;
    }
    const first = this.#programs.length;
    for (const _stage of program.stages) this.#programs.push(program);
    this.#first.set(program, first);
    this.#pending.push(program);
    return first;
  }

  /** Builds what `firstFunction` promised since the last call, and hands the modules on. @throws KernelError. */
  build(publish: (message: ModuleMessage) => void): void {
    if (this.#pending.length === 0) return;
    const batch = this.#pending;
    this.#pending = [];
    const add = (message: ModuleMessage): void => {
      this.#unloaded.push(message);
      publish(message);
    };
    try {
      add(this.#compile(batch));
    } catch (error) {
      // One bad program must not take the others with it: build each alone, to find it.
      for (const program of batch) {
        try {
          add(this.#compile([program]));
        } catch (cause) {
          this.#broken.set(program, compileError(program, cause));
        }
      }
      const broken = batch.find((program) => this.#broken.has(program));
      throw broken ? this.#broken.get(broken)! : error;
    }
  }

  /** Makes everything built so far callable on this thread. */
  loadHere(): void {
    if (this.#unloaded.length === 0) return;
    for (const message of this.#unloaded) load(this.functions, message, this.#memory.memory);
    this.#unloaded = [];
  }

  /** The program that a function number belongs to. */
  programOf(index: number): WasmProgram | undefined {
    return this.#programs[index];
  }

  #compile(programs: readonly WasmProgram[]): ModuleMessage {
    const builder = new ModuleBuilder({ shared: this.#memory.shared, maximum: this.#memory.maximum });
    let count = 0;
    for (const program of programs) {
      for (const stage of program.stages) {
        const index = builder.function(nameOf(program, stage), stageSignature, (fn) =>
          stage.emit(fn, builder),
        );
        builder.export(`f${count++}`, index);
      }
    }
    const module = new WebAssembly.Module(builder.build());
    return { kind: 'module', module, first: this.#first.get(programs[0]!)!, count };
  }
}

const nameOf = (program: WasmProgram, stage: Stage): string =>
  program.stages.length === 1 ? program.name : `${program.name}.${program.stages.indexOf(stage)}`;

function compileError(program: WasmProgram, cause: unknown): TuttiError {
  const text = messageOf(cause);
  return new KernelError(`the kernel ${program.name} did not compile: ${text}`, {
    op: program.name,
    received: program.source(),
    fix: 'this is a defect of the library; please report it with the source in `received`',
    cause,
  });
}
