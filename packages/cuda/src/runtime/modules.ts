/** Code on the device: one module for each text, however many programs have it. */
import type { KernelStage } from '../program.ts';
import type { CudaDevice } from './device.ts';

interface Module {
  /** Once it is loaded. */
  id?: number;
  loading?: Promise<number>;
}

export class Modules {
  readonly #device: CudaDevice;
  /** By text. */
  readonly #modules = new Map<string, Module>();

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** What launches a stage. `name` is the program's, for messages. */
  async functionOf(stage: KernelStage, name: string): Promise<number> {
    return this.#functionIn(await this.#load(stage.code, name), stage, name);
  }

  /** As {@link functionOf}, while the caller waits: for code that others wait for as well it is compiled twice. */
  functionSync(stage: KernelStage, name: string): number {
    const module = this.#moduleOf(stage.code);
    module.id ??= this.#place(this.#device.compiler.imageSync(stage.code, name), name);
    return this.#functionIn(module.id, stage, name);
  }

  #moduleOf(code: string): Module {
    let module = this.#modules.get(code);
    if (!module) this.#modules.set(code, (module = {}));
    return module;
  }

  #load(code: string, name: string): Promise<number> {
    const module = this.#moduleOf(code);
    if (module.id !== undefined) return Promise.resolve(module.id);
    if (module.loading) return module.loading;
    const { compiler, health } = this.#device;
    const loading = health.guard(compiler.image(code, name)).then((image) => {
      module.id ??= this.#place(image, name);
      return module.id;
    });
    module.loading = loading;
    loading
      .catch(() => {}) // told to those who wait for the program
      .finally(() => delete module.loading);
    return loading;
  }

  #place(image: Uint8Array, name: string): number {
    return this.#device.callWithMemory(`while kernel ${name} was loaded`, (native) =>
      native.loadModule(image),
    );
  }

  #functionIn(module: number, { entry, sharedBytes }: KernelStage, name: string): number {
    return this.#device.callWithMemory(`while kernel ${name} was loaded`, (native) =>
      native.getFunction(module, entry, sharedBytes),
    );
  }

  /** Forgets them. The device unloads what it has. */
  dispose(): void {
    this.#modules.clear();
  }
}
